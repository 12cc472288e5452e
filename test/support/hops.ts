import type { Capture } from "../../src/observe/index.ts";
import { dissect, type Layer } from "../../src/wire/index.ts";
import { value } from "./golden.ts";

/** Where a packet was seen, and what it said there. */
export interface Sight {
	readonly place: string;
	readonly direction: "in" | "out";
	readonly source: string;
	readonly destination: string;
	readonly ttl: number;
	/** Source and destination of the VXLAN packet it is in. */
	readonly outer: string | undefined;
}

const textOf = (layers: readonly Layer[], protocol: string, name: string): string =>
	layers.find((layer) => layer.protocol === protocol)?.fields.find((field) => field.name === name)?.text ??
	"";

/** One packet's sightings, by its journey's id. */
export function sights(capture: Capture, packet: number): Sight[] {
	return capture
		.sightings()
		.filter((row) => row.packet === packet)
		.map((row) => {
			const layers = dissect(row.data);
			const tunnel = layers.findIndex(({ protocol }) => protocol === "vxlan");
			const inner = tunnel < 0 ? layers : layers.slice(tunnel + 1);
			const end = (side: "source" | "destination"): string =>
				`${textOf(inner, "ipv4", `ipv4.${side}`)}:${textOf(inner, "tcp", `tcp.${side}Port`)}`;
			const outer = ["ipv4.source", "ipv4.destination"].map((name) => textOf(layers, "ipv4", name));
			return {
				// The daemon draws the names of veth pairs.
				place: (capture.interfaces[row.place] ?? "").replace(/:veth[0-9a-f]{7}$/, ":veth…"),
				direction: row.direction === 1 ? ("in" as const) : ("out" as const),
				source: end("source"),
				destination: end("destination"),
				ttl: Number(value(inner, "ipv4.ttl")),
				outer: tunnel < 0 ? undefined : `${outer.join(" > ")} VNI ${textOf(layers, "vxlan", "vxlan.vni")}`,
			};
		});
}

/** The way of a packet as a table: where, which way, addresses and TTL where they are others than before. */
export function hopTable(hops: readonly Sight[]): string {
	const head = ["interface", "", "source", "destination", "ttl", "in"];
	const rows = hops.map((hop, i) => {
		const before = hops[i - 1];
		const same = (of: (sight: Sight) => string | number): boolean =>
			before !== undefined && of(before) === of(hop);
		return [
			hop.place,
			hop.direction,
			same(({ source }) => source) ? '"' : hop.source,
			same(({ destination }) => destination) ? '"' : hop.destination,
			same(({ ttl }) => ttl) ? '"' : String(hop.ttl),
			hop.outer ?? "",
		];
	});
	const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
	return [head, ...rows]
		.map((row) =>
			row
				.map((cell, i) => cell.padEnd(widths[i] ?? 0))
				.join("  ")
				.trimEnd(),
		)
		.join("\n");
}
