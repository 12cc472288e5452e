import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSnoopersReport } from "../support/scenario.ts";
import { Lab } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";

/** A bridge with `count` hosts, each in a namespace of its own, and a way to say one frame from a host. */
function bridged(count: number) {
	const lab = new Lab({ seed: 1 });
	const sw = lab.netns("sw");
	const br0 = sw.addBridge("br0");
	br0.up();
	const hosts = Array.from({ length: count }, (_, i) => {
		const ns = lab.netns(`h${String(i)}`);
		const [eth0, outer] = lab.veth(
			{ ns, name: "eth0", mac: `02:00:00:00:00:0${String(i)}` },
			{ ns: sw, name: `p${String(i)}`, mac: `0a:00:00:00:00:0${String(i)}` },
		);
		const port = br0.attach(outer);
		outer.up();
		eth0.up();
		return { ns, eth0, outer, port };
	});
	const capture = lab.capture("h*:*");
	/** Says a frame from one host and gives the hosts it came in at, aside from what the bridge reports of itself. */
	const say = async (
		from: number,
		to: string,
		source = `02:00:00:00:00:0${String(from)}`,
	): Promise<number[]> => {
		const bytes = Uint8Array.from([
			...octets(to),
			...octets(source),
			0x88,
			0xb5,
			...new Array<number>(46).fill(from),
		]);
		const before = capture.log.size;
		const host = hosts[from]!;
		host.ns.packetSocket().send(bytes, host.eth0);
		await lab.advance("1ms");
		return capture
			.sightings()
			.slice(before)
			.filter((row) => row.direction === 1 && !isSnoopersReport(row.data))
			.map((row) => Number(capture.interfaces[row.place]?.[1]))
			.sort();
	};
	return { lab, sw, br0, hosts, say };
}

const octets = (mac: string): number[] => mac.split(":").map((part) => Number.parseInt(part, 16));
const host = (i: number): string => `02:00:00:00:00:0${String(i)}`;

describe("a bridge", () => {
	test("floods what it does not know and learns where answers come from", async () => {
		const { say } = bridged(4);
		expect(await say(0, host(1))).toEqual([1, 2, 3]);
		expect(await say(1, host(0))).toEqual([0]);
		expect(await say(0, host(1))).toEqual([1]);
		expect(await say(2, "ff:ff:ff:ff:ff:ff")).toEqual([0, 1, 3]);
	});

	test("forgets an address that was silent for 300 seconds, and not a moment earlier", async () => {
		const { lab, say } = bridged(3);
		await say(1, host(0));
		await lab.advance("299s");
		expect(await say(0, host(1))).toEqual([1]);
		await lab.advance("2s");
		expect(await say(0, host(1))).toEqual([1, 2]);
	});

	test("believes at once that a host moved", async () => {
		const { say } = bridged(4);
		await say(1, host(0));
		await say(2, host(0), host(1));
		expect(await say(0, host(1))).toEqual([2]);
	});

	test("never sends a frame back by its port unless that is a hairpin", async () => {
		const { hosts, say } = bridged(3);
		await say(1, host(0), host(2));
		expect(await say(1, host(2))).toEqual([]);
		hosts[1]!.port.flags.hairpin = true;
		expect(await say(1, host(2))).toEqual([1]);
	});

	test("does not send a frame back to an isolated port, hairpin or not", async () => {
		const { hosts, say } = bridged(3);
		Object.assign(hosts[1]!.port.flags, { hairpin: true, isolated: true });
		expect(await say(1, "ff:ff:ff:ff:ff:ff")).toEqual([0, 2]);
		Object.assign(hosts[1]!.port.flags, { isolated: false });
		expect(await say(1, "ff:ff:ff:ff:ff:ff")).toEqual([0, 1, 2]);
	});

	test("learns from a link-local frame with a priority tag and leaves the frame as it is", async () => {
		const { lab, sw, br0, hosts } = bridged(2);
		br0.set({ vlanFiltering: true });
		const seen: number[] = [];
		const socket = sw.packetSocket();
		socket.onFrame = (bytes) => seen.push((bytes[14]! << 8) | bytes[15]!);
		const lldp = [
			...octets("01:80:c2:00:00:0e"),
			...octets("02:00:00:00:00:aa"),
			0x81,
			0,
			0xe0,
			0,
			0x88,
			0xcc,
			0,
			0,
		];
		hosts[0]!.ns.packetSocket().send(Uint8Array.from(lldp), hosts[0]!.eth0);
		await lab.advance("1ms");
		expect(br0.fdb.find(0x02_0000_0000_aa as never, 1)?.port).toBe(hosts[0]!.port);
		expect(seen).toEqual([0xe000]);
	});

	test("lets nothing pass between two isolated ports, and everything to others", async () => {
		const { hosts, say } = bridged(3);
		hosts[0]!.port.flags.isolated = true;
		hosts[1]!.port.flags.isolated = true;
		expect(await say(0, host(1))).toEqual([2]);
		expect(await say(2, "ff:ff:ff:ff:ff:ff")).toEqual([0, 1]);
		await say(1, host(2));
		expect(await say(0, host(1))).toEqual([]);
	});

	test("floods by the flags of each port: unicast, multicast and broadcast apart", async () => {
		const { hosts, say } = bridged(3);
		Object.assign(hosts[1]!.port.flags, { flood: false });
		Object.assign(hosts[2]!.port.flags, { bcastFlood: false, mcastFlood: false });
		expect(await say(0, host(5))).toEqual([2]);
		expect(await say(0, "ff:ff:ff:ff:ff:ff")).toEqual([1]);
		expect(await say(0, "01:00:5e:00:00:05")).toEqual([1]);
	});

	test.each([
		["01:80:c2:00:00:00", 0, [1, 2]],
		["01:80:c2:00:00:01", 0xfff8, []],
		["01:80:c2:00:00:0e", 0, []],
		["01:80:c2:00:00:0e", 1 << 14, [1, 2]],
		["01:80:c2:00:00:10", 0, [1, 2]],
	])("link-local group %s with mask %i reaches %j", async (group, mask, reached) => {
		const { br0, say } = bridged(3);
		br0.setGroupFwdMask(mask);
		expect(await say(0, group)).toEqual(reached);
	});

	test("lets a group pass that came in by a port whose own mask names it, STP's too, pause never", async () => {
		const { br0, hosts, say } = bridged(3);
		br0.set({ stp: true, forwardDelay: "2s" });
		hosts[0]!.port.set({ groupFwdMask: 0x4001 });
		expect(await say(0, "01:80:c2:00:00:0e")).toEqual([1, 2]);
		expect(await say(1, "01:80:c2:00:00:0e")).toEqual([]);
		expect(await say(0, "01:80:c2:00:00:00")).toEqual([1, 2]);
		expect(() => {
			hosts[0]!.port.set({ groupFwdMask: 2 });
		}).toThrow("RTNETLINK answers: Invalid argument");
	});

	test("of a provider says its BPDUs to 08 and lets those of customers' bridges pass", async () => {
		const { lab, br0, hosts, say } = bridged(3);
		br0.set({ stp: true, vlanFiltering: true, vlanProtocol: "802.1ad", forwardDelay: "2s" });
		const capture = lab.capture("h1:eth0");
		await lab.advance("6s");
		expect(capture.sightings().length).toBeGreaterThan(1);
		for (const { data } of capture.sightings().filter((row) => !isSnoopersReport(row.data)))
			expect([...data.subarray(0, 6)]).toEqual([1, 0x80, 0xc2, 0, 0, 8]);
		for (const [group, reached] of [
			["00", [1, 2]],
			["08", []],
			["0b", [1, 2]],
			["0e", []],
			["0f", [1, 2]],
		] as const)
			expect([group, await say(0, `01:80:c2:00:00:${group}`)]).toEqual([group, reached]);
		br0.set({ groupAddress: "01:80:c2:00:00:0e" });
		expect(br0.groups.address).toBe(0x0180_c200_000e);
		expect(hosts[0]!.port.state).toBe("forwarding");
	});

	test.each(["01:80:c2:00:00:01", "01:80:c2:00:00:03", "01:80:c2:00:00:10", "02:00:00:00:00:00"])(
		"does not say its BPDUs to %s",
		(groupAddress) => {
			const { br0 } = bridged(1);
			expect(() => {
				br0.set({ groupAddress });
			}).toThrow("RTNETLINK answers: Invalid argument");
			expect(br0.groups.address).toBe(0x0180_c200_0000);
		},
	);

	test("takes lowest MAC and smallest MTU of its ports until they are set by hand", () => {
		const { br0, hosts } = bridged(2);
		expect([br0.macText, br0.mtu]).toEqual(["0a:00:00:00:00:00", 1500]);
		hosts[0]!.outer.setMtu(1400);
		expect(br0.mtu).toBe(1400);
		br0.detach(hosts[0]!.outer);
		expect([br0.macText, br0.mtu]).toEqual(["0a:00:00:00:00:01", 1500]);
		br0.setMac("06:00:00:00:00:99");
		br0.attach(hosts[0]!.outer);
		expect(br0.macText).toBe("06:00:00:00:00:99");
	});

	test("sends every unicast to an address it learned to exactly one port, whatever was said before", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 })), { minLength: 1, maxLength: 12 }),
				async (words) => {
					const { say } = bridged(4);
					const spoke = new Set<number>();
					for (const [from, to] of words) {
						const reached = await say(from, host(to));
						if (from === to) expect(reached).toEqual(spoke.has(to) || from === to ? [] : reached);
						else if (spoke.has(to)) expect(reached).toEqual([to]);
						else expect(reached).toEqual([0, 1, 2, 3].filter((i) => i !== from));
						spoke.add(from);
					}
				},
			),
		);
	});
});

describe("a VLAN device", () => {
	test("tags what goes out, takes what comes with its tag, and leaves the rest alone", async () => {
		const lab = new Lab({ seed: 1 });
		const [a, b] = [lab.netns("a"), lab.netns("b")];
		const ends = lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" });
		for (const end of ends) end.up();
		for (const [i, ns] of [a, b].entries()) {
			const inner = ns.addVlan(ns.addVlan("eth0", 200, { protocol: "802.1ad" }), 100, { name: "qinq" });
			ns.device("eth0.200").up();
			inner.up();
			inner.addAddress(`10.0.0.${String(i + 1)}/24`);
		}
		const capture = lab.capture("a:*");
		const result = await a.ping("10.0.0.2", { count: 1 });
		expect(result.received).toBe(1);
		const wire = capture.sightings("a:eth0").map((row) => dissect(row.data));
		expect(
			wire.map((layers) =>
				layers
					.filter((layer) => layer.protocol === "vlan")
					.map((layer) => layer.fields.find((field) => field.name === "vlan.vid")?.value),
			),
		).toEqual(new Array(4).fill([200, 100]));
		expect(wire.map((layers) => value(layers, "ethernet.type"))).toEqual(new Array(4).fill(0x88a8));
		// ARP 42 + 8, echo 98 + 8 outside; 42 and 98 inside.
		expect(capture.sightings("a:eth0").map((row) => row.data.length)).toEqual([50, 50, 106, 106]);
		expect(capture.sightings("a:qinq").map((row) => row.data.length)).toEqual([42, 42, 98, 98]);
	});
});
