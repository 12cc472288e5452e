import type { Mac } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";

/** The TPID of a VLAN device's tags: 0x8100 or 0x88a8. */
export type VlanProtocol = "802.1Q" | "802.1ad";

/** Priorities to priorities, as in `egress-qos-map FROM:TO`: `{ 0: 5, 6: 7 }`. */
export type QosMap = Readonly<Record<number, number>>;

/** What `ip link add link … type vlan` takes. */
export interface VlanOptions {
	/** `802.1Q` unless said. */
	readonly protocol?: VlanProtocol;
	/** The lower device's, and with it when that changes, unless said. */
	readonly mac?: Mac | string;
	/** The lower device's unless said, and never more. */
	readonly mtu?: number;
	/** `reorder_hdr`: captures on the device see frames without its tag. On unless said. */
	readonly reorderHeader?: boolean;
	/** `loose_binding`: up and down whatever the lower device is. Off unless said. */
	readonly looseBinding?: boolean;
	/** `ingress-qos-map`: the tag's priority to the packet's. Everything to 0 unless said. */
	readonly ingressQosMap?: QosMap;
	/** `egress-qos-map`: the packet's priority to the tag's. Everything to 0 unless said. */
	readonly egressQosMap?: QosMap;
}

/** Largest VLAN id: 4095 is reserved (IEEE 802.1Q-2018 table 9-2). */
const MOST_ID = 4094;
const MOST_PRIORITY = 0xffff_ffff;

/** Throws `NetError` for an id that iproute2 (EINVAL) or the kernel (ERANGE) refuses. */
export function checkVlanId(id: number, place: string): void {
	if (Number.isInteger(id) && id >= 0 && id <= MOST_ID) return;
	const details = {
		remedy: `A VLAN id is a whole number from 1 to ${String(MOST_ID)}.`,
		context: { device: place, id },
	};
	if (!Number.isInteger(id) || id < 0 || id > 0xffff)
		throw new NetError("EINVAL", `Error: argument "${String(id)}" is wrong: id is invalid`, details);
	throw new NetError("ERANGE", "Error: 8021q: Invalid VLAN id.", details);
}

/** Throws `NetError` EINVAL for another protocol. */
export function checkProtocol(protocol: string): void {
	if (protocol === "802.1Q" || protocol === "802.1ad") return;
	throw new NetError("EINVAL", `Error: argument "${protocol}" is wrong: protocol is invalid`, {
		remedy: 'A protocol is "802.1Q" or "802.1ad".',
		context: { protocol },
	});
}

/** Throws `NetError` EINVAL for what iproute2 cannot read; the kernel takes any number and of a tag's priority three bits. */
export function checkMap(map: "ingress-qos-map" | "egress-qos-map", from: number, to: number): void {
	const isReadable = (value: number): boolean =>
		Number.isInteger(value) && value >= 0 && value <= MOST_PRIORITY;
	if (isReadable(from) && isReadable(to)) return;
	throw new NetError("EINVAL", `Error: argument "${String(from)}:${String(to)}" is wrong: invalid ${map}`, {
		remedy: "Priorities are whole numbers, a tag's from 0 to 7.",
		context: { from, to },
	});
}
