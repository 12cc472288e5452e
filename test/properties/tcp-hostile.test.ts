import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksum, ethernet, ipv4, tcp } from "../../src/wire/index.ts";
import { bombard } from "../support/hostile-tcp.ts";
import { cabled, pattern } from "../support/tcp-cable.ts";

const RUNS = { numRuns: 300 };

/** A connection with some data under way, and one recorded segment of it for mutation. */
async function speaking(seed: number) {
	const net = cabled({ delay: 5 }, seed);
	const heard: number[] = [];
	let ended: string | undefined;
	net.b.tcp.listen({ port: 80 }).onConnection = (socket) => {
		socket.onReadable = () => heard.push(...socket.read());
		socket.onClose = (error) => (ended = error?.code ?? "closed");
	};
	const client = net.a.tcp.connect({ address: "10.0.0.2", port: 80 });
	const said = pattern(5000, 3);
	client.onConnect = () => void client.write(said);
	await net.lab.advance("40ms");
	const server = [...net.b.tcp.sockets()][0];
	if (server === undefined) throw new Error("no connection");
	return { ...net, client, server, heard, said, ended: () => ended };
}

/** Sends a segment to b that claims to be the client's. */
function inject(
	net: Awaited<ReturnType<typeof speaking>>,
	segment: Parameters<typeof tcp.write>[2],
	data: Uint8Array,
	mutate: readonly (readonly [number, number])[],
): void {
	const frame = net.lab.world.frames.begin(200 + data.length);
	const header = tcp.octets(segment);
	const total = ipv4.MIN_OCTETS + header + data.length;
	const at = frame.start + ethernet.OCTETS;
	frame.end = at + total;
	const device = net.b.device("eth0");
	ethernet.write(frame.view, frame.start, { dst: device.mac, src: device.mac, type: ethernet.TYPE_IPV4 });
	const [source, destination] = [net.client.localAddress, net.client.remoteAddress];
	tcp.write(frame.view, at + ipv4.MIN_OCTETS, segment);
	frame.bytes.set(data, at + ipv4.MIN_OCTETS + header);
	for (const [place, octet] of mutate)
		frame.view.setUint8(at + ipv4.MIN_OCTETS + 12 + (place % (header - 12)), octet);
	ipv4.writePlain(frame.view, at, total, 0, 1, 0, 64, 6, source, destination);
	tcp.writeChecksum(frame.view, at + ipv4.MIN_OCTETS, total - ipv4.MIN_OCTETS, source, destination);
	void checksum;
	device.receive(frame);
}

const anySegment = fc.record({
	offset: fc.oneof(
		fc.integer({ min: -100_000, max: 200_000 }),
		fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
	),
	ack: fc.oneof(fc.integer({ min: -70_000, max: 70_000 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
	flags: fc.nat({ max: 255 }),
	window: fc.nat({ max: 65_535 }),
	urgent: fc.nat({ max: 65_535 }),
	blocks: fc.array(fc.record({ left: fc.nat(), right: fc.nat() }), { maxLength: 2 }),
	data: fc.nat({ max: 1200 }),
	mutate: fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 6 }),
});

describe("hostile segments", () => {
	test("nothing throws, and every frame is accounted for", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(anySegment, { minLength: 1, maxLength: 20 }),
				fc.nat(),
				async (segments, seed) => {
					const net = await speaking(seed);
					for (const each of segments) {
						const { tcb } = net.server;
						inject(
							net,
							{
								sourcePort: net.client.localPort,
								destinationPort: 80,
								sequence: (tcb.rcvNxt + each.offset) >>> 0,
								acknowledgment: (tcb.sndNxt + each.ack) >>> 0,
								flags: each.flags,
								window: each.window,
								urgent: each.urgent,
								options:
									each.blocks.length === 0
										? []
										: [{ kind: "nop" }, { kind: "nop" }, { kind: "sack", blocks: each.blocks }],
							},
							new Uint8Array(each.data),
							each.mutate,
						);
					}
					await net.lab.advance("1s");
					for (const each of [...net.a.tcp.sockets(), ...net.b.tcp.sockets()]) each.abort();
					await net.lab.advance("200s");
					expect([net.a.tcp.count, net.b.tcp.count]).toEqual([0, 0]);
					expect(net.lab.world.frames.taken).toBe(0);
				},
			),
			RUNS,
		);
	}, 60_000);

	// scripts/hostile.ts does a million.
	test("20,000 mutated segments: nothing throws, nothing from outside of the window, no memory beyond the limit", async () => {
		const { broken, fullest, taken } = await bombard(20_000, fc.sample(fc.nat(), 1)[0] ?? 0);
		expect(broken).toEqual([]);
		expect(fullest).toBeLessThanOrEqual(1);
		// The mutants are near enough to the truth to be believed at times.
		expect(taken).toBeGreaterThan(100);
	}, 60_000);

	test("data outside of the receive window is never taken, and a reset there ends nothing", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.constantFrom(tcp.ACK, tcp.ACK | tcp.PSH, tcp.ACK | tcp.FIN, tcp.RST, tcp.RST | tcp.ACK, tcp.SYN),
				fc.integer({ min: 1, max: 1_000_000_000 }),
				fc.boolean(),
				fc.integer({ min: 1, max: 1000 }),
				fc.nat(),
				async (flags, far, behind, octets, seed) => {
					const net = await speaking(seed);
					const { tcb } = net.server;
					const before = tcb.rcvNxt;
					const sequence = behind ? tcb.rcvNxt - octets - 2 - far : tcb.rcvNxt + tcb.offeredWindow + far;
					inject(
						net,
						{
							sourcePort: net.client.localPort,
							destinationPort: 80,
							sequence: sequence >>> 0,
							acknowledgment: tcb.sndNxt >>> 0,
							flags,
							window: 1000,
							urgent: 0,
							options: [],
						},
						new Uint8Array((flags & tcp.ACK) !== 0 ? octets : 0),
						[],
					);
					await net.lab.advance("1s");
					expect(tcb.rcvNxt).toBe(before);
					expect(net.ended()).toBeUndefined();
					expect(Buffer.compare(Uint8Array.from(net.heard), net.said)).toBe(0);
				},
			),
			RUNS,
		);
	}, 60_000);
});
