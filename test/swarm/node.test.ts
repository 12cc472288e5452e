import { describe, expect, test } from "vitest";
import { swarm, done } from "../support/swarm.ts";
import { tsharkFields } from "../support/wireshark.ts";
import { machines } from "../support/swarm.ts";

describe("a swarm", () => {
	test("x", async () => {
		const { lab, members } = machines(2);
		const capture = lab.capture();
		const [a, b] = members;
		const id = await done<string>(lab, (end) => a!.node.init({ advertiseAddr: "172.31.1.5" }, end));
		console.log(id, lab.now / 1e9, a!.node.info());
		const token = await done<string>(lab, (end) => a!.node.joinToken("worker", {}, end));
		console.log(token, lab.now / 1e9);
		await done(lab, (end) =>
			b!.node.join({ token, advertiseAddr: "172.31.1.6", remoteAddrs: ["172.31.1.5:2377"] }, end),
		);
		console.log(lab.now / 1e9, b!.node.info(), b!.engine.keys.length);
		await lab.advance("12s");
		console.log(JSON.stringify(await done(lab, (end) => a!.node.nodes(end))));
		console.log(
			tsharkFields(
				capture.toPcapng(),
				["frame.time_relative", "tcp.stream", "ip.src", "tcp.flags.str", "tcp.len", "tls.record.length"],
				'frame.interface_name=="node2:eth0" && tcp',
			)
				.map((r) => r.join(" "))
				.join("\n"),
		);
	});
	test("y", async () => {
		const { lab, members } = await swarm(3, 3);
		await lab.advance("3s");
		console.log(JSON.stringify(await done(lab, (end) => members[1]!.node.nodes(end)), null, 1));
		console.log(members.map((m) => m.reigns));
	});
});
