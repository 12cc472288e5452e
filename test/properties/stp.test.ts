import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Bridge, Lab, type Netns } from "../../src/index.ts";
import type { Veth } from "../../src/link/index.ts";

/**
 * Bridges and what joins them. A link has two ends at bridges, the same one perhaps; a segment has any number of ends,
 * joined by a bridge without STP, which passes BPDUs on as a hub does. Costs and priorities are those of ports.
 */
interface Shape {
	readonly bridges: number;
	readonly joints: readonly (readonly number[])[];
	readonly priorities: readonly number[];
	readonly costs: readonly number[];
	readonly portPriorities: readonly number[];
	readonly cut: number;
	/** Pulled out at the segment, where the bridge behind it sees no carrier, or far away behind the segment. */
	readonly cutEnd: number;
}

const shape: fc.Arbitrary<Shape> = fc.integer({ min: 2, max: 7 }).chain((bridges) => {
	const bridge = fc.nat({ max: bridges - 1 });
	return fc.record({
		bridges: fc.constant(bridges),
		joints: fc
			.tuple(
				// Everyone is reached by some link, and then there are more: loops.
				fc.tuple(
					...Array.from({ length: bridges - 1 }, (_, i) => fc.tuple(fc.nat({ max: i }), fc.constant(i + 1))),
				),
				fc.array(fc.tuple(bridge, bridge), { maxLength: 5 }),
				fc.array(fc.array(bridge, { minLength: 3, maxLength: 4 }), { maxLength: 2 }),
			)
			.map((parts) => parts.flat()),
		priorities: fc.array(
			fc.nat({ max: 15 }).map((step) => step * 4096),
			{ minLength: bridges, maxLength: bridges },
		),
		costs: fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 5, maxLength: 5 }),
		portPriorities: fc.array(fc.nat({ max: 63 }), { minLength: 5, maxLength: 5 }),
		cut: fc.nat(),
		cutEnd: fc.nat(),
	});
});

/** A port of a bridge with STP that leads to a joint, and what it is joined to there. */
interface End {
	readonly bridge: Bridge;
	readonly device: Veth;
	readonly far: Veth;
}

/** A bridge per namespace, all with STP, and a host at each. */
function network({ bridges: count, joints, priorities, costs, portPriorities }: Shape) {
	const lab = new Lab({ seed: 1 });
	const bridges = Array.from({ length: count }, (_, i) => {
		const br0 = lab.netns(`s${String(i)}`).addBridge("br0", { stp: true, priority: priorities[i]! });
		br0.up();
		return br0;
	});
	const ns = (i: number): Netns => lab.namespaces.get(`s${String(i)}`)!;
	let made = 0;
	const plug = (at: number, to: Netns): [Veth, Veth] => {
		const name = String(made++);
		const ends = lab.veth({ ns: ns(at), name: `a${name}` }, { ns: to, name: `b${name}` });
		bridges[at]!.attach(ends[0]).set({
			cost: costs[made % costs.length]!,
			priority: portPriorities[made % portPriorities.length]!,
		});
		for (const end of ends) end.up();
		return ends;
	};
	const segments = joints.map((members, i): End[] => {
		const [first, second] = members;
		if (members.length === 2) {
			const [device, far] = plug(first!, ns(second!));
			bridges[second!]!.attach(far);
			return [
				{ bridge: bridges[first!]!, device, far },
				{ bridge: bridges[second!]!, device: far, far: device },
			];
		}
		const hub = lab.netns(`hub${String(i)}`);
		const middle = hub.addBridge("br0");
		middle.up();
		return members.map((member) => {
			const [device, far] = plug(member, hub);
			middle.attach(far);
			return { bridge: bridges[member]!, device, far };
		});
	});
	const hosts = bridges.map((bridge, i) => {
		const host = lab.netns(`h${String(i)}`);
		const [eth0, port] = lab.veth({ ns: host, name: "eth0" }, { ns: ns(i), name: "host" });
		bridge.attach(port);
		for (const end of [eth0, port]) end.up();
		return host;
	});
	return { lab, bridges, segments, hosts };
}

const forwards = ({ bridge, device }: End): boolean => bridge.port(device)?.state === "forwarding";

/**
 * The parts into which segments divide the bridges; true of `loop` when some end closes one: bridges and segments are
 * the nodes, ends the edges.
 */
function parts(bridges: readonly Bridge[], segments: readonly (readonly End[])[]) {
	const part = Array.from({ length: bridges.length + segments.length }, (_, i) => i);
	const find = (i: number): number => (part[i] === i ? i : find(part[i]!));
	let loop = false;
	for (const [i, ends] of segments.entries()) {
		for (const { bridge } of ends) {
			const [x, y] = [find(bridges.indexOf(bridge)), find(bridges.length + i)];
			if (x === y) loop = true;
			part[x] = y;
		}
	}
	return { of: (i: number) => find(i), loop };
}

/** Every host says one datagram to all; who heard it, and how often. */
async function heard(lab: Lab, hosts: readonly Netns[]): Promise<number[][]> {
	const counts = hosts.map(() => hosts.map(() => 0));
	const sockets = hosts.map((host, to) => {
		const socket = host.packetSocket({ type: 0x88b5 });
		socket.onFrame = (bytes) => {
			counts[bytes[14]!]![to]!++;
		};
		return socket;
	});
	for (const [from, host] of hosts.entries()) {
		const bytes = new Uint8Array(60);
		bytes.fill(0xff, 0, 6);
		bytes.set([2, 0, 0, 0, 9, from, 0x88, 0xb5, from], 6);
		host.packetSocket().send(bytes, host.device("eth0"));
	}
	await lab.advance("10ms");
	for (const socket of sockets) socket.close();
	return counts;
}

async function expectTree(
	{ lab, bridges, hosts }: ReturnType<typeof network>,
	segments: readonly (readonly End[])[],
): Promise<void> {
	const all = parts(bridges, segments);
	const tree = parts(
		bridges,
		segments.map((ends) => ends.filter(forwards)),
	);
	expect(tree.loop).toBe(false);
	const together = (where: typeof all): boolean[][] =>
		bridges.map((_, i) => bridges.map((__, j) => where.of(i) === where.of(j)));
	expect(together(tree)).toEqual(together(all));
	const expected = hosts.map((_, from) =>
		hosts.map((__, to) => (from !== to && all.of(from) === all.of(to) ? 1 : 0)),
	);
	expect(await heard(lab, hosts)).toEqual(expected);
}

describe("with STP on", () => {
	test("links that forward are a spanning tree, every host hears every other once, and again after a cut", async () => {
		await fc.assert(
			fc.asyncProperty(shape, async (of) => {
				const net = network(of);
				// Twice the forward delay and what the timer wheel adds, after all know the root.
				await net.lab.advance("60s");
				await expectTree(net, net.segments);
				const segment = of.cut % net.segments.length;
				const ends = net.segments[segment]!;
				const end = ends[of.cutEnd % ends.length]!;
				end.far.down();
				// The information about the root ages out, then ports listen and learn.
				await net.lab.advance("90s");
				// A link without one end is none; a segment still joins the others.
				const left = (each: readonly End[]): readonly End[] =>
					each !== ends ? each : ends.length === 2 ? [] : ends.filter((other) => other !== end);
				await expectTree(net, net.segments.map(left));
			}),
			{ numRuns: 500 },
		);
	}, 120_000);

	test("whatever is unplugged, plugged in again, taken out, put back or set while it runs, a tree comes of it", async () => {
		const change = fc.record({
			what: fc.constantFrom("unplug", "plug", "detach", "attach", "priority", "cost", "down", "up"),
			segment: fc.nat(),
			end: fc.nat(),
			value: fc.integer({ min: 1, max: 65_535 }),
			pause: fc.constantFrom("0s", "300ms", "3s", "20s"),
		});
		await fc.assert(
			fc.asyncProperty(shape, fc.array(change, { minLength: 1, maxLength: 10 }), async (of, changes) => {
				const net = network(of);
				await net.lab.advance("60s");
				for (const { what, segment, end, value, pause } of changes) {
					const ends = net.segments[segment % net.segments.length]!;
					const { bridge, device, far } = ends[end % ends.length]!;
					const port = bridge.port(device);
					if (what === "unplug") far.down();
					else if (what === "plug") far.up();
					else if (what === "detach" && port !== undefined) bridge.detach(device);
					else if (what === "attach" && port === undefined) bridge.attach(device);
					else if (what === "priority") bridge.set({ priority: value & 0xf000 });
					else if (what === "cost") port?.set({ cost: value });
					else if (what === "down") bridge.down();
					else if (what === "up") bridge.up();
					await net.lab.advance(pause);
				}
				for (const bridge of net.bridges) bridge.up();
				await net.lab.advance("120s");
				const on = ({ bridge, device, far }: End): boolean =>
					device.isUp && far.isUp && bridge.port(device) !== undefined;
				const left = (ends: readonly End[]): readonly End[] => {
					const working = ends.filter(on);
					return ends.length === 2 && working.length < 2 ? [] : working;
				};
				await expectTree(net, net.segments.map(left));
			}),
			{ numRuns: 300 },
		);
	}, 120_000);
});
