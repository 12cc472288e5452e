import type { Capture, Host } from "vethwork";
import { findPacket, hopTable, trace } from "vethwork/observe";
import { dissect } from "vethwork/wire";
import { threeNodes } from "./nodes.ts";
import type { Blocks } from "./page.ts";

/** The octets of a frame by fields: where, what they are, what they say. */
function octets(frame: Uint8Array): string {
	const lines: string[] = [];
	for (const layer of dissect(frame)) {
		lines.push(`${String(layer.at).padStart(3)}  ${layer.protocol}, ${String(layer.octets)} octets`);
		for (const { at, octets: length, name, text } of layer.fields) {
			const bytes = frame.subarray(at, at + Math.min(length, 8));
			const hex = Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join(" ");
			const rest = length > 8 ? " …" : "";
			const says = layer.protocol === "payload" ? `${String(length)} octets` : text;
			lines.push(`${String(at).padStart(5)}  ${`${hex}${rest}`.padEnd(26)} ${name.padEnd(22)} ${says}`);
		}
	}
	return lines.join("\n");
}

/** A packet's first sighting at an interface. */
function frameAt(capture: Capture, packet: number, place: string): Uint8Array {
	const found = capture.sightings(place).find((row) => row.packet === packet);
	if (found === undefined) throw new Error(`packet ${String(packet)} did not pass ${place}`);
	return found.data;
}

/** What the sandbox of a network knows of the other node's containers. */
function told(node: Host, network: { readonly id: string }): string {
	const sandbox = node.namespaces.get(`1-${network.id.slice(0, 10)}`);
	const neighbours = sandbox?.neigh.show({ dev: "vxlan0" }).map(({ text }) => text) ?? [];
	const fdb = sandbox?.bridgeTool.fdb({ dev: "vxlan0" }).text ?? "";
	return ["# ip neigh show dev vxlan0", ...neighbours, "# bridge fdb show dev vxlan0", fdb].join("\n");
}

/** docs/overlay.md: one echo request, clear and encrypted, octet by octet. */
export default async function overlay(): Promise<Blocks> {
	const { lab, node1, node2 } = await threeNodes();
	const ping = async (name: string, options: Readonly<Record<string, string>>) => {
		const about = { driver: "overlay", attachable: true, options };
		const network = await node1.docker.networks.create(name, about).ready;
		const from = await node1.docker.run({ name: `${name}-1`, network: name }).ready;
		const to = await node2.docker.run({ name: `${name}-2`, network: name }).ready;
		await lab.advance("1s");
		// The bridges learn where the containers are.
		await from.ping(to.name, { count: 1 });
		const capture = lab.capture();
		await from.ping(to.name, { count: 1 });
		return { network, capture, packet: findPacket(capture, "icmp") ?? 0 };
	};
	const clear = await ping("net", {});
	const secure = await ping("secure", { encrypted: "" });
	return {
		hops: hopTable(trace(clear.capture, clear.packet)),
		inner: octets(frameAt(clear.capture, clear.packet, "node1/net-1:eth0")),
		outer: octets(frameAt(clear.capture, clear.packet, "node1:eth0")),
		told: told(node1, clear.network),
		encrypted: octets(frameAt(secure.capture, secure.packet, "node1:eth0")),
	};
}
