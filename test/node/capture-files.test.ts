import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { fileSink } from "../../src/node/index.ts";
import { readCapture } from "../../src/observe/index.ts";

const DATAGRAMS = 25_000;
const BURST = 50;

test("a capture of some interfaces goes to disk as it comes: of 100,000 frames never more than some thousand are kept", () => {
	const folder = mkdtempSync(join(tmpdir(), "vethwork-"));
	const path = join(folder, "some.pcapng");
	try {
		const lab = new Lab({ seed: 1 });
		const { docker } = lab.host("node1", { nics: { eth0: { address: "192.0.2.1/24" } } });
		docker.networks.create("net");
		const [a, b] = ["from", "to"].map((name) => docker.run({ name, network: "net" }));
		if (a === undefined || b === undefined) throw new Error("there are two containers");
		const sink = fileSink(path);
		// Both ends of both veth pairs, and neither the bridge nor the card.
		const capture = lab.capture(["*:veth*", "*:eth0"]).streamTo(sink);
		const socket = a.netns.udp();
		const { scheduler } = lab.world;
		let kept = 0;
		b.netns.udp({ port: 9 });
		for (let sent = 0; sent < DATAGRAMS; sent += BURST) {
			for (let i = 0; i < BURST; i++) socket.send(new Uint8Array(100), { address: b.ip("net"), port: 9 });
			scheduler.runUntil(scheduler.now + 1_000_000);
			kept = Math.max(kept, capture.log.size - capture.log.first);
		}
		capture.stop();
		sink.close();
		const { packets, problem } = readCapture(Uint8Array.from(readFileSync(path)));
		expect(problem).toBeUndefined();
		expect(packets.filter(({ data }) => data.length === 142)).toHaveLength(4 * DATAGRAMS);
		expect(kept).toBeLessThanOrEqual(4096);
	} finally {
		rmSync(folder, { recursive: true });
	}
});
