import { milliseconds, type Nanoseconds, seconds } from "../../sim/index.ts";

// memberlist's DefaultLANConfig, as networkdb leaves it.
/** Between two probes of a node. */
export const PROBE_INTERVAL: Nanoseconds = seconds(1);
/** How long a ping may take before others are asked. */
export const PROBE_TIMEOUT: Nanoseconds = milliseconds(500);
/** Between two rounds of gossip. */
export const GOSSIP_INTERVAL: Nanoseconds = milliseconds(200);
/** Nodes that one round of gossip goes to. */
export const GOSSIP_NODES = 3;
/** Dead nodes are still told for so long that they are said to be dead. */
export const GOSSIP_TO_THE_DEAD: Nanoseconds = seconds(30);
/** Nodes that are asked to ping for another one. */
export const INDIRECT_CHECKS = 3;
/** For connections: to come about, and for each read and write. */
export const TCP_TIMEOUT: Nanoseconds = seconds(10);
/** The longest packet that is gathered from broadcasts. */
export const PACKET_OCTETS = 1400;
/** Scores of health are below it. */
export const AWARENESS_MAX = 8;
const PUSH_PULL_INTERVAL = seconds(30);
const PUSH_PULL_SCALE_THRESHOLD = 32;
const RETRANSMIT_MULT = 4;
const SUSPICION_MULT = 4;
const SUSPICION_MAX_TIMEOUT_MULT = 6;

/** How often a broadcast is sent in a cluster of `nodes` (`retransmitLimit`). */
export const retransmitLimit = (nodes: number): number => RETRANSMIT_MULT * Math.ceil(Math.log10(nodes + 1));

/** From one push/pull to the next in a cluster of `nodes`: longer from the 33rd on (`pushPullScale`). */
export function pushPullInterval(nodes: number): Nanoseconds {
	if (nodes <= PUSH_PULL_SCALE_THRESHOLD) return PUSH_PULL_INTERVAL;
	return PUSH_PULL_INTERVAL * (Math.ceil(Math.log2(nodes) - Math.log2(PUSH_PULL_SCALE_THRESHOLD)) + 1);
}

/** How long a node is under suspicion before it is dead, and how many others are wanted to confirm it. */
export interface SuspicionTerms {
	/** With all confirmations. */
	readonly shortest: Nanoseconds;
	/** With none. */
	readonly longest: Nanoseconds;
	readonly confirmations: number;
}

/** The terms in a cluster of `nodes`; in small ones nobody is there to confirm. */
export function suspicionTerms(nodes: number): SuspicionTerms {
	const scale = Math.max(1, Math.log10(Math.max(1, nodes)));
	const shortest = SUSPICION_MULT * Math.floor(scale * 1000) * (PROBE_INTERVAL / 1000);
	const wanted = SUSPICION_MULT - 2;
	return {
		shortest,
		longest: SUSPICION_MAX_TIMEOUT_MULT * shortest,
		confirmations: nodes - 2 < wanted ? 0 : wanted,
	};
}

/** How long the suspicion lasts in all after so many confirmations (`remainingSuspicionTime`, without what passed). */
export function suspicionTimeout(
	{ shortest, longest, confirmations }: SuspicionTerms,
	confirmed: number,
): Nanoseconds {
	if (confirmations < 1) return shortest;
	const part = Math.log(confirmed + 1) / Math.log(confirmations + 1);
	const whole = Math.floor((longest - part * (longest - shortest)) / 1e6) * 1e6;
	return Math.max(whole, shortest);
}
