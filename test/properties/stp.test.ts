import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Bridge, Lab, type Netns } from "../../src/index.ts";
import type { Veth } from "../../src/link/index.ts";

/** Bridges, the links between them (two numbers each; several between the same two are fine), their priorities. */
interface Shape {
	readonly bridges: number;
	readonly links: readonly (readonly [number, number])[];
	readonly priorities: readonly number[];
	readonly cut: number;
}

const shape: fc.Arbitrary<Shape> = fc.integer({ min: 2, max: 7 }).chain((bridges) =>
	fc.record({
		bridges: fc.constant(bridges),
		links: fc
			.tuple(
				// Everyone is reached by some link, and then there are more: loops.
				fc.tuple(
					...Array.from({ length: bridges - 1 }, (_, i) => fc.tuple(fc.nat({ max: i }), fc.constant(i + 1))),
				),
				fc.array(fc.tuple(fc.nat({ max: bridges - 1 }), fc.nat({ max: bridges - 1 })), { maxLength: 5 }),
			)
			.map(([tree, more]) => [...tree, ...more.filter(([a, b]) => a !== b)]),
		priorities: fc.array(
			fc.nat({ max: 15 }).map((step) => step * 4096),
			{ minLength: bridges, maxLength: bridges },
		),
		cut: fc.nat(),
	}),
);

interface Link {
	readonly a: { readonly bridge: Bridge; readonly device: Veth };
	readonly b: { readonly bridge: Bridge; readonly device: Veth };
}

/** A bridge per namespace, all with STP, and a host at each. */
function network({ bridges: count, links, priorities }: Shape) {
	const lab = new Lab({ seed: 1 });
	const bridges = Array.from({ length: count }, (_, i) => {
		const br0 = lab.netns(`s${String(i)}`).addBridge("br0", { stp: true, priority: priorities[i]! });
		br0.up();
		return br0;
	});
	const ns = (i: number): Netns => lab.namespaces.get(`s${String(i)}`)!;
	const joined: Link[] = links.map(([a, b], i) => {
		const [x, y] = lab.veth({ ns: ns(a), name: `a${String(i)}` }, { ns: ns(b), name: `b${String(i)}` });
		bridges[a]!.attach(x);
		bridges[b]!.attach(y);
		for (const end of [x, y]) end.up();
		return { a: { bridge: bridges[a]!, device: x }, b: { bridge: bridges[b]!, device: y } };
	});
	const hosts = bridges.map((bridge, i) => {
		const host = lab.netns(`h${String(i)}`);
		const [eth0, port] = lab.veth({ ns: host, name: "eth0" }, { ns: ns(i), name: "host" });
		bridge.attach(port);
		for (const end of [eth0, port]) end.up();
		eth0.addAddress(`10.0.0.${String(i + 1)}/24`);
		return host;
	});
	return { lab, bridges, links: joined, hosts };
}

const forwards = ({ bridge, device }: Link["a"]): boolean => bridge.port(device)?.state === "forwarding";

/** The parts into which links divide the bridges; true of `loop` when some link closes one. */
function parts(count: number, bridges: readonly Bridge[], links: readonly Link[]) {
	const part = Array.from({ length: count }, (_, i) => i);
	const find = (i: number): number => (part[i] === i ? i : find(part[i]!));
	let loop = false;
	for (const { a, b } of links) {
		const [x, y] = [find(bridges.indexOf(a.bridge)), find(bridges.indexOf(b.bridge))];
		if (x === y) loop = true;
		part[x] = y;
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

async function expectTree(net: ReturnType<typeof network>, links: readonly Link[]): Promise<void> {
	const { lab, bridges, hosts } = net;
	const active = links.filter(({ a, b }) => forwards(a) && forwards(b));
	const all = parts(bridges.length, bridges, links);
	const tree = parts(bridges.length, bridges, active);
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
				await expectTree(net, net.links);
				const cut = net.links[of.cut % net.links.length]!;
				cut.a.device.down();
				// The information about the root ages out, then ports listen and learn.
				await net.lab.advance("90s");
				await expectTree(
					net,
					net.links.filter((link) => link !== cut),
				);
			}),
			{ numRuns: 1000 },
		);
	}, 60_000);
});
