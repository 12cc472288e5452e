import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatIp4, type Ip4, toIp4 } from "../../src/addr/index.ts";
import { Lab } from "../../src/index.ts";
import { dissect, icmp, ipv4 } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";

/** a 10.0.1.10 -- r -- b 10.0.2.10; the lab begins at 01:00 UT. */
function routed() {
	const lab = new Lab({ seed: 1, epoch: "2026-01-01T01:00:00Z" });
	const [a, r, b] = [lab.netns("a"), lab.netns("r"), lab.netns("b")];
	const [aEth, rEth0] = lab.veth({ ns: a, name: "eth0" }, { ns: r, name: "eth0" });
	const [rEth1, bEth] = lab.veth({ ns: r, name: "eth1" }, { ns: b, name: "eth0" });
	for (const [device, address] of [
		[aEth, "10.0.1.10/24"],
		[rEth0, "10.0.1.1/24"],
		[rEth1, "10.0.2.1/24"],
		[bEth, "10.0.2.10/24"],
	] as const) {
		device.addAddress(address);
		device.up();
	}
	a.routes.add("default", { via: "10.0.1.1" });
	b.routes.add("default", { via: "10.0.2.1" });
	r.sysctl.set("net.ipv4.ip_forward", 1);
	const capture = lab.capture();
	const socket = a.rawSocket({ protocol: 255 });
	/** Sends an echo request with options, padded to whole words. */
	const ask = async (options: readonly number[], to = "10.0.2.10"): Promise<void> => {
		socket.send(echoWith(options, toIp4(to, "to")), to);
		await lab.advance("100ms");
	};
	/** The options of the last packet at a place. */
	const last = (place: string): Uint8Array => {
		const layers = dissect(capture.sightings(place).at(-1)!.data);
		const options = value(layers, "ipv4.options");
		expect(layers.flatMap((layer) => layer.fields).every((field) => field.good !== false)).toBe(true);
		return options instanceof Uint8Array ? options : new Uint8Array();
	};
	const field = (place: string, name: string) => value(dissect(capture.sightings(place).at(-1)!.data), name);
	return { lab, a, r, b, ask, last, field, capture };
}

function echoWith(options: readonly number[], destination: Ip4): Uint8Array {
	const padded = Uint8Array.from({ length: (options.length + 3) & ~3 }, (_, i) => options[i] ?? 0);
	const bytes = new Uint8Array(20 + padded.length + 16);
	const view = new DataView(bytes.buffer);
	ipv4.write(view, 0, {
		tos: 0,
		totalLength: bytes.length,
		ident: 1,
		reservedFlag: false,
		dontFragment: false,
		moreFragments: false,
		fragmentOffset: 0,
		ttl: 64,
		protocol: 1,
		source: 0 as Ip4,
		destination,
		options: padded,
	});
	icmp.writeEcho(view, 20 + padded.length, icmp.ECHO_REQUEST, 1, 1);
	icmp.writeChecksum(view, 20 + padded.length, 16);
	return bytes;
}

/** A record route with room for so many addresses. */
const recordRoute = (room: number): number[] => [7, 3 + 4 * room, 4, ...new Array<number>(4 * room).fill(0)];
const timestamp = (form: number, octets: number): number[] => [
	68,
	octets,
	5,
	form,
	...new Array<number>(octets - 4).fill(0),
];

/** The addresses in a record route, up to its pointer. */
function addresses(options: Uint8Array): string[] {
	const view = new DataView(options.buffer, options.byteOffset);
	const filled = ((options[2] ?? 4) - 4) / 4;
	return Array.from({ length: filled }, (_, i) => formatIp4(view.getUint32(3 + 4 * i) as Ip4));
}

describe("IPv4 options", () => {
	test("record route: routers put their outgoing address in, the target its own on the way in and out, as ping -R shows", async () => {
		const { ask, last } = routed();
		await ask(recordRoute(9));
		expect(addresses(last("a:eth0"))).toEqual(["10.0.2.1", "10.0.2.10", "10.0.2.10", "10.0.1.1"]);
	});

	test("record route: a full one passes as it is", async () => {
		const { ask, last } = routed();
		await ask(recordRoute(1));
		expect(addresses(last("a:eth0"))).toEqual(["10.0.2.1"]);
	});

	test("timestamps: milliseconds since midnight UT, alone or with addresses; what found no room is counted", async () => {
		const { ask, last } = routed();
		const hour = 3_600_000;
		await ask(timestamp(0, 12));
		const alone = last("a:eth0");
		const times = [4, 8].map((at) => new DataView(alone.buffer, alone.byteOffset).getUint32(at));
		for (const time of times) expect(Math.abs(time - hour)).toBeLessThan(50);
		expect([alone[2], alone[3]! >>> 4]).toEqual([13, 2]);
		await ask(timestamp(1, 36));
		const both = new DataView(last("a:eth0").buffer, last("a:eth0").byteOffset);
		expect([4, 12, 20, 28].map((at) => formatIp4(both.getUint32(at) as Ip4))).toEqual([
			"10.0.2.1",
			"10.0.2.10",
			"10.0.2.10",
			"10.0.1.1",
		]);
		expect(Math.abs(both.getUint32(8) - hour)).toBeLessThan(500);
	});

	test.each([
		["loose", 131],
		["strict", 137],
	])(
		"%s source routes are refused without a word to the sender, and logged with log_martians",
		async (_, kind) => {
			const { r, ask, field, capture } = routed();
			r.sysctl.set("net.ipv4.conf.all.log_martians", 1);
			await ask([1]);
			const before = capture.sightings("a:eth0").length;
			await ask([kind, 7, 4, 10, 0, 2, 1]);
			expect(capture.sightings("a:eth0").length).toBe(before + 1);
			expect(field("a:eth0", "icmp.type")).toBe(icmp.ECHO_REQUEST);
			expect(r.kernel.log.lines.map(({ text }) => text)).toEqual([
				"IPv4: source route option 10.0.1.10 -> 10.0.2.10",
			]);
		},
	);

	test.each([
		["length below two", [7, 1], 20],
		["length beyond the header", [7, 9, 4], 20],
		["pointer below the first address", [7, 7, 3, 0, 0, 0, 0], 22],
		["room for no whole address", [7, 5, 4, 0, 0], 22],
		["the same option twice", [...recordRoute(1), 1, ...recordRoute(1)], 28],
	])("malformed, %s: parameter problem that points at the octet", async (_, options, pointer) => {
		const { ask, field } = routed();
		await ask(options);
		expect([field("a:eth0", "icmp.type"), field("a:eth0", "icmp.rest")]).toEqual([
			icmp.PARAMETER_PROBLEM,
			pointer * 0x100_0000,
		]);
	});

	test("any octets as options end in an answer, an error or a drop, and no frame is lost count of", async () => {
		const { lab, ask } = routed();
		await ask([1]);
		await fc.assert(
			fc.asyncProperty(fc.array(fc.nat({ max: 255 }), { maxLength: 40 }), async (options) => {
				await ask(options);
				expect(lab.world.frames.taken).toBe(0);
			}),
			{ numRuns: 200 },
		);
	});
});
