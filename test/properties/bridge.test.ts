import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

const VLANS = [10, 20, 30];

interface Port {
	/** VLANs it is in: untagged or tagged on the way out. */
	readonly members: Readonly<Record<number, "tagged" | "untagged">>;
	readonly pvid: number;
	readonly isolated: boolean;
	readonly hairpin: boolean;
	readonly learning: boolean;
	readonly state: "forwarding" | "listening" | "learning" | "disabled";
}

interface Word {
	readonly from: number;
	/** A station's number, or -1 for everyone. */
	readonly to: number;
	readonly source: number;
	/** 0 for no tag. */
	readonly vid: number;
}

const PORTS = 5;
const port: fc.Arbitrary<Port> = fc.record({
	members: fc
		.array(fc.tuple(fc.constantFrom(...VLANS), fc.constantFrom("tagged" as const, "untagged" as const)), {
			maxLength: 3,
		})
		.map((entries) => Object.fromEntries(entries)),
	pvid: fc.constantFrom(0, ...VLANS),
	isolated: fc.boolean(),
	hairpin: fc.boolean(),
	learning: fc.constantFrom(true, true, false),
	state: fc.constantFrom("forwarding", "forwarding", "forwarding", "listening", "learning", "disabled"),
});
const word: fc.Arbitrary<Word> = fc.record({
	from: fc.nat({ max: PORTS - 1 }),
	to: fc.integer({ min: -1, max: PORTS - 1 }),
	source: fc.nat({ max: PORTS - 1 }),
	vid: fc.constantFrom(0, 0, ...VLANS, 40),
});

const station = (i: number): number[] => (i < 0 ? [255, 255, 255, 255, 255, 255] : [2, 0, 0, 0, 1, i]);

/** What 802.1Q says of one frame: where it comes out, as [port, VLAN id in its tag or 0]. */
function expected(
	ports: readonly Port[],
	filtering: boolean,
	table: Map<string, number>,
	word: Word,
): string[] {
	const from = ports[word.from]!;
	if (from.state === "listening" || from.state === "disabled") return [];
	const vid = filtering ? word.vid || from.pvid : 0;
	const isMember = (port: Port): boolean => !filtering || port.members[vid] !== undefined;
	if (filtering && (vid === 0 || !isMember(from))) return [];
	if (from.learning) table.set(`${String(word.source)} ${String(vid)}`, word.from);
	if (from.state === "learning") return [];
	const may = (to: number): boolean => {
		const port = ports[to]!;
		if (port.state !== "forwarding" || !isMember(port)) return false;
		return (to !== word.from || from.hairpin) && !(port.isolated && from.isolated);
	};
	const known = word.to < 0 ? undefined : table.get(`${String(word.to)} ${String(vid)}`);
	const to = known === undefined ? ports.map((_, i) => i) : [known];
	return to.filter(may).map((i) => {
		const tag = filtering ? (ports[i]!.members[vid] === "tagged" ? vid : 0) : word.vid;
		return `${String(i)} ${String(tag)}`;
	});
}

function build(ports: readonly Port[], filtering: boolean) {
	const lab = new Lab({ seed: 1 });
	const sw = lab.netns("sw");
	// The bridge itself is in no VLAN, so nothing comes up to it, and it says nothing of itself.
	const br0 = sw.addBridge("br0", {
		defaultPvid: 0,
		vlanFiltering: filtering,
		mac: "02:00:00:00:ff:ff",
		mcastSnooping: false,
	});
	br0.up();
	const sockets = ports.map((about, i) => {
		const ns = lab.netns(`h${String(i)}`);
		const [eth0, outer] = lab.veth(
			{ ns, name: "eth0", mac: `0a:00:00:00:00:0${String(i)}` },
			{ ns: sw, name: `p${String(i)}`, mac: `06:00:00:00:00:0${String(i)}` },
		);
		const at = br0.attach(outer);
		for (const end of [eth0, outer]) end.up();
		const members = Object.entries(about.members);
		const pvid = about.members[about.pvid] === undefined ? 0 : about.pvid;
		for (const [vid, how] of members) {
			br0.vlan.add(outer, Number(vid), { untagged: how === "untagged", pvid: Number(vid) === pvid });
		}
		const { isolated, hairpin, learning, state } = about;
		at.set({ isolated, hairpin, learning, state });
		const socket = ns.packetSocket({ device: eth0 });
		return { socket, eth0 };
	});
	const capture = lab.capture("h*:eth0");
	const say = async (word: Word): Promise<string[]> => {
		const tag = word.vid === 0 ? [] : [0x81, 0x00, 0, word.vid];
		const bytes = Uint8Array.from([
			...station(word.to),
			...station(word.source),
			...tag,
			0x88,
			0xb5,
			1,
			2,
			3,
		]);
		const before = capture.log.size;
		const { socket, eth0 } = sockets[word.from]!;
		socket.send(bytes, eth0);
		await lab.advance("1ms");
		return capture
			.sightings()
			.slice(before)
			.filter((row) => row.direction === 1)
			.map((row) => {
				const tagged = row.data[12] === 0x81;
				return `${String(Number(capture.interfaces[row.place]?.[1]))} ${String(tagged ? row.data[15] : 0)}`;
			})
			.sort();
	};
	return { say };
}

describe("whatever its ports' VLANs, flags and states, a bridge", () => {
	test("sends each frame where 802.1Q says and nowhere else, tagged as the port is", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(port, { minLength: PORTS, maxLength: PORTS }),
				fc.boolean(),
				fc.array(word, { minLength: 1, maxLength: 12 }),
				async (drawn, filtering, words) => {
					const ports = drawn.map((each) => ({
						...each,
						pvid: each.members[each.pvid] === undefined ? 0 : each.pvid,
					}));
					const { say } = build(ports, filtering);
					const table = new Map<string, number>();
					for (const each of words) {
						expect(await say(each)).toEqual(expected(ports, filtering, table, each).sort());
					}
				},
			),
			{ numRuns: 1000 },
		);
	});
});
