import type { DropReason } from "../drop.ts";
import { dissect, libnetwork, memberlist, memberlistPacket, networkdb } from "../wire/index.ts";
import type { Capture } from "./capture.ts";

/** Layers of networkdb within each other: a compound in a bulk sync. */
const DEEPEST = 4;
const CHANGES = ["", "create", "update", "delete"];

/** A datagram of the gossip, opened. */
export interface GossipSight {
	/** Virtual nanoseconds since the lab's epoch. */
	readonly time: number;
	/** Addresses. */
	readonly from: string;
	readonly to: string;
	/** Octets of UDP payload. */
	readonly octets: number;
	/** What it says, a message each. */
	readonly messages: readonly string[];
}

/** The datagrams of port 7946 at one interface, opened with the cluster's keys (`swarm.keys`, hexadecimal). */
export function gossipSights(capture: Capture, place: string, keys: readonly string[]): GossipSight[] {
	return capture.sightings(place).flatMap(({ data, time }): GossipSight[] => {
		const layers = dissect(data);
		const field = (name: string): string =>
			layers.flatMap(({ fields }) => fields).find((each) => each.name === name)?.text ?? "";
		const udp = layers.findIndex(({ protocol }) => protocol === "udp");
		const payload = layers[udp + 1];
		const port = String(memberlist.PORT);
		if (udp < 0 || payload === undefined || field("udp.destinationPort") !== port) return [];
		const octets = data.subarray(payload.at, payload.at + payload.octets);
		const [from, to] = [field("ipv4.source"), field("ipv4.destination")];
		return [{ time, from, to, octets: octets.length, messages: readGossip(octets, keys) }];
	});
}

/** What a datagram of the gossip says, a line for each message; one that cannot be read is its drop reason. */
export function readGossip(payload: Uint8Array, keys: readonly string[]): string[] {
	const lines: string[] = [];
	memberlistPacket.openPacket(payload, keys.map(gossipKey), {
		heard: (octets) => {
			const message = memberlist.read(octets);
			if (typeof message === "string") lines.push(message);
			else if (message.type === "user") lines.push(...networkdbLines(message.payload, 0));
			else lines.push(memberlistLine(message));
		},
		dropped: (reason) => lines.push(reason),
	});
	return lines;
}

const gossipKey = (hex: string): memberlistPacket.GossipKey =>
	new memberlistPacket.GossipKey(
		Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)),
	);

function memberlistLine(message: Exclude<memberlist.Message, memberlist.User>): string {
	const address = (octets: Uint8Array): string => octets.join(".");
	switch (message.type) {
		case "ping":
			return `ping ${message.node}, SeqNo ${String(message.seqNo)}`;
		case "indirect-ping":
			return `indirect ping ${message.node} at ${address(message.target)}, SeqNo ${String(message.seqNo)}`;
		case "ack":
		case "nack":
			return `${message.type}, SeqNo ${String(message.seqNo)}`;
		case "suspect":
		case "dead":
			return `${message.type} ${message.node}, incarnation ${String(message.incarnation)}, says ${message.from}`;
		case "alive":
			return `alive ${message.node} at ${address(message.addr)}:${String(message.port)}, incarnation ${String(message.incarnation)}`;
		case "err":
			return `err ${message.error}`;
	}
}

function networkdbLines(octets: Uint8Array, depth: number): string[] {
	const outer = networkdb.gossipMessage.read(octets);
	if (typeof outer === "string") return [outer];
	const { type, data } = outer;
	const { TYPE, MEMBERSHIP } = networkdb;
	switch (type) {
		case TYPE.NETWORK_EVENT:
			return said(networkdb.networkEvent.read(data), (event) => [
				`network event: ${event.nodeName} ${event.type === MEMBERSHIP.JOIN ? "joins" : "leaves"} ${event.networkId}, time ${String(event.lTime)}`,
			]);
		case TYPE.NODE_EVENT:
			return said(networkdb.nodeEvent.read(data), (event) => [
				`node event: ${event.nodeName} ${event.type === MEMBERSHIP.JOIN ? "joins" : "leaves"}, time ${String(event.lTime)}`,
			]);
		case TYPE.TABLE_EVENT:
			return said(networkdb.tableEvent.read(data), (event) => [
				`table event: ${event.nodeName} ${CHANGES[event.type] ?? "?"}s in ${event.tableName} of ${event.networkId}, time ${String(event.lTime)}: ${valueText(event)}`,
			]);
		case TYPE.BULK_SYNC:
			return said(networkdb.bulkSyncMessage.read(data), ({ nodeName, networks, payload }) => [
				`bulk sync of ${nodeName}: ${networks.join(", ")}`,
				...(depth < DEEPEST ? networkdbLines(payload, depth + 1) : []),
			]);
		case TYPE.COMPOUND:
			return said(networkdb.readCompound(data), (parts) =>
				depth < DEEPEST ? parts.flatMap((part) => networkdbLines(part, depth + 1)) : [],
			);
		default:
			return [`networkdb message of type ${String(type)}`];
	}
}

const said = <T>(message: T | DropReason, lines: (message: T) => string[]): string[] =>
	typeof message === "string" ? [message] : lines(message);

/** What an entry of libnetwork's tables says. */
function valueText({ tableName, value }: networkdb.TableEvent): string {
	if (tableName === libnetwork.TABLE.overlayPeer) {
		const peer = libnetwork.peerRecord.read(value);
		if (typeof peer === "string") return peer;
		return `${peer.endpointIp} ${peer.endpointMac} behind ${peer.tunnelEndpointIp}`;
	}
	if (tableName !== libnetwork.TABLE.endpoint) return `${String(value.length)} octets`;
	const endpoint = libnetwork.endpointRecord.read(value);
	if (typeof endpoint === "string") return endpoint;
	const { name, endpointIp, serviceName, virtualIp, serviceDisabled } = endpoint;
	const service = serviceName === "" ? "" : `, service ${serviceName}, VIP ${virtualIp}`;
	return `${name} is ${endpointIp}${service}${serviceDisabled ? ", winding down" : ""}`;
}
