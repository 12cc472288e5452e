import { describe, expect, test } from "vitest";
import { Lab, type NetError } from "../../src/index.ts";
import { tcp } from "../../src/wire/index.ts";
import { readCapture } from "../../src/observe/index.ts";

function pair() {
	const lab = new Lab({ seed: 1 });
	const node = lab.host("node");
	const outside = lab.netns("outside");
	const inside = node.addNetns("inside");
	const [a, b] = lab.veth({ ns: inside, name: "eth0" }, { ns: outside, name: "eth0" });
	a.addAddress("192.0.2.1/24");
	b.addAddress("192.0.2.2/24");
	for (const end of [a, b]) end.up();
	const capture = lab.capture("outside:eth0");
	/** Flags of the segments that `inside` sent, in order: "S", "A", "FA". */
	const said = (): string[] =>
		readCapture(capture.toPcapng()).packets.flatMap(({ data }) => {
			const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
			if (view.getUint16(12) !== 0x0800 || view.getUint32(26) !== 0xc0000201) return [];
			const flags = tcp.flags(view, 34);
			return [["F", "S", "R", "P", "A"].filter((_, bit) => (flags & (1 << bit)) !== 0).join("")];
		});
	return { lab, node, inside, outside, said };
}

describe("when the programs of a namespace end", () => {
	test("connections are closed for them, and the other side hears of it", async () => {
		const { lab, inside, outside, said } = pair();
		const server = outside.listen({ port: 80 });
		await inside.connect({ hostname: "192.0.2.2", port: 80 });
		const accepted = await server.accept();
		inside.endPrograms();
		await lab.advance("100ms");
		expect(said().at(-1)).toContain("F");
		expect(accepted.socket.state).toBe("close-wait");
	});

	test("what listened listens no more: a new connection is refused", async () => {
		const { inside, outside } = pair();
		inside.listen({ port: 80 });
		inside.udp({ port: 53 });
		inside.endPrograms();
		const refused = await outside
			.connect({ hostname: "192.0.2.1", port: 80 })
			.catch((error: unknown) => (error as NetError).code);
		expect(refused).toBe("ECONNREFUSED");
		expect(() => inside.udp({ port: 53 })).not.toThrow();
	});

	test("with their namespace connections go without a word, and no timer of theirs is left", async () => {
		const { lab, node, inside, outside, said } = pair();
		const server = outside.listen({ port: 80 });
		const stream = await inside.connect({ hostname: "192.0.2.2", port: 80 });
		const accepted = await server.accept();
		const before = said().length;
		node.delNetns("inside");
		expect(await stream.closed.catch((error: unknown) => (error as NetError).code)).toBe("ECONNABORTED");
		await lab.advance("100ms");
		expect(said()).toHaveLength(before);
		expect(accepted.socket.state).toBe("established");
		expect(inside.tcp.count).toBe(0);
	});
});
