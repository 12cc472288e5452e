import { type Nanoseconds, type Rng, seconds } from "../../sim/index.ts";
import type { ClusterObject, EncryptionKey } from "../objects.ts";
import type { Leadership } from "./leadership.ts";

/** Keys of a subsystem that are known at once: the last, the present and the next one. */
const KEYS = 3;
/** How long a key is the newest (swarmkit `DefaultKeyRotationInterval`). */
export const ROTATION: Nanoseconds = seconds(12 * 3600);
const KEY_OCTETS = 16;
const SUBSYSTEMS = ["networking:gossip", "networking:ipsec"] as const;

/**
 * Makes the keys that nodes gossip and encrypt networks with: three for each, and every twelve hours a new one in the
 * place of the oldest (swarmkit manager/keymanager). Nodes are told by the dispatcher.
 */
export class KeyManager {
	readonly #reign: Leadership;

	constructor(reign: Leadership) {
		this.#reign = reign;
	}

	/** The first rotation is due a whole interval after its leader began. */
	start(): void {
		this.#reign.after(ROTATION, () => {
			this.rotate();
			this.start();
		});
	}

	/** A new key for each subsystem, the oldest one goes. */
	rotate(): void {
		const { store, rng } = this.#reign;
		store.update((tx) => {
			const [cluster] = tx.all("cluster");
			if (cluster !== undefined) tx.update({ ...cluster, ...rotated(cluster, rng) });
		});
	}
}

/** The keys a cluster begins with; their Lamport times begin anywhere. */
export function firstKeys(rng: Rng): Pick<ClusterObject, "keys" | "keyLamportTime"> {
	let keyLamportTime = rng.below(0x7fff_ffff);
	const keys = SUBSYSTEMS.flatMap((subsystem) =>
		Array.from({ length: KEYS }, () => newKey(subsystem, ++keyLamportTime, rng)),
	);
	return { keys, keyLamportTime };
}

function rotated(
	{ keys, keyLamportTime: before }: ClusterObject,
	rng: Rng,
): Pick<ClusterObject, "keys" | "keyLamportTime"> {
	let keyLamportTime = before;
	const all = SUBSYSTEMS.flatMap((subsystem) => {
		const known = keys.filter((key) => key.subsystem === subsystem);
		return [...known, newKey(subsystem, ++keyLamportTime, rng)].slice(-KEYS);
	});
	return { keys: all, keyLamportTime };
}

function newKey(subsystem: EncryptionKey["subsystem"], lamportTime: number, rng: Rng): EncryptionKey {
	const octets = new Uint8Array(KEY_OCTETS);
	rng.bytes(octets);
	const key = [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("");
	return { subsystem, key, lamportTime };
}
