import { type Ip4, type Mac, parseIp4, parseMac, parsePrefix4, type Prefix4 } from "../../../addr/index.ts";
import { libnetwork } from "../../../wire/index.ts";

/** Where somebody says an endpoint is. */
export interface Peer {
	readonly endpointId: string;
	readonly address: Prefix4;
	readonly mac: Mac;
	/** The node it is on. */
	readonly vtep: Ip4;
	/** This node's own. */
	readonly local: boolean;
}

/** A record of `overlay_peer_table` as another node's peer; why it is none where it cannot be read. */
export function readPeer(endpointId: string, value: Uint8Array): Peer | string {
	const record = libnetwork.peerRecord.read(value);
	if (typeof record === "string") return record;
	const address = parsePrefix4(record.endpointIp);
	if (address === undefined) return "invalid peer IP";
	const mac = parseMac(record.endpointMac);
	if (mac === undefined) return "invalid mac";
	const vtep = parseIp4(record.tunnelEndpointIp);
	if (vtep === undefined) return "invalid VTEP";
	return { endpointId, address, mac, vtep, local: false };
}

/** Whether two claims are one. */
export const samePeer = (a: Peer, b: Peer): boolean =>
	a === b ||
	(a.endpointId === b.endpointId &&
		a.address.address === b.address.address &&
		a.address.length === b.address.length &&
		a.mac === b.mac &&
		a.vtep === b.vtep &&
		a.local === b.local);
