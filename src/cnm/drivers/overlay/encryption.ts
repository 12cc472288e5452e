import { formatIp4, type Ip4, toIp4 } from "../../../addr/index.ts";
import { NetError } from "../../../errors.ts";
import type { IpNamespace } from "../../../stack/index.ts";
import type { ClusterNode, DriverKey } from "../../driver.ts";

/** Marks packets that are to be encrypted, and the states and policies that are the driver's own. */
export const REQID = 0xd0_c4e3;

const ALGORITHM = "rfc4106(gcm(aes))";
const ICV_BITS = 64;
const FNV_OFFSET = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;

/** The numbers that one key's packets have between two nodes. */
interface Spis {
	readonly tag: number;
	/** Of what this node sends, and of what it receives. */
	readonly forward: number;
	readonly reverse: number;
}

/**
 * The security parameter index of packets from one node to another under a key: FNV-1a over both addresses as IPv6 has
 * them and the key's tag between, so both sides know it without asking (`buildSPI`).
 */
export function spiOf(source: Ip4, destination: Ip4, tag: number): number {
	let hash = FNV_OFFSET;
	for (const octet of [...mapped(source), ...word(tag), ...mapped(destination)])
		hash = Math.imul(hash ^ octet, FNV_PRIME) >>> 0;
	return hash;
}

const word = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
const mapped = (ip: Ip4): number[] => [...Array<number>(10).fill(0), 0xff, 0xff, ...word(ip)];

/**
 * What encrypted overlays have between this node and each other one: an ESP state per key for what comes in, one for what
 * goes out by the first key, and the policy that chooses it for marked packets.
 *
 *     steady:    in k0 k1 k2, out k1, policy → k1
 *     rotation:  − in k0, + in k3, + out k2, policy → k2, − out k1
 *
 * Networks share the states; they go with the last network that has an endpoint on the other node. Reference: libnetwork
 * drivers/overlay/encryption.go.
 */
export class Encryption {
	readonly #ns: IpNamespace;
	readonly #node: () => ClusterNode;
	/** The one to send with first. */
	#keys: readonly DriverKey[] = [];
	readonly #nodes = new Map<Ip4, Spis[]>();
	/** Which networks have endpoints on a node. */
	readonly #users = new Map<Ip4, Set<string>>();

	constructor(ns: IpNamespace, node: () => ClusterNode) {
		this.#ns = ns;
		this.#node = node;
	}

	/** Whether there are keys. */
	get ready(): boolean {
		return this.#keys.length > 0;
	}

	/** A network has endpoints on another node (`setupEncryption`). */
	protect(remote: Ip4, network: string): void {
		const users = this.#users.get(remote) ?? new Set<string>();
		this.#users.set(remote, users.add(network));
		if (this.#nodes.has(remote) || !this.ready) return;
		this.#nodes.set(
			remote,
			this.#keys.map((key) => this.#spis(remote, key)),
		);
		for (const [i, key] of this.#keys.entries()) {
			this.#addState(remote, key, "reverse");
			if (i > 0) continue;
			this.#addState(remote, key, "forward");
			this.#setPolicy(remote, key);
		}
	}

	/** It has none there any more (`removeEncryption`). */
	unprotect(remote: Ip4, network: string): void {
		const users = this.#users.get(remote);
		if (users?.delete(network) !== true || users.size > 0) return;
		this.#users.delete(remote);
		for (const [i, spis] of (this.#nodes.get(remote) ?? []).entries()) {
			this.#delState(remote, spis, "reverse");
			if (i > 0) continue;
			this.#delState(remote, spis, "forward");
			ignoring("ENOENT", () => {
				this.#ns.xfrm.policy.del(this.#policyId(remote));
			});
		}
		this.#nodes.delete(remote);
	}

	/** A network is on this node no longer. */
	release(network: string): void {
		for (const remote of [...this.#users.keys()]) this.unprotect(remote, network);
	}

	/**
	 * The cluster's keys, the one to send with first. When some are known already, only what changed is changed
	 * (`updateKeys`); else all is made anew (`setKeys`).
	 */
	setKeys(keys: readonly DriverKey[]): void {
		const old = this.#keys;
		this.#keys = keys;
		if (keys.some(({ tag }) => old.some((each) => each.tag === tag))) {
			for (const remote of this.#nodes.keys()) this.#rotate(remote, old);
			return;
		}
		this.#clear();
		const users = [...this.#users];
		for (const [remote, networks] of users) for (const network of networks) this.protect(remote, network);
	}

	/** States and policies of the driver's, of an earlier life too (`clearEncryptionStates`). */
	#clear(): void {
		const { state, policy } = this.#ns.xfrm;
		for (const each of [...policy.list()]) {
			if (each.templates.some(({ reqid }) => reqid === REQID))
				policy.del({ dir: each.direction, index: each.index });
		}
		for (const { src, dst, spi, reqid } of [...state.list()])
			if (reqid === REQID) state.del({ src, dst, spi, proto: "esp" });
		this.#nodes.clear();
	}

	#rotate(remote: Ip4, old: readonly DriverKey[]): void {
		const before = this.#nodes.get(remote) ?? [];
		const [primary] = this.#keys;
		for (const spis of before)
			if (!this.#keys.some(({ tag }) => tag === spis.tag)) this.#delState(remote, spis, "reverse");
		for (const key of this.#keys)
			if (!old.some(({ tag }) => tag === key.tag)) this.#addState(remote, key, "reverse");
		const [sending] = before;
		if (primary !== undefined && sending?.tag !== primary.tag) {
			this.#addState(remote, primary, "forward");
			this.#setPolicy(remote, primary);
			if (sending !== undefined) this.#delState(remote, sending, "forward");
		}
		this.#nodes.set(
			remote,
			this.#keys.map((key) => this.#spis(remote, key)),
		);
	}

	// ── ip xfrm ───────────────────────────────────────────────────────────────────────────────────

	#spis(remote: Ip4, { tag }: DriverKey): Spis {
		const own = toIp4(this.#node().dataPathAddress, "data path address");
		return { tag, forward: spiOf(own, remote, tag), reverse: spiOf(remote, own, tag) };
	}

	#way(remote: Ip4, direction: "forward" | "reverse"): { readonly src: string; readonly dst: string } {
		const [local, other] = [this.#node().bindAddress, formatIp4(remote)];
		return direction === "forward" ? { src: local, dst: other } : { src: other, dst: local };
	}

	/** The salt of the cipher is the SPI. */
	#addState(remote: Ip4, key: DriverKey, direction: "forward" | "reverse"): void {
		const spi = this.#spis(remote, key)[direction];
		ignoring("EEXIST", () => {
			this.#ns.xfrm.state.add({
				...this.#way(remote, direction),
				proto: "esp",
				spi,
				reqid: REQID,
				aead: { name: ALGORITHM, key: Uint8Array.of(...key.value, ...word(spi)), icv: ICV_BITS },
			});
		});
	}

	#delState(remote: Ip4, spis: Spis, direction: "forward" | "reverse"): void {
		ignoring("ESRCH", () => {
			this.#ns.xfrm.state.del({ ...this.#way(remote, direction), proto: "esp", spi: spis[direction] });
		});
	}

	#setPolicy(remote: Ip4, key: DriverKey): void {
		const tmpl = [
			{
				...this.#way(remote, "forward"),
				proto: "esp" as const,
				spi: this.#spis(remote, key).forward,
				reqid: REQID,
			},
		];
		this.#ns.xfrm.policy.update({ ...this.#policyId(remote), tmpl });
	}

	#policyId(remote: Ip4) {
		const { src, dst } = this.#way(remote, "forward");
		const dport = this.#node().dataPathPort;
		return { src: `${src}/32`, dst: `${dst}/32`, proto: "udp", dport, dir: "out", mark: REQID } as const;
	}
}

/** What is as it should be already needs nothing. */
function ignoring(code: string, work: () => void): void {
	try {
		work();
	} catch (error) {
		if (!(error instanceof NetError && error.code === code)) throw error;
	}
}
