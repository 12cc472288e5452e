import { describe, expect, test } from "vitest";
import { formatIp4, formatMac } from "../../src/addr/index.ts";
import { type BridgeOptions, Lab } from "../../src/index.ts";
import { describe as tell } from "../../src/wire/index.ts";

// net/bridge/br_multicast.c, br_multicast_join_snoopers: a bridge that snoops is in 224.0.0.106, as any member is.

/** A bridge of `sw` with an address, two hosts behind it, everything up but the bridge. */
function bridged(options: BridgeOptions = {}, address: string | null = "172.18.0.1/16") {
	const lab = new Lab({ seed: 1 });
	const sw = lab.netns("sw");
	const br0 = sw.addBridge("br0", { mac: "02:42:00:00:00:01", ...options });
	if (address !== null) br0.addAddress(address);
	for (const name of ["a", "b"]) {
		const [port, eth0] = lab.veth({ ns: sw, name }, { ns: lab.netns(name), name: "eth0" });
		br0.attach(port);
		for (const end of [port, eth0]) end.up();
	}
	const capture = lab.capture();
	const heard = (place: string) =>
		capture.sightings(place).map(({ time, data, direction }) => ({
			at: time / 1e6,
			text: tell(data),
			hex: Buffer.from(data).toString("hex"),
			direction,
		}));
	const said = () => heard("sw:br0").map(({ text }) => text.replace(/, ttl 1, \d+ octets$/, ""));
	const groups = () =>
		sw
			.igmp(sw.inDevice(br0)!)
			.groups()
			.map(({ group, users }) => `${formatIp4(group)} ${String(users)}`);
	return { lab, sw, br0, heard, said, groups };
}

const JOINED = "172.18.0.1 > 224.0.0.22 IGMP v3 report 224.0.0.106 to_ex {}";
const LEFT = "172.18.0.1 > 224.0.0.22 IGMP v3 report 224.0.0.106 to_in {}";

describe("a bridge that comes up", () => {
	test("reports that it is in the group of all snoopers, after two ticks and once more within a second, at every port", async () => {
		const { lab, br0, heard } = bridged();
		await lab.advance("1s");
		const began = lab.now / 1e6;
		br0.up();
		await lab.advance("60s");
		for (const place of ["sw:br0", "a:eth0", "b:eth0"]) {
			const reports = heard(place);
			expect(reports.map(({ text }) => text)).toEqual(new Array(2).fill(`${JOINED}, ttl 1, 54 octets`));
			const [first, second] = reports.map(({ at }) => at - began) as [number, number];
			expect(first).toBeGreaterThanOrEqual(8);
			expect(first).toBeLessThanOrEqual(12.1);
			expect(second - first).toBeGreaterThanOrEqual(8);
			expect(second - first).toBeLessThan(1012);
		}
		// As the recorded report of 239.1.1.1 (k2-vxlan-multi), with this source and group.
		expect(heard("sw:br0")[0]!.hex).toBe(
			[
				"01005e000016",
				"024200000001",
				"0800",
				"46c0002800004000010257e6ac120001e0000016",
				"94040000",
				"2200f9930000000104000000e000006a",
			].join(""),
		);
	});

	test("has no other's address to say it with: without one of its own it says it with 0.0.0.0", async () => {
		const { lab, sw, br0, said } = bridged({}, null);
		sw.loopback.addAddress("10.9.9.9/32");
		br0.up();
		await lab.advance("2s");
		expect(said()).toEqual(new Array(2).fill(JOINED.replace("172.18.0.1", "0.0.0.0")));
	});

	test("listens to it before it listens to all hosts, as ip maddress shows", () => {
		const { br0, groups } = bridged();
		expect(groups()).toEqual([]);
		br0.up();
		expect(groups()).toEqual(["224.0.0.1 1", "224.0.0.106 1"]);
		expect(br0.multicast.addresses().map(formatMac)).toEqual([
			"33:33:00:00:00:01",
			"01:00:5e:00:00:6a",
			"33:33:00:00:00:6a",
			"01:00:5e:00:00:01",
		]);
		br0.set({ mcastSnooping: false });
		br0.set({ mcastSnooping: true });
		expect(groups()).toEqual(["224.0.0.106 1", "224.0.0.1 1"]);
		br0.down();
		expect(groups()).toEqual([]);
		expect(br0.multicast.addresses().map(formatMac)).toEqual(["33:33:00:00:00:01"]);
	});

	test("says nothing as it goes down, and all again when it comes back", async () => {
		const { lab, br0, said } = bridged();
		br0.up();
		await lab.advance("2s");
		br0.down();
		await lab.advance("2s");
		expect(said()).toHaveLength(2);
		br0.up();
		await lab.advance("2s");
		expect(said()).toHaveLength(4);
	});

	test("says nothing if it does not snoop; snooping switched on and off is reported", async () => {
		const { lab, br0, said, groups } = bridged({ mcastSnooping: false });
		br0.up();
		await lab.advance("2s");
		expect([said(), groups()]).toEqual([[], ["224.0.0.1 1"]]);
		br0.set({ mcastSnooping: true });
		await lab.advance("2s");
		expect([said(), groups()]).toEqual([
			[JOINED, JOINED],
			["224.0.0.106 1", "224.0.0.1 1"],
		]);
		br0.set({ mcastSnooping: false });
		await lab.advance("2s");
		expect([said().slice(2), groups()]).toEqual([[LEFT, LEFT], ["224.0.0.1 1"]]);
	});

	test.each([
		[2, "172.18.0.1 > 224.0.0.106 IGMP v2 report 224.0.0.106"],
		[3, "172.18.0.1 > 224.0.0.22 IGMP v3 report 224.0.0.106 is_ex {}"],
	] as const)(
		"answers the querier in its version, %i, also when it is that itself; a group of the link is in no mdb",
		async (mcastIgmpVersion, report) => {
			const { lab, sw, br0, said } = bridged({ mcastQuerier: true, mcastIgmpVersion });
			br0.up();
			await lab.advance("20s");
			expect(said()).toContain(report);
			expect(sw.bridgeTool.mdb().text).toBe("");
		},
	);
});

describe("the report in its own host", () => {
	test("is tracked as protocol 2 for ten minutes, and counted by OUTPUT", async () => {
		const { lab, sw, br0 } = bridged();
		sw.iptables("-A OUTPUT -d 224.0.0.22 -o br0 -p igmp -m conntrack --ctstate NEW");
		br0.up();
		await lab.advance("2s");
		expect(sw.iptablesTool.save({ counters: true })).toContain(
			"[2:80] -A OUTPUT -d 224.0.0.22/32 -o br0 -p igmp -m conntrack --ctstate NEW",
		);
		const flow = (left: number): RegExp =>
			new RegExp(
				`^unknown  2 ${String(left)}\\d src=172.18.0.1 dst=224.0.0.22 \\[UNREPLIED\\] src=224.0.0.22 dst=172.18.0.1 mark=0 use=1$`,
				"m",
			);
		expect(sw.conntrack.list()).toMatch(flow(59));
		await lab.advance("384s");
		expect(sw.conntrack.list()).toMatch(flow(21));
		await lab.advance("220s");
		expect(sw.conntrack.count()).toBe(0);
	});

	test("can be dropped there", async () => {
		const { lab, sw, br0, said } = bridged();
		sw.iptables("-A OUTPUT -d 224.0.0.22 -j DROP");
		br0.up();
		await lab.advance("2s");
		expect(said()).toEqual([]);
		expect(lab.world.frames.taken).toBe(0);
	});

	test("is sent without a port too, and ends at the bridge", async () => {
		const lab = new Lab({ seed: 1 });
		const ns = lab.netns("ns");
		const br0 = ns.addBridge("br0");
		br0.addAddress("172.17.0.1/16");
		br0.up();
		await lab.advance("2s");
		expect(lab.world.dropped.get("no-carrier")).toBe(2);
		expect(ns.neigh.show({ nud: "noarp" }).map(({ text }) => text)).toEqual([
			"224.0.0.22 dev br0 lladdr 01:00:5e:00:00:16 NOARP ",
		]);
	});
});
