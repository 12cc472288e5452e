import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import type { Device, MacvlanMode, VlanProtocol } from "../../src/link/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { macvlans } from "../support/macvlan.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";

const anyModes: fc.Arbitrary<MacvlanMode[]> = fc.oneof(
	fc.constant<MacvlanMode[]>(["passthru"]),
	fc.array(fc.constantFrom<MacvlanMode>("bridge", "private", "vepa", "source"), {
		minLength: 1,
		maxLength: 5,
	}),
);

/** Who hears whom, as the manual page of `ip link` tells it, for a switch that knows nobody. */
function reached(modes: readonly MacvlanMode[], hairpin: boolean, from: string, to: string): string[] {
	const child = (who: string): number => (who.startsWith("c") ? Number(who.slice(1)) : -1);
	const group = to === "all";
	const some = (which: (mode: MacvlanMode, i: number) => boolean): string[] =>
		modes.flatMap((mode, i) => (which(mode, i) ? [`c${String(i)}`] : []));
	const passthru = modes[0] === "passthru";

	/** What comes up from the parent's wire. */
	const parentHears = (sender: string): string[] => {
		if (!group) {
			if (passthru) return ["c0"];
			const target = modes[child(to)];
			if (target !== undefined && target !== "source") return [to];
			return to === "parent" ? ["parent"] : [];
		}
		// The parent of a passthru child has the child's address: its own frames look like the child's.
		const self = passthru && sender === "parent" ? "c0" : sender;
		switch (modes[child(self)]) {
			case undefined:
				return ["parent", ...some((mode) => mode !== "source")];
			case "vepa":
				return ["parent", ...some((mode, i) => i !== child(self) && (mode === "vepa" || mode === "bridge"))];
			case "bridge":
				return ["parent", ...some((mode) => mode === "vepa")];
			default:
				return [self];
		}
	};
	const wire = (): string[] => [
		...(group || to === "out" ? ["out"] : []),
		...(hairpin ? parentHears(from) : []),
	];
	if (from === "out") return parentHears("out");
	if (modes[child(from)] !== "bridge") return wire();
	if (group) return [...some((mode, i) => mode === "bridge" && i !== child(from)), ...wire()];
	return modes[child(to)] === "bridge" ? [to] : wire();
}

describe("macvlan", () => {
	test("who hears whom follows from the modes alone, and nobody hears anything twice", async () => {
		await fc.assert(
			fc.asyncProperty(
				anyModes,
				fc.boolean(),
				fc.array(fc.integer({ min: 1, max: 4094 }), { maxLength: 3 }),
				fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 12 }),
				async (modes, hairpin, tags, words) => {
					const { say, mac, lab } = macvlans(modes, { hairpin, tags });
					const everybody = ["parent", "out", ...modes.map((_, i) => `c${String(i)}`)];
					for (const [f, t] of words) {
						const from = everybody[f % everybody.length]!;
						const to = ["all", ...everybody][t % (everybody.length + 1)]!;
						// A parent and its passthru child share an address: "to whom" has no answer but the child.
						if (to === from) continue;
						const heard = await say(from, to === "all" ? BROADCAST : mac(to));
						expect([from, to, heard]).toEqual([from, to, reached(modes, hairpin, from, to).sort()]);
					}
					expect(lab.world.frames.taken).toBe(0);
				},
			),
		);
	});
});

const anyTag: fc.Arbitrary<{ protocol: VlanProtocol; id: number }> = fc.record({
	protocol: fc.constantFrom<VlanProtocol>("802.1Q", "802.1ad"),
	id: fc.integer({ min: 0, max: 4094 }),
});
const anyStack = fc.array(anyTag, { minLength: 1, maxLength: 7 });

/** Puts VLAN devices on top of each other and sets them up; gives the topmost. */
function stack(ns: Netns, tags: readonly { protocol: VlanProtocol; id: number }[], prefix: string): Device {
	let top = ns.device("eth0");
	for (const [i, { protocol, id }] of tags.entries()) {
		top = ns.addVlan(top, id, { protocol, name: `${prefix}${String(i)}` });
		top.up();
	}
	return top;
}

describe("VLAN devices", () => {
	test("whatever is stacked on both ends, octets arrive as they were and the wire has all tags in order", async () => {
		await fc.assert(
			fc.asyncProperty(
				anyStack,
				fc.uint8Array({ minLength: 46, maxLength: 1400 }),
				fc.boolean(),
				async (tags, payload, reorder) => {
					const lab = new Lab({ seed: 1 });
					const [a, b] = [lab.netns("a"), lab.netns("b")];
					for (const end of lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" })) end.up();
					const from = stack(a, tags, "v");
					const below = stack(b, tags.slice(0, -1), "v");
					const last = tags.at(-1)!;
					const to = b.addVlan(below, last.id, {
						protocol: last.protocol,
						name: "top",
						reorderHeader: reorder,
					});
					to.up();
					const frame = Uint8Array.of(255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, ...payload);
					const got: Uint8Array[] = [];
					b.packetSocket({ device: to }).onFrame = (bytes) => got.push(bytes);
					const capture = lab.capture("*:*");
					a.packetSocket().send(frame, from);
					await lab.advance("1ms");
					expect(got).toEqual([frame]);
					const wire = capture.sightings("b:eth0").map((row) => dissect(row.data));
					const vids = wire.map((layers) =>
						layers
							.filter((layer) => layer.protocol === "vlan")
							.map((layer) => layer.fields.find((field) => field.name === "vlan.vid")?.value),
					);
					expect(vids).toEqual([tags.map((each) => each.id)]);
					expect(capture.sightings("b:top")[0]?.data.length).toBe(frame.length + (reorder ? 0 : 4));
					expect(lab.world.frames.taken).toBe(0);
				},
			),
		);
	});

	test("no frame surfaces at another tag than its own", async () => {
		await fc.assert(
			fc.asyncProperty(anyTag, anyTag, async (sent, other) => {
				fc.pre(sent.id !== other.id || sent.protocol !== other.protocol);
				const lab = new Lab({ seed: 1 });
				const [a, b] = [lab.netns("a"), lab.netns("b")];
				for (const end of lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" })) end.up();
				const from = stack(a, [sent], "v");
				const right = stack(b, [sent], "v");
				const wrong = stack(b, [other], "w");
				const got: string[] = [];
				b.packetSocket().onFrame = (_, device) => got.push(device.name);
				const frame = new Uint8Array(60).fill(255, 0, 6);
				a.packetSocket().send(frame, from);
				await lab.advance("1ms");
				expect(got).toEqual([right.name]);
				expect(wrong.counters.rxPackets).toBe(0);
			}),
		);
	});
});
