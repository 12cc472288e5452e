import type { Rng } from "../../sim/index.ts";
import { seconds } from "../../sim/index.ts";
import {
	type Caller,
	type Channel,
	type Exchange,
	RpcError,
	type RpcServer,
	unary,
} from "../control/index.ts";
import type { Leadership } from "../dispatcher/index.ts";
import { checkHealth, joinRaft, leaveRaft } from "../methods.ts";
import type { Member } from "../raft/index.ts";

/** How long a new manager may take to answer. */
const HEALTH_TIMEOUT = seconds(5);

type Joining = Exchange<{ readonly raftId: number; readonly members: readonly Member[] }>;

/** Takes managers into the raft group, and lets them go (swarmkit manager/state/raft, `Join`, `Leave`). */
export class Membership {
	readonly #reign: Leadership;
	readonly #channel: (addr: string) => Channel;
	readonly #rng: Rng;
	readonly #waiting: (() => boolean)[] = [];

	constructor(reign: Leadership, channel: (addr: string) => Channel) {
		this.#reign = reign;
		this.#channel = channel;
		this.#rng = reign.rng.fork("raft ids");
	}

	/** Answers at a manager that leads. */
	serve(rpc: RpcServer): void {
		rpc.handle(joinRaft, ({ addr }, exchange) => {
			const { identity } = exchange.caller;
			if (identity?.role !== "manager")
				throw new RpcError("PermissionDenied", "Permission denied: not a manager");
			this.#join(identity.nodeId, reachableAddress(addr, exchange.caller), exchange);
		});
		rpc.handle(leaveRaft, ({ raftId }, exchange) => {
			const member = this.#reign.raft.members.find((each) => each.raftId === raftId);
			if (member !== undefined) this.#reign.raft.proposeMember("remove", member);
			exchange.answer({});
		});
	}

	#join(nodeId: string, addr: string, exchange: Joining): void {
		unary(
			this.#channel(addr),
			checkHealth,
			{ service: "Raft" },
			(health) => {
				if (this.#reign.over) {
					exchange.end(new RpcError("FailedPrecondition", "raft: node is not the leader"));
				} else if (health instanceof RpcError) {
					const text = `could not connect to prospective new cluster member using its advertised address: ${health.message}`;
					exchange.end(new RpcError("Unknown", text));
				} else this.#add(nodeId, addr, exchange);
			},
			{ timeout: HEALTH_TIMEOUT },
		);
	}

	#add(nodeId: string, addr: string, exchange: Joining): void {
		const { raft } = this.#reign;
		const known = raft.members.find((each) => each.nodeId === nodeId);
		const raftId = known?.raftId ?? 1 + this.#rng.below(2 ** 48);
		const member = { raftId, nodeId, addr };
		const answered = (): boolean => {
			if (exchange.over) return true;
			if (!raft.members.some((each) => each.raftId === raftId && each.addr === addr)) return false;
			exchange.answer({ raftId, members: raft.members });
			return true;
		};
		if (answered()) return;
		this.#waiting.push(answered);
		this.#propose(member, answered);
	}

	/** One change at a time: while another is under way it is tried again. */
	#propose(member: Member, answered: () => boolean): void {
		const { raft } = this.#reign;
		const op = raft.members.some(({ raftId }) => raftId === member.raftId) ? "update" : "add";
		if (answered() || raft.proposeMember(op, member)) return;
		this.#reign.after(seconds(0.2), () => {
			this.#propose(member, answered);
		});
	}

	/** The group changed: who waits for its place may have it. */
	changed(): void {
		const left = this.#waiting.splice(0).filter((answered) => !answered());
		this.#waiting.push(...left);
	}
}

/** A manager that does not know its own address is known by the one it calls from. */
function reachableAddress(addr: string, caller: Caller): string {
	const colon = addr.lastIndexOf(":");
	return addr.startsWith("0.0.0.0:") ? `${caller.address}${addr.slice(colon)}` : addr;
}
