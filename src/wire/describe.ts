import { dissect, type Field, type Layer } from "./dissect.ts";

/**
 * A frame in one line, as a person would tell it, tunnels in brackets:
 * `10.0.1.6 > 10.0.1.8 ICMP echo request, id 1, seq 1, ttl 64, 98 octets`.
 */
export function describe(bytes: Uint8Array): string {
	const layers = dissect(bytes).filter((layer) => !layer.quoted);
	const outer = layers.findIndex((layer) => layer.protocol === "vxlan");
	if (outer < 0) return `${tell(layers)}, ${String(bytes.length)} octets`;
	const inner = layers.slice(outer + 1);
	const vni = text(layers[outer], "vxlan.vni");
	return `${tell(layers.slice(0, outer))}, VXLAN ${vni} [${tell(inner)}], ${String(bytes.length)} octets`;
}

const ICMP_TEXT: Readonly<Record<string, string>> = {
	"0": "echo reply",
	"3": "unreachable",
	"4": "source quench",
	"5": "redirect",
	"8": "echo request",
	"11": "time exceeded",
	"12": "parameter problem",
	"13": "timestamp",
	"14": "timestamp reply",
};

function tell(layers: readonly Layer[]): string {
	const of = (protocol: string): Layer | undefined => layers.find((layer) => layer.protocol === protocol);
	const tags = layers
		.filter((layer) => layer.protocol === "vlan")
		.map((tag) => `vlan ${text(tag, "vlan.vid")} `);
	return tags.join("") + tellPacket(of);
}

function tellPacket(of: (protocol: string) => Layer | undefined): string {
	const arp = of("arp");
	if (arp !== undefined) {
		const target = text(arp, "arp.targetIp");
		const sender = text(arp, "arp.senderIp");
		if (text(arp, "arp.operation") === "request") return `ARP who has ${target}? tell ${sender}`;
		return `ARP ${sender} is at ${text(arp, "arp.senderMac")}`;
	}
	const stp = of("stp");
	if (stp !== undefined) {
		const flags = text(stp, "stp.flags");
		if (text(stp, "stp.type") === "TCN") return "STP topology change notification";
		const root = `${text(stp, "stp.rootPriority")}/${text(stp, "stp.rootMac")}`;
		return `STP ${flags === "" ? "" : `${flags} `}root ${root} cost ${text(stp, "stp.rootCost")} port ${text(stp, "stp.port")}`;
	}
	const malformed = of("malformed");
	const ip = of("ipv4") ?? of("ipv6");
	if (ip === undefined) {
		const ethernet = of("ethernet");
		const way = `${text(ethernet, "ethernet.src")} > ${text(ethernet, "ethernet.dst")}`;
		return malformed === undefined
			? `${way} type ${text(ethernet, "ethernet.type")}`
			: `${way} ${text(malformed, "malformed.data")}`;
	}
	const name = ip.protocol;
	const source = text(ip, `${name}.source`);
	const destination = text(ip, `${name}.destination`);
	const ttl = name === "ipv4" ? `, ttl ${text(ip, "ipv4.ttl")}` : "";
	const icmp = of("icmp");
	if (icmp !== undefined) {
		const type = text(icmp, "icmp.type");
		const id = text(icmp, "icmp.id");
		const echo =
			id === "" ? ` code ${text(icmp, "icmp.code")}` : `, id ${id}, seq ${text(icmp, "icmp.sequence")}`;
		return `${source} > ${destination} ICMP ${ICMP_TEXT[type] ?? `type ${type}`}${echo}${ttl}`;
	}
	const igmp = of("igmp");
	if (igmp !== undefined) return `${source} > ${destination} ${tellIgmp(igmp)}${ttl}`;
	for (const transport of ["udp", "tcp"]) {
		const layer = of(transport);
		if (layer === undefined) continue;
		const [from, to] = [text(layer, `${transport}.sourcePort`), text(layer, `${transport}.destinationPort`)];
		const flags = transport === "tcp" ? ` ${text(layer, "tcp.flags")}` : "";
		return `${source}:${from} > ${destination}:${to} ${transport.toUpperCase()}${flags}${ttl}`;
	}
	const esp = of("esp");
	if (esp !== undefined)
		return `${source} > ${destination} ESP spi ${text(esp, "esp.spi")}, seq ${text(esp, "esp.sequence")}${ttl}`;
	const offset = text(ip, "ipv4.fragmentOffset");
	const fragment = offset === "0" || offset === "" ? "" : ` fragment at ${offset}`;
	return `${source} > ${destination} ${name === "ipv4" ? `protocol ${text(ip, "ipv4.protocol")}` : "IPv6"}${fragment}${ttl}`;
}

const IGMP_TEXT: Readonly<Record<string, string>> = {
	"0x11": "query",
	"0x12": "v1 report",
	"0x16": "v2 report",
	"0x17": "v2 leave",
	"0x22": "v3 report",
};
const RECORD_TEXT = ["?", "is_in", "is_ex", "to_in", "to_ex", "allow", "block"];

/** `IGMP v3 report 239.1.1.1 to_ex {}`, records as tcpdump abbreviates them. */
function tellIgmp(layer: Layer): string {
	const type = text(layer, "igmp.type");
	let told = `IGMP ${IGMP_TEXT[type] ?? `type ${type}`}`;
	const group = text(layer, "igmp.group");
	if (group !== "" && group !== "0.0.0.0") told += ` ${group}`;
	const types = layer.fields.filter((field) => field.name === "igmp.recordType");
	const groups = layer.fields.filter((field) => field.name === "igmp.recordGroup");
	const counts = layer.fields.filter((field) => field.name === "igmp.sources");
	for (const [i, record] of groups.entries()) {
		const name = RECORD_TEXT[Number(types[i]?.value)] ?? `type ${types[i]?.text ?? ""}`;
		const sources = counts[i]?.text === "0" ? "{}" : `{${counts[i]?.text ?? ""} sources}`;
		told += ` ${record.text} ${name} ${sources}`;
	}
	return told;
}

const find = (layer: Layer | undefined, name: string): Field | undefined =>
	layer?.fields.find((field) => field.name === name);
const text = (layer: Layer | undefined, name: string): string => find(layer, name)?.text ?? "";
