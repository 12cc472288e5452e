import type { Nanoseconds } from "../../sim/index.ts";

/** A node's part in a network. */
export interface Attachment {
	readonly node: string;
	/** Lamport time of the latest event about it. */
	lTime: number;
	/** It takes part no longer. */
	leaving: boolean;
	/** How long that is still remembered. */
	reapTime: Nanoseconds;
}

interface Network {
	readonly byNode: Map<string, Attachment>;
	/** Nodes that take part, in the order in which that became known. */
	readonly nodes: string[];
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

	/** A node takes part from `lTime` on. */
	join(network: string, node: string, lTime: number): void {
		let known = this.#networks.get(network);
		if (known === undefined) this.#networks.set(network, (known = { byNode: new Map(), nodes: [] }));
		const attachment = known.byNode.get(node);
		if (attachment?.leaving !== false) known.nodes.push(node);
		if (attachment?.leaving === true) this.#leaving--;
		known.byNode.set(node, { node, lTime, leaving: false, reapTime: 0 });
	}

	/** A node takes part no longer; that is remembered for `reapTime`. */
	leave(network: string, node: string, lTime: number, reapTime: Nanoseconds): void {
		const known = this.#networks.get(network);
		const attachment = known?.byNode.get(node);
		if (known === undefined || attachment === undefined) return;
		if (!attachment.leaving) this.#leaving++;
		attachment.lTime = lTime;
		attachment.leaving = true;
		attachment.reapTime = reapTime;
		remove(known.nodes, node);
	}

	/** Forgets all parts of a node. */
	forget(node: string): void {
		for (const [id, { byNode, nodes }] of this.#networks) {
			if (byNode.get(node)?.leaving === true) this.#leaving--;
			byNode.delete(node);
			remove(nodes, node);
			if (byNode.size === 0) this.#networks.delete(id);
		}
	}

	/** `period` has passed: forgets parts that were over for long enough, and says which. */
	reap(period: Nanoseconds): (readonly [network: string, node: string])[] {
		const forgotten: (readonly [string, string])[] = [];
		if (this.#leaving === 0) return forgotten;
		for (const [id, { byNode }] of this.#networks) {
			for (const [node, attachment] of byNode) {
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

function remove(list: string[], name: string): void {
	const at = list.indexOf(name);
	if (at >= 0) list.splice(at, 1);
}
