import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";

/** Hosts 10.0.0.1, 10.0.0.2 … on one bridge. */
function segment(hosts: number) {
	const lab = new Lab({ seed: 1 });
	const lan = lab.netns("lan");
	const br0 = lan.addBridge("br0");
	br0.up();
	const all = Array.from({ length: hosts }, (_, i) => {
		const ns = lab.netns(`h${String(i + 1)}`);
		const [eth0, port] = lab.veth({ ns, name: "eth0" }, { ns: lan, name: `p${String(i)}` });
		br0.attach(port);
		port.up();
		eth0.addAddress(`10.0.0.${String(i + 1)}/24`);
		eth0.up();
		return ns;
	});
	return { lab, all };
}

const at = (all: readonly Netns[], i: number): Netns => {
	const ns = all[i];
	if (ns === undefined) throw new Error("no such host");
	return ns;
};

describe("ping prints what iputils' prints", () => {
	// The words of k6-ip-forwarding/commands.log.
	test("nobody at the address: four errors at once, and four in the pipe", async () => {
		const { all } = segment(2);
		const result = await at(all, 0).ping("10.0.0.99", { count: 4, interval: "500ms", timeout: "3s" });
		expect(result.text().replace(/time \d+ms/, "time 3085ms")).toBe(
			[
				"PING 10.0.0.99 (10.0.0.99) 56(84) bytes of data.",
				"From 10.0.0.1 icmp_seq=1 Destination Host Unreachable",
				"From 10.0.0.1 icmp_seq=2 Destination Host Unreachable",
				"From 10.0.0.1 icmp_seq=3 Destination Host Unreachable",
				"From 10.0.0.1 icmp_seq=4 Destination Host Unreachable",
				"",
				"--- 10.0.0.99 ping statistics ---",
				"4 packets transmitted, 0 received, +4 errors, 100% packet loss, time 3085ms",
				"pipe 4",
			].join("\n"),
		);
	});

	test("one of three lost is 33.3333 %", async () => {
		const { all } = segment(2);
		at(all, 1).iptables("-A INPUT -p icmp -m statistic --mode nth --every 3 --packet 1 -j DROP");
		const result = await at(all, 0).ping("10.0.0.2", { count: 3, interval: "100ms", timeout: "1s" });
		expect(result.text()).toContain("3 packets transmitted, 2 received, 33.3333% packet loss");
	});

	test("a broadcast is answered by many: all but the first answer are duplicates", async () => {
		const { all } = segment(4);
		for (const host of all) host.sysctl.set("net.ipv4.icmp_echo_ignore_broadcasts", 0);
		const result = await at(all, 0).ping("10.0.0.255", { count: 1, broadcast: true, timeout: "1s" });
		const lines = result.text().split("\n");
		expect(lines.filter((line) => line.includes("bytes from")).length).toBeGreaterThanOrEqual(1);
		expect(result.received).toBe(1);
	});
});
