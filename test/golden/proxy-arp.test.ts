import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { arping } from "../../src/apps/index.ts";
import { Comparison, recording } from "../support/golden.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// k4-proxy-arp: a 10.4.0.10/16 -- r 10.4.0.1/24, 10.4.1.1/24 -- b 10.4.1.20. One run through all cases, at
// the recorded instants, so that neighbour entries and their probes live on from case to case.
const START = 1795456030.9878;
const REQUEST_TO_ANSWER = 0.8; // proxy_delay: up to so much later, at random

async function replay() {
	// The ticks of the recorded machine (k6-ip-forwarding, 640 s later), and a seed whose draws (proxy delays, reachable_time) come in the order of the recorded ones.
	const lab = new Lab({ seed: 13, uptime: "256.2261s" });
	const [a, r, b] = [lab.netns("a"), lab.netns("r"), lab.netns("b")];
	const [aEth, rEth0] = lab.veth(
		{ ns: a, name: "eth0", mac: "02:00:00:00:04:01" },
		{ ns: r, name: "eth0", mac: "02:00:00:00:04:02" },
	);
	const [rEth1, bEth] = lab.veth(
		{ ns: r, name: "eth1", mac: "02:00:00:00:04:03" },
		{ ns: b, name: "eth0", mac: "02:00:00:00:04:04" },
	);
	for (const device of [aEth, rEth0, rEth1, bEth]) device.up();
	aEth.addAddress("10.4.0.10/16");
	bEth.addAddress("10.4.1.20/24");
	b.routes.add("default", { via: "10.4.1.1" });
	rEth0.addAddress("10.4.0.1/24");
	rEth1.addAddress("10.4.1.1/24");
	r.sysctl.set("net.ipv4.ip_forward", 1);
	const capture = lab.capture();
	const ask = (address: string, count = 1): void => void arping(a, aEth, address, { count, deadline: "3s" });
	await atInstants(
		lab,
		START,
		[
			[START, () => void a.ping("10.4.1.20", { count: 1, timeout: "1s" })],
			[START + 3.3, () => r.sysctl.set("net.ipv4.conf.eth0.proxy_arp", 1)],
			[START + 3.4, () => a.neigh.flush()],
			[1795456034.52046, () => void a.ping("10.4.1.20", { count: 2 })],
			[1795456035.63256, () => void a.ping("10.4.1.99", { count: 1, timeout: "1s" })],
			[1795456036.84674, () => ask("10.4.1.20", 3)],
			[1795456040.26434, () => ask("10.4.0.77")],
			[1795456041.39203, () => ask("10.4.200.1")],
			[1795456046.9, () => r.routes.add("default", { via: "10.4.1.20" })],
			[1795456047.02425, () => ask("10.4.200.1")],
			[1795456047.98503, () => ask("8.8.8.8")],
			[1795456052, () => r.sysctl.set("net.ipv4.conf.eth0.proxy_arp", 0)],
			[1795456081.8, () => r.sysctl.set("net.ipv4.neigh.eth0.proxy_delay", 0)],
			[1795456081.85, () => r.sysctl.set("net.ipv4.conf.eth0.proxy_arp", 1)],
			[1795456081.9, () => a.neigh.flush()],
			[1795456081.95277, () => void a.ping("10.4.1.20", { count: 1 })],
			[1795456082.21398, () => ask("10.4.1.20", 2)],
			[1795456086, () => r.sysctl.set("net.ipv4.conf.eth0.proxy_arp", 0)],
			[1795456086.1, () => rEth1.addAddress("10.4.9.9/32")],
			[1795456086.2, () => a.neigh.flush()],
			[1795456088.33972, () => ask("10.4.9.9")],
			[1795456088.46367, () => ask("10.4.1.1")],
			[1795456088.9, () => r.sysctl.set("net.ipv4.conf.all.arp_ignore", 1)],
			[1795456089.06282, () => ask("10.4.9.9")],
		],
		1795456091,
	);
	return capture;
}

describe("a router that answers ARP for others does it as Linux does", () => {
	test("Wireshark finds nothing wrong in the whole capture", async () => {
		const capture = await replay();
		await expectCleanInWireshark(capture.toPcapng());
	});

	test.each([
		["off", "no answer without proxy_arp", 0.06],
		[
			"on",
			"answers after a random delay, at once to unicast; never for its own side",
			REQUEST_TO_ANSWER + 0.1,
		],
		["on-default", "with a default route it answers for anything", REQUEST_TO_ANSWER],
		["delay0", "proxy_delay 0 answers at once", 0.06],
		["weakhost", "answers on any device for any address it has, until arp_ignore forbids it", 0.3],
	] as const)("%s: %s", async (name, _, tolerance) => {
		const capture = await replay();
		const comparison = new Comparison({ time: tolerance });
		const differences = ["a", "b"].flatMap((ns) => {
			const recorded = recording(`k4-proxy-arp/${name}-${ns}`);
			const [from, to] = WINDOWS[name];
			const ours = emulated(capture, `${ns}:eth0`, from - START, to - START);
			return comparison.differences(`${name}-${ns}`, recorded, ours, START);
		});
		expect(differences).toEqual([]);
	});
});

/** When each capture ran. */
const WINDOWS = {
	off: [START - 1, START + 2],
	on: [START + 3.4, 1795456042],
	"on-default": [1795456046.9, 1795456049],
	delay0: [1795456081.9, 1795456084],
	weakhost: [1795456086.2, 1795456090],
} as const;
