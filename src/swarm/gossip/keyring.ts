import { memberlistPacket } from "../../wire/index.ts";

type GossipKey = memberlistPacket.GossipKey;

/** A key as the managers hand it out. */
export interface SwarmKey {
	readonly key: Uint8Array;
	readonly lamportTime: number;
}

/**
 * The order in which a node uses the managers' three keys: by age, but the middle one first. So the newest is known
 * everywhere before anybody sends with it, and the oldest is still understood (libnetwork, agent.go, `getKeys`).
 */
export function primaryFirst(keys: readonly SwarmKey[]): readonly SwarmKey[] {
	const [oldest, middle, ...others] = [...keys].sort((a, b) => a.lamportTime - b.lamportTime);
	if (oldest === undefined || middle === undefined) return oldest === undefined ? [] : [oldest];
	return [middle, oldest, ...others];
}

/** The keys of a node: it sends with the first, and understands all. */
export class Keyring {
	#keys: readonly GossipKey[] = [];

	constructor(keys: readonly Uint8Array[]) {
		this.set(keys);
	}

	/** All keys, the one for sending first. */
	get keys(): readonly GossipKey[] {
		return this.#keys;
	}

	/** The one for sending. */
	get primary(): GossipKey | undefined {
		return this.#keys[0];
	}

	/** Changes them; those that stay keep their schedules. Throws RangeError for none, or for one of a wrong length. */
	set(keys: readonly Uint8Array[]): void {
		if (keys.length === 0) throw new RangeError("keys is empty, expected at least one key");
		this.#keys = keys.map(
			(octets) =>
				this.#keys.find((known) => isSame(known.octets, octets)) ?? new memberlistPacket.GossipKey(octets),
		);
	}
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
	a.length === b.length && a.every((octet, i) => octet === b[i]);
