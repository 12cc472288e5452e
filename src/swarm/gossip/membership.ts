import type { Rng } from "../../sim/index.ts";
import { memberlist } from "../../wire/index.ts";
import { Awareness } from "./awareness.ts";
import type { Broadcast } from "./broadcast-queue.ts";
import type { CommonNodes } from "./cluster-nodes.ts";
import { ipOf, Member, octetsOf, STATES } from "./member.ts";
import { Members } from "./members.ts";
import { Suspicion } from "./suspicion.ts";
import { incompatibility } from "./versions.ts";
import type { Clock } from "../clock.ts";

/** What membership asks for. */
export interface MembershipEffects {
	/** To be told to all. */
	readonly broadcast: (broadcast: Broadcast) => void;
	/** A node is there: new, or back. */
	readonly joined: (member: Member) => void;
	/** Many nodes are there that have been for long; `unknown` are those that are new here. */
	readonly introduced: (common: CommonNodes, unknown: readonly Member[]) => void;
	/** A node is dead, or left. */
	readonly left: (member: Member) => void;
	readonly log: (line: string) => void;
}

/** Who is there: how a node judges what it hears of others and of itself (memberlist's state.go). It has no sockets. */
export class Membership {
	/** This node, as it knows itself. */
	readonly self: Member;
	readonly members: Members;
	readonly awareness: Awareness = new Awareness();
	readonly #clock: Clock;
	readonly #effects: MembershipEffects;
	#leaving = false;

	constructor(self: Member, clock: Clock, rng: Rng, effects: MembershipEffects) {
		this.self = self;
		this.members = new Members(rng);
		this.#clock = clock;
		this.#effects = effects;
	}

	/** This node begins to exist. */
	begin(): void {
		this.#learn(aliveOf(this.self, 1), true);
	}

	/** Knows other nodes as after a long time: nobody is told. */
	introduce(common: CommonNodes): void {
		this.#effects.introduced(common, this.members.addCommon(common.members));
	}

	/** Whether anybody else is there. */
	get anyAlive(): boolean {
		return this.members.all.some((member) => member !== this.self && !member.gone);
	}

	/** Somebody says that a node is there. */
	alive(message: memberlist.Alive): void {
		this.#learn(message, false);
	}

	#learn(message: memberlist.Alive, beginning: boolean): void {
		const { node, port, incarnation, vsn } = message;
		if (this.#leaving && node === this.self.name) return;
		const [lowest = 1, highest = 1] = vsn;
		if (vsn.length >= 3 && (lowest === 0 || highest === 0 || lowest > highest)) return;
		const ip = ipOf(message.addr);
		if (ip === undefined) return;
		const known = this.members.get(node);
		const at = port === 0 ? memberlist.PORT : port;
		const moved = known !== undefined && (known.ip !== ip || known.port !== at);
		if (moved && known.state !== "left") {
			this.#effects.log(`memberlist: Conflicting address for ${node}.`);
			return;
		}
		const found = known ?? (beginning ? this.self : new Member(node, ip, at));
		if (known === undefined) this.members.add(found);
		const own = found === this.self;
		if (incarnation <= found.incarnation && !own && !moved) return;
		if (incarnation < found.incarnation && own) return;
		const member = this.members.own(found);
		this.#clear(member);
		if (own && !beginning) {
			if (incarnation > member.incarnation || !member.says(message)) this.#refute(incarnation);
			return;
		}
		const back = member.gone;
		member.ip = ip;
		member.port = at;
		member.learn(message);
		if (member.state !== "alive") {
			member.state = "alive";
			member.since = this.#clock.now;
		}
		this.#tell(member, aliveOf(member, incarnation));
		if (back) this.#effects.joined(member);
	}

	/** Somebody says that a node does not answer. */
	suspect({ node, incarnation, from }: memberlist.Suspect): void {
		const found = this.members.get(node);
		if (found === undefined || incarnation < found.incarnation) return;
		const message: memberlist.Suspect = { type: "suspect", incarnation, node, from };
		if (found.suspicion !== undefined) {
			if (found.suspicion.confirm(from)) this.#tell(found, message);
			return;
		}
		if (found.state !== "alive") return;
		if (found === this.self) {
			this.#refute(incarnation);
			return;
		}
		const member = this.members.own(found);
		this.#tell(member, message);
		member.incarnation = incarnation;
		member.state = "suspect";
		member.since = this.#clock.now;
		member.suspicion = new Suspicion(this.#clock, this.members.count, from, () => {
			this.#effects.log(`memberlist: Marking ${node} as failed, suspect timeout reached`);
			this.dead({ type: "dead", incarnation: member.incarnation, node, from: this.self.name });
		});
	}

	/** Somebody says that a node is gone; the node itself, when it left. */
	dead({ node, incarnation, from }: memberlist.Dead, finished?: () => void): void {
		const found = this.members.get(node);
		if (found === undefined || incarnation < found.incarnation) return;
		this.#clear(found);
		if (found.gone) return;
		if (found === this.self && !this.#leaving) {
			this.#refute(incarnation);
			return;
		}
		const member = this.members.own(found);
		this.#tell(member, { type: "dead", incarnation, node, from }, finished);
		member.incarnation = incarnation;
		member.state = node === from ? "left" : "dead";
		member.since = this.#clock.now;
		this.#effects.left(member);
	}

	/** This node leaves; `told` is called when that was broadcast. */
	leave(told: () => void): void {
		this.#leaving = true;
		const { name, incarnation } = this.self;
		this.dead({ type: "dead", incarnation, node: name, from: name }, told);
	}

	/** All this node knows. */
	states(): memberlist.PushNodeState[] {
		return this.members.all.map(({ name, ip, port, meta, incarnation, state, vsn }) => ({
			name,
			addr: octetsOf(ip),
			port,
			meta,
			incarnation,
			state: STATES.indexOf(state),
			vsn,
		}));
	}

	/** All that another node knows. False when the two cannot understand each other; then nothing is taken over. */
	merge(states: readonly memberlist.PushNodeState[]): boolean {
		const why = incompatibility(states, this.members.all);
		if (why !== undefined) {
			this.#effects.log(`memberlist: Failed push/pull merge: ${why}`);
			return false;
		}
		for (const { name: node, incarnation, state, addr, port, meta, vsn } of states) {
			if (state === memberlist.STATE.ALIVE)
				this.alive({ type: "alive", incarnation, node, addr, port, meta, vsn });
			else if (state === memberlist.STATE.LEFT) this.dead({ type: "dead", incarnation, node, from: node });
			// What the other one thinks dead is only suspected here: it may speak for itself.
			else this.suspect({ type: "suspect", incarnation, node, from: this.self.name });
		}
		return true;
	}

	/** Ends all suspicions. */
	stop(): void {
		for (const member of this.members.all) this.#clear(member);
	}

	/** Says that it is there, louder than the accusation. */
	#refute(accused: number): void {
		const { self } = this;
		self.incarnation = (Math.max(self.incarnation, accused) + 1) >>> 0;
		this.awareness.apply(1);
		this.#tell(self, aliveOf(self, self.incarnation));
	}

	#clear(member: Member): void {
		if (member.suspicion === undefined) return;
		member.suspicion.cancel();
		member.suspicion = undefined;
	}

	#tell(member: Member, message: memberlist.Message, finished?: () => void): void {
		this.#effects.broadcast({
			name: member.name,
			message: memberlist.write(message),
			...(finished === undefined ? {} : { finished }),
		});
	}
}

/** What a node says of itself. */
const aliveOf = ({ name, ip, port, meta, vsn }: Member, incarnation: number): memberlist.Alive => ({
	type: "alive",
	incarnation,
	node: name,
	addr: octetsOf(ip),
	port,
	meta,
	vsn,
});
