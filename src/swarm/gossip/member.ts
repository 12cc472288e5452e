import { formatIp4, type Ip4 } from "../../addr/index.ts";
import type { Instant } from "../../sim/index.ts";
import type { memberlist } from "../../wire/index.ts";
import type { Suspicion } from "./suspicion.ts";

/** What a node is to another one. */
export type MemberState = "alive" | "suspect" | "dead" | "left";

/** States in the order of their numbers on the wire. */
export const STATES: readonly MemberState[] = ["alive", "suspect", "dead", "left"];

/** Versions spoken by Docker 20.10: memberlist's protocol 1 to 5, in words 2; networkdb's 0. */
export const VERSIONS: Uint8Array = Uint8Array.of(1, 5, 2, 0, 0, 0);
/** Understands checksums from this version on. */
const CRC_VERSION = 5;
/** Says that it heard nothing from this version on. */
const NACK_VERSION = 4;
/** Answers pings by TCP from this version on. */
const TCP_PING_VERSION = 3;
const NO_META = new Uint8Array(0);

/** A node of the cluster, as another one knows it. */
export class Member {
	readonly name: string;
	ip: Ip4;
	port: number;
	meta: Uint8Array = NO_META;
	/** Versions; all nodes that speak the same share one array. */
	vsn: Uint8Array = VERSIONS;
	incarnation = 0;
	state: MemberState = "dead";
	/** Since when. */
	since: Instant = 0;
	/** While it is suspect. */
	suspicion: Suspicion | undefined;
	/** Many nodes have it in common: nobody changes it, each that has to makes one of its own (`Members.own`). */
	common = false;

	constructor(name: string, ip: Ip4, port: number) {
		this.name = name;
		this.ip = ip;
		this.port = port;
	}

	/** A node as others know it that know nothing but that it has been there for long. */
	static common({ name, ip, port }: Member): Member {
		const member = new Member(name, ip, port);
		member.incarnation = 1;
		member.state = "alive";
		member.common = true;
		return member;
	}

	/** The same, to be changed. */
	copy(): Member {
		const { name, ip, port, meta, vsn, incarnation, state, since } = this;
		return Object.assign(new Member(name, ip, port), { meta, vsn, incarnation, state, since });
	}

	/** It was there, and is not. */
	get gone(): boolean {
		return this.state === "dead" || this.state === "left";
	}

	/** It is sent checksums. */
	get takesCrc(): boolean {
		return this.#highest >= CRC_VERSION;
	}

	/** It says when a ping on behalf of another one was not answered. */
	get sendsNacks(): boolean {
		return this.#highest >= NACK_VERSION;
	}

	/** It may be pinged by TCP. */
	get takesTcpPings(): boolean {
		return this.#highest >= TCP_PING_VERSION;
	}

	get #highest(): number {
		return this.vsn[1] ?? 0;
	}

	/** `0a1b2c3d4e5f/172.31.1.5`, as networkdb's log has it. */
	get text(): string {
		return `${this.name}/${formatIp4(this.ip)}`;
	}

	/** Takes over what it says of itself. */
	learn({ incarnation, meta, vsn }: Pick<memberlist.Alive, "incarnation" | "meta" | "vsn">): void {
		this.incarnation = incarnation;
		if (!isSame(meta, this.meta)) this.meta = meta.length === 0 ? NO_META : meta.slice();
		if (vsn.length >= VERSIONS.length && !isSame(vsn, this.vsn))
			this.vsn = isSame(vsn, VERSIONS) ? VERSIONS : vsn.slice();
	}

	/** Whether a message about it says nothing of another kind than is known. */
	says({ meta, vsn }: Pick<memberlist.Alive, "meta" | "vsn">): boolean {
		return isSame(meta, this.meta) && isSame(vsn, this.vsn);
	}
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => {
	if (a.length !== b.length) return false;
	for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
	return true;
};

/** An address as it stands in messages. */
export function octetsOf(ip: Ip4): Uint8Array {
	return Uint8Array.of(ip >>> 24, ip >>> 16, ip >>> 8, ip);
}

/** An address from a message; undefined when it is none of IPv4. */
export function ipOf(octets: Uint8Array): Ip4 | undefined {
	const [a, b, c, d] = octets;
	if (octets.length !== 4 || a === undefined || b === undefined || c === undefined || d === undefined)
		return undefined;
	return ((a << 24) | (b << 16) | (c << 8) | d) as Ip4;
}
