import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab, type SwitchPortOptions } from "../../src/index.ts";
import { ethernet, vlan } from "../../src/wire/index.ts";

const VLANS = [1, 10, 20, 30];
const STATIONS = 6;

const anyPort: fc.Arbitrary<SwitchPortOptions> = fc.oneof(
	fc.record({ access: fc.constantFrom(...VLANS) }),
	fc.record({ trunk: fc.subarray(VLANS), native: fc.constantFrom(...VLANS) }, { requiredKeys: ["trunk"] }),
	fc.constant({ trunk: "all" as const }),
	fc.record({ access: fc.constantFrom(...VLANS), maxMacs: fc.integer({ min: 1, max: 2 }) }),
);

const anyPlan = fc.record({
	ports: fc.array(anyPort, { minLength: 2, maxLength: 6 }),
	macTable: fc.constantFrom(1, 3, 1024),
	words: fc.array(
		fc.record({
			port: fc.nat(),
			source: fc.nat({ max: STATIONS - 1 }),
			to: fc.oneof(fc.nat({ max: STATIONS - 1 }), fc.constant(-1)),
			tag: fc.option(fc.constantFrom(0, ...VLANS, 99, 4095), { nil: undefined }),
		}),
		{ minLength: 1, maxLength: 30 },
	),
});

type Plan = typeof anyPlan extends fc.Arbitrary<infer T> ? T : never;

const stationMac = (i: number): number[] => (i < 0 ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 0, i]);

/** The VLAN of a frame on a port's cable, by the port's settings alone; 0 where none may have it. */
function vlanOn(port: SwitchPortOptions, tag: number | undefined): number {
	if (port.trunk === undefined) return tag === undefined || tag === 0 ? (port.access ?? 1) : 0;
	if (tag === undefined || tag === 0) return port.native ?? 0;
	if (tag === 4095) return 0;
	return tag === port.native || port.trunk === "all" || port.trunk.includes(tag) ? tag : 0;
}

/** Says each word at its port and gives, word for word, the ports and tags it came out with. */
async function run(plan: Plan) {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan", { macTable: plan.macTable });
	let out: { port: number; tag: number | undefined; dst: number }[] = [];
	const hosts = plan.ports.map((port, i) => {
		const host = lab.host(`h${String(i)}`);
		const nic = host.addNic("eth0", { attach: lan, port });
		nic.promisc();
		const socket = host.netns.packetSocket({ device: nic });
		socket.onFrame = (bytes) => {
			const view = new DataView(bytes.buffer);
			const tagged = ethernet.type(view, 0) === vlan.TPID_CUSTOMER;
			out.push({ port: i, tag: tagged ? vlan.vid(view, 14) : undefined, dst: view.getUint8(5) });
		};
		return { nic, socket };
	});
	const said = [];
	for (const word of plan.words) {
		const from = word.port % hosts.length;
		const { nic, socket } = hosts[from]!;
		const tag = word.tag === undefined ? [] : [0x81, 0, word.tag >> 8, word.tag & 255];
		const body = new Array<number>(46).fill(0);
		const known = lan.macTable();
		out = [];
		socket.send(
			Uint8Array.from([...stationMac(word.to), ...stationMac(word.source), ...tag, 0x88, 0xb5, ...body]),
			nic,
		);
		await lab.advance("1ms");
		said.push({ ...word, from, out, known, vid: vlanOn(plan.ports[from]!, word.tag) });
	}
	return { lab, lan, said };
}

describe("any managed switch", () => {
	test("no frame crosses a VLAN, and none leaves by the port it came in on", async () => {
		await fc.assert(
			fc.asyncProperty(anyPlan, async (plan) => {
				for (const { from, vid, out } of (await run(plan)).said) {
					for (const each of out) {
						expect(vid).not.toBe(0);
						expect(vlanOn(plan.ports[each.port]!, each.tag)).toBe(vid);
						expect(each.port).not.toBe(from);
					}
				}
			}),
			{ numRuns: 300 },
		);
	});

	test("a unicast to an address in its table goes to that address's port alone, all others to the whole VLAN", async () => {
		await fc.assert(
			fc.asyncProperty(anyPlan, async (plan) => {
				// Port security aside, which the other properties keep.
				const ports = plan.ports.map(({ access, trunk, native }) => ({
					...(access === undefined ? {} : { access }),
					...(trunk === undefined ? {} : { trunk }),
					...(native === undefined ? {} : { native }),
				}));
				for (const { from, vid, out, to, source, known } of (await run({ ...plan, ports })).said) {
					if (vid === 0) continue;
					const row = known.find((each) => each.vlan === vid && each.mac === `02:00:00:00:00:0${String(to)}`);
					const members = ports.flatMap((port, i) =>
						i !== from && (vlanOn(port, undefined) === vid || vlanOn(port, vid) === vid) ? [i] : [],
					);
					// The frame itself may have moved its destination's entry, when it is its own source.
					const at = to === source || row === undefined ? undefined : Number(row.port.slice(4)) - 1;
					const reached = out.map((each) => each.port).sort();
					if (to === source) expect(reached.every((port) => members.includes(port))).toBe(true);
					else if (at === undefined) expect(reached).toEqual(members);
					else expect(reached).toEqual(at === from ? [] : [at]);
				}
			}),
			{ numRuns: 300 },
		);
	});

	test("every frame arrives or ends with a reason, and the table never outgrows its size", async () => {
		await fc.assert(
			fc.asyncProperty(anyPlan, async (plan) => {
				const { lab, lan } = await run(plan);
				expect(lab.world.frames.taken).toBe(0);
				expect(lan.macTable().length).toBeLessThanOrEqual(plan.macTable);
			}),
			{ numRuns: 300 },
		);
	});
});
