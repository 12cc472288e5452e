import type { Device } from "../../../link/index.ts";
import type { Frame } from "../../../wire/index.ts";
import type { InDevice } from "../../in-device.ts";
import type { Namespace } from "../../namespace.ts";
import type { Route } from "../../route.ts";
import type { Conntrack } from "../conntrack/conntrack.ts";
import type { HookPoint } from "../hooks.ts";
import type { Log } from "../log.ts";
import type { Nat } from "../nat/nat.ts";

/** The tables, in the order `iptables-save` prints them. */
export const TABLES = ["mangle", "security", "raw", "filter", "nat"] as const;
/** A table's name. */
export type TableName = (typeof TABLES)[number];

/** Where a packet is while rules look at it. One object per base chain, filled in for each packet. */
export class Situation {
	readonly point: HookPoint;
	inDevice: InDevice | null = null;
	out: Device | null = null;
	route: Route | null = null;

	constructor(point: HookPoint) {
		this.point = point;
	}
}

/** Answers that others than iptables know: plugged in by IPVS and IPsec. */
export interface Predicates {
	/** `-m ipvs --ipvs`: the packet is of a connection of IPVS. */
	ipvs: (frame: Frame) => boolean;
	/** `-m policy --pol ipsec`: the packet came through, or will go through, an IPsec transformation. */
	ipsec: (frame: Frame, direction: "in" | "out") => boolean;
}

/** What matches and targets may ask of the namespace they work in. */
export interface RuleHost {
	readonly ns: Namespace;
	/** Tracks connections from now on. */
	readonly conntrack: Conntrack;
	readonly nat: Nat;
	readonly log: Log;
	readonly predicates: Predicates;
}

/** What iptables' extensions have in common: options to be read, words to be printed. */
export interface Extension {
	/** As after `-m` or `-j`. */
	readonly name: string;
	/** Long options without dashes, and how many words follow each. */
	readonly options: Readonly<Record<string, number>>;
	/** Takes one option. Throws `NetError` for words that make no sense. */
	set(option: string, inverted: boolean, words: readonly string[]): void;
	/** All options are known. `protocol` is the rule's, 0 for any. Throws `NetError` where one is missing. */
	finish(protocol: number): void;
	/**
	 * It has the same to say to all packets of one direction of an established flow of UDP or TCP that come by one device
	 * with one mark, as long as `Namespace.generation` stays, segments that change a connection's state aside.
	 */
	readonly ofFlow?: boolean;
	/** Binds it to the namespace whose packets it will see. */
	bind?(host: RuleHost): void;
	/** As `iptables-save` prints it, a space in front of each word. */
	save(): string;
	/** As `iptables -L -n` prints it, a space in front. */
	show(): string;
}

/** A `-m` of a rule. */
export interface Match extends Extension {
	/** Whether the packet, which starts at its IPv4 header, is meant. Changes neither it nor its octets. */
	test(frame: Frame, at: Situation): boolean;
}

/** The packet ends here: `DROP`. */
export const DROPPED = 0;
/** The packet goes on behind this table: `ACCEPT`. */
export const ACCEPTED = 1;
/** The packet was taken. */
export const TAKEN = 2;
/** The next rule is asked. */
export const NEXT_RULE = 3;
/** The rules of this chain are at an end. */
export const RETURNED = 4;
/** One of the above. */
export type Outcome = 0 | 1 | 2 | 3 | 4;

/** A `-j` of a rule. */
export interface Target extends Extension {
	/** The tables it may stand in; all when absent. */
	readonly tables?: readonly TableName[];
	/** The hooks it may work at; all when absent. */
	readonly points?: readonly HookPoint[];
	/** Deals with a packet. Only with `TAKEN` the frame is not the caller's any more. */
	run(frame: Frame, at: Situation): Outcome;
}
