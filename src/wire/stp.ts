// Bridge protocol data units of the spanning tree protocol behind LLC 42 42 03, IEEE 802.1D-1998 §9.
//   | protocol 2 (0) | version 1 (0) | type 1 | flags 1 | root 8 | root cost 4 | bridge 8 | port 2 |
//   | message age 2 | max age 2 | hello time 2 | forward delay 2 |       times in 1/256 s
// A topology change notification ends behind the type.
import type { Mac } from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { macAt, setMac } from "./ethernet.ts";
import { checkField, header } from "./layout.ts";

const HEADER = header({
	protocol: 2,
	version: 1,
	type: 1,
	flags: 1,
	rootPriority: 2,
	rootMac: 6,
	rootCost: 4,
	bridgePriority: 2,
	bridgeMac: 6,
	port: 2,
	messageAge: 2,
	maxAge: 2,
	helloTime: 2,
	forwardDelay: 2,
});
const AT = HEADER.at;
/** Octets of a configuration BPDU. */
export const CONFIG_OCTETS: number = HEADER.octets;
/** Octets of a topology change notification. */
export const TCN_OCTETS: number = AT.flags;
/** Type of a configuration BPDU. */
export const CONFIG = 0x00;
/** Type of a topology change notification. */
export const TCN = 0x80;
/** Flag: the topology changed lately. */
export const TOPOLOGY_CHANGE = 0x01;
/** Flag: a notification was heard. */
export const TOPOLOGY_CHANGE_ACK = 0x80;
/** Units of its times in a second. */
export const TICKS_PER_SECOND = 256;

/** Who a bridge is: the lower, the better a root. */
export interface BridgeId {
	/** 0 to 65535, in steps of 4096 by custom. */
	readonly priority: number;
	readonly mac: Mac;
}

/** What a configuration BPDU means. Times in 1/256 s. */
export interface ConfigBpdu {
	readonly type: typeof CONFIG;
	/** TOPOLOGY_CHANGE and TOPOLOGY_CHANGE_ACK; other bits are kept. */
	readonly flags: number;
	readonly root: BridgeId;
	readonly rootCost: number;
	readonly bridge: BridgeId;
	/** Priority (6 bits) and number (10 bits) of the sending port. */
	readonly port: number;
	readonly messageAge: number;
	readonly maxAge: number;
	readonly helloTime: number;
	readonly forwardDelay: number;
}

/** What a topology change notification means: no more than that it is one. */
export interface TcnBpdu {
	readonly type: typeof TCN;
}

/** One BPDU. */
export type Bpdu = ConfigBpdu | TcnBpdu;

/** Octets of a BPDU. */
export const octets = (bpdu: Bpdu): number => (bpdu.type === TCN ? TCN_OCTETS : CONFIG_OCTETS);

/** Bytes → meaning. Later versions of the protocol (RSTP, MSTP) are not understood. */
export function read(v: DataView, at: number, end: number): Bpdu | DropReason {
	if (end - at < TCN_OCTETS) return "stp-truncated";
	if (v.getUint16(at + AT.protocol) !== 0 || v.getUint8(at + AT.version) !== 0) return "stp-unsupported";
	const type = v.getUint8(at + AT.type);
	if (type === TCN) return { type };
	if (type !== CONFIG) return "stp-unsupported";
	if (end - at < CONFIG_OCTETS) return "stp-truncated";
	return {
		type,
		flags: v.getUint8(at + AT.flags),
		root: { priority: v.getUint16(at + AT.rootPriority), mac: macAt(v, at + AT.rootMac) },
		rootCost: v.getUint32(at + AT.rootCost),
		bridge: { priority: v.getUint16(at + AT.bridgePriority), mac: macAt(v, at + AT.bridgeMac) },
		port: v.getUint16(at + AT.port),
		messageAge: v.getUint16(at + AT.messageAge),
		maxAge: v.getUint16(at + AT.maxAge),
		helloTime: v.getUint16(at + AT.helloTime),
		forwardDelay: v.getUint16(at + AT.forwardDelay),
	};
}

/** Meaning → bytes. Throws RangeError for a field too large. */
export function write(v: DataView, at: number, bpdu: Bpdu): void {
	if (bpdu.type === CONFIG) {
		checkField("stp.flags", bpdu.flags, 8);
		checkField("stp.root.priority", bpdu.root.priority, 16);
		checkField("stp.rootCost", bpdu.rootCost, 32);
		checkField("stp.bridge.priority", bpdu.bridge.priority, 16);
		checkField("stp.port", bpdu.port, 16);
		checkField("stp.messageAge", bpdu.messageAge, 16);
		checkField("stp.maxAge", bpdu.maxAge, 16);
		checkField("stp.helloTime", bpdu.helloTime, 16);
		checkField("stp.forwardDelay", bpdu.forwardDelay, 16);
	}
	v.setUint16(at + AT.protocol, 0);
	v.setUint8(at + AT.version, 0);
	v.setUint8(at + AT.type, bpdu.type);
	if (bpdu.type === TCN) return;
	v.setUint8(at + AT.flags, bpdu.flags);
	v.setUint16(at + AT.rootPriority, bpdu.root.priority);
	setMac(v, at + AT.rootMac, bpdu.root.mac);
	v.setUint32(at + AT.rootCost, bpdu.rootCost);
	v.setUint16(at + AT.bridgePriority, bpdu.bridge.priority);
	setMac(v, at + AT.bridgeMac, bpdu.bridge.mac);
	v.setUint16(at + AT.port, bpdu.port);
	v.setUint16(at + AT.messageAge, bpdu.messageAge);
	v.setUint16(at + AT.maxAge, bpdu.maxAge);
	v.setUint16(at + AT.helloTime, bpdu.helloTime);
	v.setUint16(at + AT.forwardDelay, bpdu.forwardDelay);
}
