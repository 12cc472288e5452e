import { LayeredMap } from "../../layered-map.ts";
import { type Nanoseconds, seconds } from "../../sim/index.ts";
import type { Member } from "./member.ts";

/** What a node of the cluster is to networkdb. */
export type NodeState = "active" | "failed" | "left";

/** How states are called in the log. */
const NAMES: Readonly<Record<NodeState, string>> = {
	active: "NodeActive",
	failed: "NodeFailed",
	left: "NodeLeft",
};
/** So long nodes that failed or left are remembered. */
const REAP_TIME = seconds(24 * 3600);
/** Between two looks at them. */
export const NODE_REAP_PERIOD: Nanoseconds = seconds(2 * 3600);

/** A node of the cluster. */
export interface ClusterNode {
	readonly member: Member;
	/** Lamport time of its latest event. */
	readonly lTime: number;
	/** How long it is still remembered, once it is gone. */
	readonly reapTime: Nanoseconds;
	readonly state: NodeState;
}

/** Nodes as many nodes know them alike. Nobody changes it. */
export class CommonNodes {
	readonly members: ReadonlyMap<string, Member>;
	readonly nodes: ReadonlyMap<string, ClusterNode>;
	readonly byEndpoint: ReadonlyMap<number, string>;

	/** Nodes that are there and were never heard of otherwise. */
	constructor(members: readonly Member[]) {
		this.members = new Map(members.map((member) => [member.name, member]));
		this.nodes = new Map(members.map((member) => [member.name, activeNode(member)]));
		this.byEndpoint = new Map(members.map((member) => [endpointOf(member), member.name]));
	}
}

/** The nodes of the cluster, whatever networks they take part in (libnetwork's nodemgmt.go). */
export class ClusterNodes {
	readonly #byState: Readonly<Record<NodeState, LayeredMap<string, ClusterNode>>> = {
		active: new LayeredMap(),
		failed: new LayeredMap(),
		left: new LayeredMap(),
	};
	/** The latest node at each address and port. */
	readonly #byEndpoint = new LayeredMap<number, string>();
	readonly #gone: (name: string) => void;
	readonly #log: (line: string) => void;

	/** `gone` is told of nodes that fail or leave, before they are not active any more. */
	constructor(gone: (name: string) => void, log: (line: string) => void) {
		this.#gone = gone;
		this.#log = log;
	}

	/** Nodes in a state, by name. */
	in(state: NodeState): Pick<LayeredMap<string, ClusterNode>, "get" | "has" | "size" | "values"> {
		return this.#byState[state];
	}

	/** The node of a name, in whatever state. */
	find(name: string): ClusterNode | undefined {
		const { active, left, failed } = this.#byState;
		return active.get(name) ?? left.get(name) ?? failed.get(name);
	}

	/** Changes a node's state. False when it was in it, or is not known. */
	change(name: string, state: NodeState): boolean {
		const node = this.find(name);
		if (node === undefined || node.state === state) return false;
		this.#byState[node.state].delete(name);
		this.#log(`Node ${name} change state ${NAMES[node.state]} --> ${NAMES[state]}`);
		const reapTime = state === "active" ? 0 : node.reapTime === 0 ? REAP_TIME : node.reapTime;
		this.#byState[state].set(name, { ...node, state, reapTime });
		if (state !== "active") this.#gone(name);
		return true;
	}

	/** An event of `lTime` came from a node. */
	heard(name: string, lTime: number): void {
		const node = this.find(name);
		if (node !== undefined) this.#byState[node.state].set(name, { ...node, lTime });
	}

	/** Memberlist has many nodes at once, as many nodes know them. */
	settle(common: CommonNodes): void {
		const { active, failed, left } = this.#byState;
		const fresh = active.common === undefined && failed.size === 0 && left.size === 0;
		if (
			fresh &&
			[...this.#byEndpoint].every(([endpoint, name]) => common.byEndpoint.get(endpoint) === name)
		) {
			active.lay(common.nodes);
			this.#byEndpoint.lay(common.byEndpoint);
			return;
		}
		for (const member of common.members.values()) if (!active.has(member.name)) this.joined(member);
	}

	/** Memberlist has a node. */
	joined(member: Member): void {
		this.#log(`Node ${member.text}, joined gossip cluster`);
		if (this.change(member.name, "active")) {
			const node = this.find(member.name);
			if (node !== undefined) this.#byState.active.set(member.name, { ...node, member });
			return;
		}
		this.#purgeReincarnation(member);
		if (this.find(member.name) !== undefined) return;
		this.#byState.active.set(member.name, activeNode(member));
		this.#log(`Node ${member.text}, added to nodes list`);
	}

	/** A node with the address of another one is that one, started again. */
	#purgeReincarnation(member: Member): void {
		const { name } = member;
		const endpoint = endpointOf(member);
		const before = this.#byEndpoint.get(endpoint);
		this.#byEndpoint.set(endpoint, name);
		if (before === undefined || before === name || this.find(before) === undefined) return;
		this.#log(`Node ${name} is the new incarnation of ${before}`);
		this.change(before, "left");
	}

	/** Memberlist has lost a node. One that said before that it leaves has left, another one failed. */
	lost(member: Member): void {
		this.#log(`Node ${member.text}, left gossip cluster`);
		if (this.#byState.active.has(member.name)) this.change(member.name, "failed");
	}

	/** Forgets those gone for a day; called every two hours. */
	reap(): void {
		for (const state of ["failed", "left"] as const) {
			for (const [name, node] of [...this.#byState[state]]) {
				if (node.reapTime > NODE_REAP_PERIOD)
					this.#byState[state].set(name, { ...node, reapTime: node.reapTime - NODE_REAP_PERIOD });
				else this.#byState[state].delete(name);
			}
		}
	}
}

const activeNode = (member: Member): ClusterNode => ({ member, lTime: 0, reapTime: 0, state: "active" });

const endpointOf = ({ ip, port }: Member): number => ip * 0x1_0000 + port;
