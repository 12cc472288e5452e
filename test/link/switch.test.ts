import { describe, expect, test } from "vitest";
import { Lab, type SwitchOptions, type SwitchPortOptions } from "../../src/index.ts";
import { vlan } from "../../src/wire/index.ts";

const octets = (mac: string): number[] => mac.split(":").map((part) => Number.parseInt(part, 16));
const mac = (i: number): string => `02:00:00:00:00:0${String(i)}`;
const EVERYONE = "ff:ff:ff:ff:ff:ff";

interface Words {
	readonly to?: string;
	readonly source?: string;
	/** VLAN id of an 802.1Q tag, priority above it. */
	readonly tag?: number;
}

/** A switch with one host at each port; `undefined` leaves a port as it comes. Hosts say frames and hear them. */
function switched(ports: readonly (SwitchPortOptions | undefined)[], options: SwitchOptions = {}) {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan", options);
	const heard: { host: number; octets: Uint8Array }[] = [];
	const drops: string[] = [];
	lab.onDrop((drop) => {
		if (drop.place.startsWith("lan")) drops.push(`${drop.place} ${drop.reason}`);
	});
	const hosts = ports.map((port, i) => {
		const host = lab.host(`h${String(i)}`);
		const nic = host.addNic("eth0", { mac: mac(i), attach: lan, ...(port === undefined ? {} : { port }) });
		nic.promisc();
		const socket = host.netns.packetSocket({ device: nic });
		socket.onFrame = (bytes) => heard.push({ host: i, octets: bytes });
		return { host, nic, socket };
	});
	/** Says a frame from a host; gives where it came out: `2`, or `2 tagged 100`. */
	const say = async (
		from: number,
		{ to = EVERYONE, source = mac(from), tag }: Words = {},
	): Promise<string[]> => {
		const { socket, nic } = hosts[from]!;
		const tagOctets = tag === undefined ? [] : [0x81, 0x00, tag >> 8, tag & 0xff];
		const payload = new Array<number>(46).fill(from);
		heard.length = 0;
		drops.length = 0;
		socket.send(
			Uint8Array.from([...octets(to), ...octets(source), ...tagOctets, 0x88, 0xb5, ...payload]),
			nic,
		);
		await lab.advance("1ms");
		return heard.map(({ host, octets: bytes }) => {
			const view = new DataView(bytes.buffer);
			const tagged = view.getUint16(12) === vlan.TPID_CUSTOMER;
			// Whatever the switch did to the tag, the rest is as it was said.
			expect([...bytes.subarray(tagged ? 16 : 12)]).toEqual([0x88, 0xb5, ...payload]);
			return tagged ? `${String(host)} tagged ${String(view.getUint16(14))}` : String(host);
		});
	};
	return { lab, lan, hosts, say, drops };
}

describe("an unmanaged switch", () => {
	test("floods what it does not know, learns, and passes any tag through unread", async () => {
		const { say, lan } = switched([undefined, undefined, undefined]);
		expect(await say(0, { to: mac(1), tag: 100 })).toEqual(["1 tagged 100", "2 tagged 100"]);
		expect(await say(1, { to: mac(0) })).toEqual(["0"]);
		expect(await say(2, { to: mac(0), tag: 0xe00a })).toEqual(["0 tagged 57354"]);
		expect(lan.macTable().map((row) => [row.vlan, row.mac, row.port])).toEqual([
			[0, mac(0), "port1"],
			[0, mac(1), "port2"],
			[0, mac(2), "port3"],
		]);
	});

	test("passes spanning tree frames on and ends the other link-local groups", async () => {
		const { say, drops } = switched([undefined, undefined]);
		expect(await say(0, { to: "01:80:c2:00:00:00" })).toEqual(["1"]);
		expect(await say(0, { to: "01:80:c2:00:00:0e" })).toEqual([]);
		expect(drops).toEqual(["lan:1 bridge-link-local"]);
		expect(await say(0, { to: "01:80:c2:00:00:10" })).toEqual(["1"]);
	});

	test("passes LLDP when it is transparent, but never pause frames", async () => {
		const { say } = switched([undefined, undefined], { transparent: true });
		expect(await say(0, { to: "01:80:c2:00:00:0e" })).toEqual(["1"]);
		expect(await say(0, { to: "01:80:c2:00:00:01" })).toEqual([]);
	});
});

describe("a managed switch", () => {
	const trunk = { trunk: [100, 200], native: 1 };

	test("keeps a broadcast in its VLAN: untagged at access ports, tagged on the trunk", async () => {
		const { say } = switched([{ access: 100 }, { access: 100 }, { access: 200 }, trunk]);
		expect(await say(0)).toEqual(["1", "3 tagged 100"]);
		expect(await say(2)).toEqual(["3 tagged 200"]);
		expect(await say(3, { tag: 100 })).toEqual(["0", "1"]);
		expect(await say(3, { tag: 200 })).toEqual(["2"]);
	});

	test("carries the native VLAN untagged, and a port nobody configured is in VLAN 1", async () => {
		const { say } = switched([undefined, trunk, { access: 100 }]);
		expect(await say(0)).toEqual(["1"]);
		expect(await say(1)).toEqual(["0"]);
		expect(await say(1, { tag: 1 })).toEqual(["0"]);
	});

	test("drops tagged frames at access ports, VLANs a trunk does not allow, and untagged frames without a native VLAN", async () => {
		const { say, drops } = switched([{ access: 100 }, { trunk: [100] }, { access: 300 }]);
		for (const words of [
			{ from: 0, tag: 100 },
			{ from: 1, tag: 300 },
			{ from: 1, tag: 4095 },
			{ from: 1 },
			{ from: 1, tag: 0xe000 },
		]) {
			const { from, ...rest } = words;
			expect(await say(from, rest)).toEqual([]);
			expect(drops).toEqual([`lan:${String(from + 1)} vlan-ingress`]);
		}
	});

	test("takes a priority tag for the port's own VLAN and keeps the priority where the frame stays tagged", async () => {
		const { say } = switched([{ access: 100 }, { trunk: "all" }, { access: 100 }]);
		expect(await say(0, { tag: 0xa000 })).toEqual([`1 tagged ${String(0xa000 | 100)}`, "2"]);
	});

	test("an outer tag of the native VLAN does not carry a frame into another: hopping ends at the access port", async () => {
		const { say } = switched([{ access: 1 }, trunk, { access: 100 }]);
		expect(await say(0, { tag: 1 })).toEqual([]);
	});

	test("learns by VLAN: one address may be at two ports in two VLANs", async () => {
		const { say, lan } = switched([{ access: 100 }, { access: 200 }, { trunk: [100, 200] }]);
		const same = "02:00:00:00:00:aa";
		await say(0, { source: same });
		await say(1, { source: same });
		expect(await say(2, { to: same, tag: 100 })).toEqual(["0"]);
		expect(await say(2, { to: same, tag: 200 })).toEqual(["1"]);
		expect(lan.macTable().filter((row) => row.mac === same)).toEqual([
			{ vlan: 100, mac: same, kind: "dynamic", port: "port1" },
			{ vlan: 200, mac: same, kind: "dynamic", port: "port2" },
		]);
	});

	test("ends every link-local group, spanning tree's included", async () => {
		const { say } = switched([{ access: 1 }, { access: 1 }]);
		for (const group of ["00", "02", "0e"])
			expect(await say(0, { to: `01:80:c2:00:00:${group}` })).toEqual([]);
	});

	test("two switches and a trunk are one network for each VLAN", async () => {
		const lab = new Lab({ seed: 1 });
		const [left, right] = [lab.switch("left"), lab.switch("right")];
		lab.cable(left, right, { port: { trunk: [10, 20] } });
		const at = (name: string, lan: typeof left, access: number, address: string) =>
			lab.host(name, { nics: { eth0: { address, attach: lan, port: { access } } } }).netns;
		const a = at("a", left, 10, "10.0.0.1/24");
		at("b", right, 10, "10.0.0.2/24");
		const c = at("c", right, 20, "10.0.0.3/24");
		expect((await a.ping("10.0.0.2", { count: 1 })).received).toBe(1);
		expect((await c.ping("10.0.0.2", { count: 1, timeout: "4s" })).received).toBe(0);
		expect(
			left
				.macTable()
				.map(({ vlan: id, port }) => `${String(id)} ${port}`)
				.sort(),
		).toEqual(["10 port1", "10 port2", "20 port1"]);
	});

	test("forgets a port's addresses with its link, and ages the others", async () => {
		const { say, lan, hosts, lab } = switched([undefined, undefined, undefined], { ageing: "60s" });
		for (const i of [0, 1, 2]) await say(i);
		hosts[0]!.nic.down();
		expect(lan.macTable().map((row) => row.mac)).toEqual([mac(1), mac(2)]);
		await lab.advance("59s");
		await say(1);
		await lab.advance("2s");
		expect(lan.macTable().map((row) => row.mac)).toEqual([mac(1)]);
	});

	test("a full table floods what it had no room for, until old entries age", async () => {
		const { say, lan, lab } = switched([undefined, undefined, undefined], { macTable: 2, ageing: "10s" });
		for (const i of [0, 1, 2]) await say(i);
		expect(await say(0, { to: mac(1) })).toEqual(["1"]);
		expect(await say(0, { to: mac(2) })).toEqual(["1", "2"]);
		await lab.advance("11s");
		await say(2);
		expect(await say(0, { to: mac(2) })).toEqual(["2"]);
		expect(lan.macTable()).toHaveLength(2);
	});

	test("shows its tables as switches do", async () => {
		const { say, lan } = switched([
			{ access: 10 },
			{ trunk: [10, 20, 21, 22], native: 1 },
			{ access: 10, maxMacs: 1 },
		]);
		for (const i of [0, 1, 2]) await say(i);
		expect(lan.showMacTable()).toBe(
			[
				"Vlan    Mac Address       Type        Ports",
				"----    -----------       --------    -----",
				"   1    0200.0000.0001    DYNAMIC     port2",
				"  10    0200.0000.0000    DYNAMIC     port1",
				"  10    0200.0000.0002    STATIC      port3",
				"Total Mac Addresses for this criterion: 3",
				"",
			].join("\n"),
		);
		expect(lan.showVlans()).toBe(
			[
				"VLAN Name                             Status    Ports",
				"---- -------------------------------- --------- -------------------------------",
				"1    default                          active",
				"10   VLAN0010                         active    port1, port3",
				"20   VLAN0020                         active",
				"21   VLAN0021                         active",
				"22   VLAN0022                         active",
				"",
				"Port        Status         Native vlan  Vlans allowed",
				"port2       trunking       1            10,20-22",
				"",
			].join("\n"),
		);
	});

	test("refuses what is no VLAN and no setting, and changes nothing then", () => {
		const { lan } = switched([undefined]);
		const port = lan.ports[0]!;
		for (const [options, text] of [
			[{ access: 4095 }, "access is 4095"],
			[{ access: 0 }, "access is 0"],
			[{ trunk: [100, 5000] }, "trunk is 5000"],
			[{ trunk: [100], native: 1.5 }, "native is 1.5"],
			[{ access: 1, trunk: [1] }, "access and trunk"],
			[{ native: 1 }, "native is given without trunk"],
			[{ maxMacs: 0 }, "maxMacs is 0"],
			[{ maxMacs: 1, allowedMacs: [mac(1), mac(2)] }, "maxMacs is 1"],
			[{ violation: "explode" as "protect" }, "violation is"],
		] as const) {
			expect(() => port.configure(options), text).toThrow(text);
		}
		expect(lan.managed).toBe(false);
		expect(port.vlans.untagged).toBe(1);
	});
});

describe("port security", () => {
	test("a cloud's port takes frames from the card's own address only, and says so to a macvlan child", async () => {
		const { say, drops, lab } = switched([{ allowedMacs: [mac(0)] }, {}]);
		expect(await say(0)).toEqual(["1"]);
		const told: string[] = [];
		lab.onDrop((drop) => told.push(`${drop.text} (${drop.detail ?? ""})`));
		expect(await say(0, { source: "02:00:00:00:00:aa" })).toEqual([]);
		expect(drops).toEqual(["lan:1 mac-not-allowed"]);
		expect(told).toEqual([
			"the switch port takes frames from the addresses on its list only, and this source is none of them" +
				` (02:00:00:00:00:aa on port1: allowed ${mac(0)})`,
		]);
	});

	test("takes as many addresses as it may, and counts the frames of others", async () => {
		const { say, drops, lan } = switched([{ maxMacs: 2 }, {}]);
		expect(await say(0, { source: mac(7) })).toEqual(["1"]);
		expect(await say(0, { source: mac(8) })).toEqual(["1"]);
		expect(await say(0, { source: mac(9) })).toEqual([]);
		expect(drops).toEqual(["lan:1 port-security"]);
		expect(await say(0, { source: mac(7) })).toEqual(["1"]);
		expect(lan.ports[0]!.violations).toBe(1);
		expect(lan.macTable().map(({ kind, mac: address }) => [address, kind])).toEqual([
			[mac(7), "secure"],
			[mac(8), "secure"],
		]);
	});

	test("a secured address stays at its port: used elsewhere it is refused", async () => {
		const { say, drops } = switched([{ maxMacs: 1 }, {}, {}]);
		await say(0);
		expect(await say(1, { source: mac(0) })).toEqual([]);
		expect(drops).toEqual(["lan:2 port-security"]);
		expect(await say(2, { to: mac(0) })).toEqual(["0"]);
	});

	test("protect drops without counting", async () => {
		const { say, lan } = switched([{ maxMacs: 1, violation: "protect" }, {}]);
		await say(0);
		expect(await say(0, { source: mac(9) })).toEqual([]);
		expect(lan.ports[0]!.violations).toBe(0);
	});

	test("shutdown takes the link away at both ends until the port is enabled", async () => {
		const { say, lan, hosts } = switched([{ maxMacs: 1, violation: "shutdown" }, {}]);
		await say(0);
		await say(0, { source: mac(9) });
		expect(lan.ports[0]!.state).toBe("err-disabled");
		expect(hosts[0]!.nic.carrier).toBe(false);
		expect(await say(0)).toEqual([]);
		expect(await say(1)).toEqual([]);
		lan.ports[0]!.enable();
		expect(hosts[0]!.nic.carrier).toBe(true);
		expect(await say(0)).toEqual(["1"]);
	});

	test("sticky addresses outlast the link, others make room when it goes", async () => {
		for (const sticky of [true, false]) {
			const { say, hosts } = switched([{ maxMacs: 1, sticky }, {}]);
			await say(0);
			hosts[0]!.nic.down();
			hosts[0]!.nic.up();
			expect(await say(0, { source: mac(9) })).toEqual(sticky ? [] : ["1"]);
		}
	});
});
