import { dissect, type Layer } from "../wire/index.ts";
import type { Capture } from "./capture.ts";
import type { Sighting } from "./capture-log.ts";

/** One place a packet was seen at. */
export interface Hop {
	/** Virtual nanoseconds since the lab's epoch. */
	readonly time: number;
	/** `namespace:device`. */
	readonly place: string;
	readonly direction: "in" | "out";
	/** Octets of the frame here. */
	readonly octets: number;
	/** Source and destination of the packet, with their ports; inside a tunnel those of the packet in it. */
	readonly inner: string;
	readonly ttl: number | undefined;
	/** Source and destination of the tunnel's packet. */
	readonly outer: string | undefined;
	readonly vni: number | undefined;
	/** Why it ended here, if it did. */
	readonly comment: string | undefined;
}

/** The way of one packet through the captured interfaces, by its journey's id. */
export function trace(capture: Capture, packet: number): Hop[] {
	return capture
		.sightings()
		.filter((row) => row.packet === packet)
		.map((row) => hop(capture, row));
}

/**
 * What packet is meant: one with a protocol ("icmp"), one whose fields read so (`{ "tcp.flags": "SYN" }`), or one whose layers
 * satisfy a function.
 */
export type PacketFilter =
	string | Readonly<Record<string, string>> | ((layers: readonly Layer[]) => boolean);

/** The first packet of a capture that is meant: its journey's id. */
export function findPacket(capture: Capture, which: PacketFilter): number | undefined {
	return capture.sightings().find((row) => fits(dissect(row.data), which))?.packet;
}

function fits(layers: readonly Layer[], which: PacketFilter): boolean {
	if (typeof which === "function") return which(layers);
	if (typeof which === "string") return layers.some(({ protocol }) => protocol === which);
	return Object.entries(which).every(([wanted, reading]) =>
		layers.some(({ fields }) => fields.some(({ name, text }) => name === wanted && text === reading)),
	);
}

function hop(capture: Capture, row: Sighting): Hop {
	const layers = dissect(row.data);
	const tunnel = layers.findIndex((layer) => layer.protocol === "vxlan");
	const innermost = tunnel < 0 ? layers : layers.slice(tunnel + 1);
	return {
		time: row.time,
		place: capture.interfaces[row.place] ?? "",
		direction: row.direction === 1 ? "in" : "out",
		octets: row.data.length,
		inner: addresses(innermost, ["tcp", "udp"]),
		ttl: number(innermost, "ipv4", "ipv4.ttl"),
		outer: tunnel < 0 ? undefined : addresses(layers.slice(0, tunnel)),
		vni: tunnel < 0 ? undefined : number(layers, "vxlan", "vxlan.vni"),
		comment: row.comment,
	};
}

/** Who speaks to whom; with the ports of these protocols. */
function addresses(layers: readonly Layer[], transports: readonly string[] = []): string {
	const ip = text(layers, "ipv4", "ipv4.source");
	if (ip === undefined) {
		const arp = text(layers, "arp", "arp.senderIp");
		if (arp !== undefined) return `${arp} > ${text(layers, "arp", "arp.targetIp") ?? ""} ARP`;
		return `${text(layers, "ethernet", "ethernet.src") ?? ""} > ${text(layers, "ethernet", "ethernet.dst") ?? ""}`;
	}
	const transport = transports.find((each) => text(layers, each, `${each}.sourcePort`) !== undefined);
	const port = (side: string): string =>
		transport === undefined ? "" : `:${text(layers, transport, `${transport}.${side}Port`) ?? ""}`;
	return `${ip}${port("source")} > ${text(layers, "ipv4", "ipv4.destination") ?? ""}${port("destination")}`;
}

function field(
	layers: readonly Layer[],
	protocol: string,
	name: string,
): Layer["fields"][number] | undefined {
	return layers
		.find((layer) => layer.protocol === protocol && !layer.quoted)
		?.fields.find((each) => each.name === name);
}

const text = (layers: readonly Layer[], protocol: string, name: string): string | undefined =>
	field(layers, protocol, name)?.text;

const number = (layers: readonly Layer[], protocol: string, name: string): number | undefined => {
	const value = field(layers, protocol, name)?.value;
	return typeof value === "number" ? value : undefined;
};

/** Hops as a table for people, one line each. */
export function hopTable(hops: readonly Hop[]): string {
	const head = ["us", "interface", "", "octets", "packet", "ttl", "outer packet", "vni"];
	const rows = hops.map((each) => [
		((each.time - (hops[0]?.time ?? 0)) / 1000).toFixed(1),
		each.place,
		each.direction,
		String(each.octets),
		each.inner,
		each.ttl === undefined ? "" : String(each.ttl),
		each.outer ?? "",
		each.vni === undefined ? "" : String(each.vni),
	]);
	const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
	const line = (row: readonly string[]): string =>
		row
			.map((cell, i) => cell.padEnd(widths[i] ?? 0))
			.join("  ")
			.trimEnd();
	return [line(head), ...rows.map(line)].join("\n");
}
