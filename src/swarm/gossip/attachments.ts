import { LayeredMap } from "../../layered-map.ts";
import type { Nanoseconds } from "../../sim/index.ts";

/** A node's part in a network. */
export interface Attachment {
	readonly node: string;
	/** Lamport time of the latest event about it. */
	readonly lTime: number;
	/** It takes part no longer. */
	readonly leaving: boolean;
	/** How long that is still remembered. */
	reapTime: Nanoseconds;
}

/** Who takes part in a network, as many nodes know it alike. Nobody changes it. */
export interface CommonParts {
	readonly byNode: ReadonlyMap<string, Attachment>;
	/** The same, in the same order. */
	readonly nodes: readonly string[];
}

interface Network {
	readonly byNode: LayeredMap<string, Attachment>;
	/** Nodes that take part, in the order in which that became known. Replaced, not changed: nodes have it in common. */
	nodes: readonly string[];
}

const NONE: readonly string[] = [];

/** Who takes part in which network. */
export class Attachments {
	readonly #networks = new Map<string, Network>();
	#leaving = 0;

	/** How many parts are over and still remembered. */
	get leaving(): number {
		return this.#leaving;
	}

	/** A node's part in a network, also when it is over. */
	get(network: string, node: string): Attachment | undefined {
		return this.#networks.get(network)?.byNode.get(node);
	}

	/** Whether a node takes part. */
	has(network: string, node: string): boolean {
		return this.get(network, node)?.leaving === false;
	}

	/** Nodes that take part in a network. Not to be changed, and changing. */
	nodes(network: string): readonly string[] {
		return this.#networks.get(network)?.nodes ?? NONE;
	}

	/** Networks that anybody takes or took part in. */
	networks(): IterableIterator<string> {
		return this.#networks.keys();
	}

	/** All parts in all networks. */
	*all(): Generator<readonly [network: string, attachment: Attachment]> {
		for (const [id, { byNode }] of this.#networks)
			for (const attachment of byNode.values()) yield [id, attachment];
	}

	/** Nodes are known to take part, unless it is known already when they did so last. */
	settle(network: string, common: CommonParts): void {
		const known = this.#network(network);
		const { own, common: before } = known.byNode;
		const alike = ({ node, lTime, leaving }: Attachment): boolean =>
			!leaving && common.byNode.get(node)?.lTime === lTime;
		if ([...own.values()].every(alike) && [...(before?.values() ?? [])].every(alike)) {
			known.byNode.lay(common.byNode);
			known.nodes = common.nodes;
			return;
		}
		for (const { node, lTime } of common.byNode.values())
			if (known.byNode.get(node) === undefined) this.join(network, node, lTime);
	}

	#network(id: string): Network {
		const known = this.#networks.get(id);
		if (known !== undefined) return known;
		const network: Network = { byNode: new LayeredMap(), nodes: NONE };
		this.#networks.set(id, network);
		return network;
	}

	/** A node takes part from `lTime` on. */
	join(network: string, node: string, lTime: number): void {
		const known = this.#network(network);
		const attachment = known.byNode.get(node);
		if (attachment?.leaving !== false) known.nodes = known.nodes.concat(node);
		if (attachment?.leaving === true) this.#leaving--;
		known.byNode.set(node, { node, lTime, leaving: false, reapTime: 0 });
	}

	/** What is known of a node's part, if anything is, is of a later time. */
	renew(network: string, node: string, lTime: number): void {
		const byNode = this.#networks.get(network)?.byNode;
		const attachment = byNode?.get(node);
		if (attachment !== undefined) byNode?.set(node, { ...attachment, lTime });
	}

	/** A node takes part no longer; that is remembered for `reapTime`. */
	leave(network: string, node: string, lTime: number, reapTime: Nanoseconds): void {
		const known = this.#networks.get(network);
		const attachment = known?.byNode.get(node);
		if (known === undefined || attachment === undefined) return;
		if (!attachment.leaving) this.#leaving++;
		known.byNode.set(node, { node, lTime, leaving: true, reapTime });
		known.nodes = known.nodes.filter((each) => each !== node);
	}

	/** Forgets all parts of a node. */
	forget(node: string): void {
		for (const [id, network] of this.#networks) {
			const { byNode } = network;
			if (byNode.get(node)?.leaving === true) this.#leaving--;
			byNode.delete(node);
			if (network.nodes.includes(node)) network.nodes = network.nodes.filter((each) => each !== node);
			if (byNode.size === 0) this.#networks.delete(id);
		}
	}

	/** `period` has passed: forgets parts that were over for long enough, and says which. */
	reap(period: Nanoseconds): (readonly [network: string, node: string])[] {
		const forgotten: (readonly [string, string])[] = [];
		if (this.#leaving === 0) return forgotten;
		for (const [id, { byNode }] of this.#networks) {
			// Nothing that nodes have in common is over.
			for (const [node, attachment] of [...byNode.own]) {
				if (!attachment.leaving) continue;
				if (attachment.reapTime > 0) attachment.reapTime -= period;
				else {
					byNode.delete(node);
					this.#leaving--;
					forgotten.push([id, node]);
				}
			}
			if (byNode.size === 0) this.#networks.delete(id);
		}
		return forgotten;
	}
}
