import { describe, expect, test } from "vitest";
import { type Bridge, Lab, NetError } from "../../src/index.ts";
import { readCapture } from "../../src/observe/index.ts";

/** Bridges in a ring, all in one namespace, nothing to break the loop. */
function ring(bridges: number) {
	const lab = new Lab({ seed: 1 });
	const ns = lab.netns("ring");
	const all: Bridge[] = Array.from({ length: bridges }, (_, i) => {
		const bridge = ns.addBridge(`br${String(i)}`);
		bridge.up();
		return bridge;
	});
	for (const [i, bridge] of all.entries()) {
		const next = all[(i + 1) % bridges];
		const ends = lab.veth({ ns, name: `r${String(i)}` }, { ns, name: `l${String(i)}` });
		bridge.attach(ends[0]);
		next?.attach(ends[1]);
		for (const end of ends) end.up();
	}
	const host = lab.netns("host");
	const [eth0, port] = lab.veth({ ns: host, name: "eth0" }, { ns, name: "host" });
	all[0]?.attach(port);
	port.up();
	eth0.addAddress("10.0.0.1/24");
	eth0.up();
	return { lab, host };
}

describe("a loop that nothing breaks", () => {
	test("of 64 bridges stops with an error that names them, and the capture up to there can be saved", async () => {
		const { lab, host } = ring(64);
		const capture = lab.capture("ring:r*");
		const failure: unknown = await host.ping("10.0.0.2", { count: 1 }).then(
			() => undefined,
			(error: unknown) => error,
		);
		expect(failure).toBeInstanceOf(NetError);
		expect(failure).toMatchObject({ code: "ELOOP" });
		expect(String(failure)).toMatch(/broadcast storm: one frame crossed 4096 wires, by way of ring:br\d+/);
		const file = readCapture(capture.toPcapng());
		expect(file.problem).toBeUndefined();
		expect(file.packets.length).toBeGreaterThan(4000);
	});

	test("where each frame becomes two stops as soon as too many are on their way", async () => {
		const lab = new Lab({ seed: 1, maxPending: 20_000 });
		const ns = lab.netns("mesh");
		const [a, b] = [ns.addBridge("a"), ns.addBridge("b")];
		for (const bridge of [a, b]) bridge.up();
		for (let i = 0; i < 3; i++) {
			const ends = lab.veth({ ns, name: `a${String(i)}` }, { ns, name: `b${String(i)}` });
			a.attach(ends[0]);
			b.attach(ends[1]);
			for (const end of ends) end.up();
		}
		a.addAddress("10.0.0.1/24");
		await expect(ns.ping("10.0.0.2", { count: 1 })).rejects.toMatchObject({
			code: "ELOOP",
			message: expect.stringMatching(
				/frames are on their way at once, by way of mesh:[ab], mesh:[ab]/,
			) as unknown,
		});
	});
});
