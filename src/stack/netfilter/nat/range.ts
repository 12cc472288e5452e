import type { Rng } from "../../../sim/index.ts";
import { keyedHash } from "../../../sim/index.ts";
import { ipv4 } from "../../../wire/index.ts";
import type { Flow } from "../conntrack/flow.ts";
import type { FlowTable } from "../conntrack/flow-table.ts";
import type { Manip } from "./translate.ts";

/** What a flow may be translated to (`struct nf_nat_range2`). Addresses are signed 32-bit integers. */
export interface NatRange {
	readonly address?: readonly [number, number];
	/** Ports, or ICMP identifiers. */
	readonly ports?: readonly [number, number];
	/** Begins with a port at random even when the own one is free. */
	readonly random?: boolean;
	/** The same address for a source, whoever it speaks to. */
	readonly persistent?: boolean;
	/** A port keeps its distance from this one: ranges are shifted. */
	readonly shiftFrom?: number;
}

/** The fields of a tuple that is being chosen. */
export interface Choice {
	source: number;
	destination: number;
	ports: number;
}

/** Ports tried from one start (`NF_NAT_MAX_ATTEMPTS`). */
const MOST_ATTEMPTS = 128;
/** Ports that a source port of the same class may become, by what it was (first, last). */
const CLASSES = [
	[511, 1, 511],
	[1023, 600, 1023],
	[65_535, 1024, 65_535],
] as const;

/**
 * The tuple a flow's packets get in one half: in the range, with the own port where that is free, and never one
 * whose answers are another flow's while any is left. Reference: `get_unique_tuple`,
 * `nf_nat_l4proto_unique_tuple` of Linux 6.1.
 */
export function uniqueTuple(
	table: FlowTable,
	flow: Flow,
	current: Readonly<Choice>,
	manip: Manip,
	range: NatRange,
	rng: Rng,
): Choice {
	const choice: Choice = { source: current.source, destination: current.destination, ports: current.ports };
	const taken = (): boolean => table.isAnswerTaken(choice.source, choice.destination, choice.ports, flow);
	const icmp = flow.protocol === ipv4.PROTOCOL_ICMP;
	const portNow = (): number => (icmp || manip === "source" ? choice.ports >>> 16 : choice.ports & 0xffff);
	const random = range.random === true;

	if (manip === "source" && !random && isInRange(range, choice.source, portNow()) && !taken()) return choice;
	if (range.address !== undefined) {
		const address = chooseAddress(range.address, current, range.persistent === true);
		if (manip === "source") choice.source = address;
		else choice.destination = address;
	}
	if (!random) {
		const { ports } = range;
		if (ports === undefined) {
			if (!taken()) return choice;
		} else if (
			range.shiftFrom === undefined &&
			portNow() >= ports[0] &&
			portNow() <= ports[1] &&
			(ports[0] === ports[1] || !taken())
		)
			return choice;
	}

	const [first, last] = window(range, manip, icmp, flow.protocol, portNow());
	if (last < first) return choice;
	const setPort = (port: number): void => {
		choice.ports =
			icmp || manip === "source" ? (port << 16) | (choice.ports & 0xffff) : (choice.ports & ~0xffff) | port;
	};
	const size = last - first + 1;
	let offset =
		range.shiftFrom !== undefined
			? (portNow() - range.shiftFrom) & 0xffff
			: random || manip === "source"
				? rng.below(0x1_0000)
				: 0;
	for (let attempts = Math.min(size, MOST_ATTEMPTS); ; attempts >>= 1) {
		for (let i = 0; i < attempts; i++, offset++) {
			setPort(first + (offset % size));
			if (!taken()) return choice;
		}
		if (attempts >= size || attempts < 16) return choice;
		offset = rng.below(0x1_0000);
	}
}

function isInRange(range: NatRange, address: number, port: number): boolean {
	if (range.address !== undefined) {
		const unsigned = address >>> 0;
		if (unsigned < range.address[0] >>> 0 || unsigned > range.address[1] >>> 0) return false;
	}
	return range.ports === undefined || (port >= range.ports[0] && port <= range.ports[1]);
}

/** One address of many: the same for the same pair of hosts (`find_best_ips_proto`). */
function chooseAddress(
	[first, last]: readonly [number, number],
	current: Readonly<Choice>,
	persistent: boolean,
): number {
	if (first === last) return first;
	const hash = keyedHash(0, 0, current.source, persistent ? 0 : current.destination, 0);
	const count = (last >>> 0) - (first >>> 0) + 1;
	return ((first >>> 0) + Math.floor((hash * count) / 2 ** 32)) | 0;
}

/** The first and last port that may be chosen; an empty one where ports cannot be. */
function window(
	range: NatRange,
	manip: Manip,
	icmp: boolean,
	protocol: number,
	port: number,
): readonly [number, number] {
	if (!icmp && protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP) return [1, 0];
	if (range.ports !== undefined) return range.ports;
	if (icmp) return [0, 65_535];
	// Nobody would answer at another port.
	if (manip === "destination") return [1, 0];
	const [, first, last] = CLASSES.find(([most]) => port <= most) ?? CLASSES[2];
	return [first, last];
}
