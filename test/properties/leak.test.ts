import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toIp4 } from "../../src/addr/index.ts";
import { Lab } from "../../src/index.ts";
import { ethernet, ipv4, udp } from "../../src/wire/index.ts";
import { pattern, Talker } from "../support/tcp-cable.ts";

/** A client on a bad cable behind a router that masquerades and tracks, and a server. */
function behindNat(loss: number, duplicate: number, reorder: number, seed: number) {
	const lab = new Lab({ seed });
	const [client, router, server] = [lab.host("client"), lab.host("router"), lab.netns("server")];
	const eth0 = client.addNic("eth0", { address: "10.0.0.2/24", gateway: "10.0.0.1" });
	const inside = router.addNic("in", { address: "10.0.0.1/24" });
	lab.cable(eth0, inside, { netem: { loss, duplicate, reorder, delay: "3ms" } });
	const [outside, far] = lab.veth({ ns: router.netns, name: "out" }, { ns: server, name: "eth0" });
	outside.addAddress("10.1.0.1/24");
	far.addAddress("10.1.0.2/24");
	for (const device of [outside, far]) device.up();
	router.netns.sysctl.set("net.ipv4.ip_forward", 1);
	router.netns.iptables("-t nat -A POSTROUTING -o out -j MASQUERADE");
	return { lab, client: client.netns, router: router.netns, server };
}

describe("after everything is over nothing is left", () => {
	test("of TCP connections through NAT over any cable: no socket, no flow, no frame, no timer", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.double({ min: 0, max: 0.15, noNaN: true }),
				fc.double({ min: 0, max: 0.1, noNaN: true }),
				fc.double({ min: 0, max: 0.2, noNaN: true }),
				fc.array(fc.tuple(fc.nat({ max: 20_000 }), fc.nat({ max: 20_000 })), { minLength: 1, maxLength: 5 }),
				fc.nat(),
				async (loss, duplicate, reorder, conversations, seed) => {
					const { lab, client, router, server } = behindNat(loss, duplicate, reorder, seed);
					const answers = conversations.map(([, down]) => new Talker(pattern(down, 2)));
					let next = 0;
					const listener = server.tcp.listen({ port: 80 });
					listener.onConnection = (socket) => {
						const talker = answers[next++];
						if (talker === undefined) socket.abort();
						else talker.use(socket, true);
					};
					const asks = conversations.map(([up]) => new Talker(pattern(up, 1)));
					for (const talker of asks) talker.use(client.tcp.connect({ address: "10.1.0.2", port: 80 }), false);
					await lab.advance("3600s");
					// Who waits for somebody that gave up would wait for ever.
					for (const each of [...client.tcp.sockets(), ...server.tcp.sockets()]) each.abort();
					listener.close();
					// An established flow whose end was lost is kept for five days.
					await lab.advance("518400s");
					expect([client.tcp.count, server.tcp.count, router.netfilter.conntrack.count]).toEqual([0, 0, 0]);
					expect(lab.world.frames.taken).toBe(0);
					expect(lab.world.scheduler.pending).toBe(0);
				},
			),
			{ numRuns: 25 },
		);
	}, 120_000);
});

describe("putting fragments together", () => {
	const PAYLOAD = 600;
	const [FROM, TO] = [toIp4("10.0.0.9", "from"), toIp4("10.0.0.2", "to")];
	const datagram = (id: number): Uint8Array => {
		const data = new Uint8Array(udp.OCTETS + PAYLOAD);
		const view = new DataView(data.buffer);
		view.setUint16(0, 1000 + id);
		view.setUint16(2, 7);
		view.setUint16(4, data.length);
		data.set(pattern(PAYLOAD, id * 13), udp.OCTETS);
		return data;
	};
	type Piece = {
		readonly id: number;
		readonly from: number;
		readonly octets: number;
		readonly forged: number;
	};
	const anyPiece = fc.record({
		id: fc.nat({ max: 2 }),
		from: fc.nat({ max: 76 }),
		octets: fc.integer({ min: 1, max: 40 }),
		forged: fc.integer({ min: 0, max: 9 }),
	});
	const inEights = (id: number, eights: number) =>
		Array.from({ length: Math.ceil(76 / eights) }, (_, i) => ({
			id,
			from: i * eights,
			octets: eights,
			forged: 9,
		}));

	test("gives a datagram that was sent or none, whatever overlaps, repeats, is missing or mixed; memory is given back", async () => {
		let whole = 0;
		await fc.assert(
			fc.asyncProperty(
				fc.array(anyPiece, { maxLength: 12 }),
				fc.integer({ min: 5, max: 40 }),
				fc.nat(),
				async (pieces, eights, seed) => {
					const lab = new Lab({ seed });
					const ns = lab.netns("a");
					const [eth0, other] = lab.veth({ ns, name: "eth0" }, { ns: lab.netns("b"), name: "eth0" });
					eth0.addAddress("10.0.0.2/24");
					for (const device of [eth0, other]) device.up();
					const heard: string[] = [];
					ns.udp({ port: 7 }).handler = (frame, at, octets, _source, port) => {
						heard.push(
							`${String(port)} ${Buffer.from(frame.bytes.subarray(at, at + octets)).toString("hex")}`,
						);
					};
					// One datagram is whole and in a random order, among pieces of it and of others.
					const rng = lab.world.rng.fork("order");
					const all: Piece[] = [...inEights(0, eights), ...pieces];
					for (let i = all.length - 1; i > 0; i--) {
						const j = rng.below(i + 1);
						[all[i], all[j]] = [all[j] as Piece, all[i] as Piece];
					}
					for (const { id, from, octets, forged } of all) {
						const source = datagram(id);
						const [start, end] = [from * 8, Math.min((from + octets) * 8, source.length)];
						const piece = source.slice(start, end);
						if (forged < 1) piece.fill(0xee);
						const data = new Uint8Array(ethernet.OCTETS + ipv4.MIN_OCTETS + piece.length);
						const view = new DataView(data.buffer);
						ethernet.write(view, 0, { dst: eth0.mac, src: other.mac, type: ethernet.TYPE_IPV4 });
						const more = end < source.length ? ipv4.MORE_FRAGMENTS : 0;
						ipv4.writePlain(view, 14, 20 + piece.length, 0, 77 + id, more | from, 64, 17, FROM, TO);
						data.set(piece, 34);
						eth0.receive(lab.world.frames.from(data));
					}
					await lab.advance("40s");
					for (const text of heard) {
						const [port = "", hex = ""] = text.split(" ");
						// A forged piece that fits exactly where nothing else is cannot be told from a true one.
						if (hex.includes("eeee") || Number(port) === 0xeeee) continue;
						expect(hex).toBe(Buffer.from(pattern(PAYLOAD, (Number(port) - 1000) * 13)).toString("hex"));
						whole++;
					}
					expect(lab.world.frames.taken).toBe(0);
				},
			),
			{ numRuns: 300 },
		);
		expect(whole).toBeGreaterThan(30);
	}, 60_000);
});
