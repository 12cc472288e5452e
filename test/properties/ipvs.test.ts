import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Ip4 } from "../../src/addr/index.ts";
import { ipv4 } from "../../src/wire/index.ts";
import { SCHEDULERS } from "../../src/stack/ipvs/index.ts";
import { balanced, type Balanced, echo, serverAddress, VIP } from "../support/load-balancer.ts";

/** Runs of the properties: each is a network of its own. */
const RUNS = { numRuns: 200 };

/** Something that happens: a client's new or old socket speaks, a server's weight changes, time passes. */
type Event =
	| { readonly kind: "ask"; readonly socket: number }
	| { readonly kind: "weigh"; readonly server: number; readonly weight: number }
	| { readonly kind: "remove"; readonly server: number }
	| { readonly kind: "wait"; readonly seconds: number };

const SERVERS = 4;
const anyEvent = fc.oneof<fc.Arbitrary<Event>[]>(
	fc.record({ kind: fc.constant("ask"), socket: fc.nat({ max: 11 }) }),
	fc.record({
		kind: fc.constant("weigh"),
		server: fc.nat({ max: SERVERS - 1 }),
		weight: fc.constantFrom(0, 0, 1, 2, 5),
	}),
	fc.record({ kind: fc.constant("remove"), server: fc.nat({ max: SERVERS - 1 }) }),
	fc.record({ kind: fc.constant("wait"), seconds: fc.integer({ min: 1, max: 400 }) }),
);
const anyScheduler = fc.constantFrom(...SCHEDULERS.keys());
const anyOptions = fc.constantFrom("", "-p 30", "-p 30 -M 255.255.255.0", "-o");

/** What was said to whom: the weights and servers there were when it was said, and who answered. */
interface Answer {
	readonly socket: number;
	readonly server: number;
	readonly from: string;
	readonly weights: readonly (number | undefined)[];
	readonly knew: boolean;
}

async function live(scheduler: string, options: string, events: readonly Event[]) {
	const net = balanced({ servers: SERVERS });
	const { lab, lb, client } = net;
	echo(net, 53);
	lb.ipvsadm(`-A -u ${VIP}:53 -s ${scheduler} ${options}`);
	const weights: (number | undefined)[] = [];
	const weigh = (i: number, weight: number): void => {
		lb.ipvsadm(
			`${weights[i] === undefined ? "-a" : "-e"} -u ${VIP}:53 -r ${serverAddress(i)}:53 -m -w ${String(weight)}`,
		);
		weights[i] = weight;
	};
	for (let i = 0; i < SERVERS; i++) weigh(i, 1);
	const sockets = Array.from({ length: 12 }, (_, i) => client.udp({ port: 40_000 + i }));
	const answers: Answer[] = [];
	let knew = false;
	for (const [i, socket] of sockets.entries()) {
		void (async () => {
			for (;;) {
				const { data, address } = await socket.receive();
				answers.push({ socket: i, server: data[0]!, from: address, weights: [...weights], knew });
			}
		})().catch(() => undefined);
	}
	for (const event of events) {
		switch (event.kind) {
			case "ask":
				knew = lb.ipvsadm("-Lcn").includes(`10.1.0.10:${String(40_000 + event.socket)} `);
				sockets[event.socket]!.send(new Uint8Array(4), { address: VIP, port: 53 });
				await lab.advance("20ms");
				break;
			case "weigh":
				weigh(event.server, event.weight);
				break;
			case "remove":
				if (weights[event.server] === undefined) break;
				lb.ipvsadm(`-d -u ${VIP}:53 -r ${serverAddress(event.server)}:53`);
				weights[event.server] = undefined;
				break;
			case "wait":
				await lab.advance(`${String(event.seconds)}s`);
				break;
		}
	}
	return { net, answers };
}

describe("whatever happens to a service", () => {
	test("a quiesced or removed server gets no new flow", async () => {
		await fc.assert(
			fc.asyncProperty(
				anyScheduler,
				fc.constantFrom("", "-o"),
				fc.array(anyEvent, { maxLength: 25 }),
				async (scheduler, options, events) => {
					const { answers } = await live(scheduler, options, events);
					for (const { server, weights, knew } of answers)
						if (!knew) expect(weights[server]).toBeGreaterThan(0);
				},
			),
			RUNS,
		);
	});

	test("every reply of a connection comes from the virtual address", async () => {
		await fc.assert(
			fc.asyncProperty(
				anyScheduler,
				fc.constantFrom("", "-p 30"),
				fc.array(anyEvent, { maxLength: 25 }),
				async (scheduler, options, events) => {
					const { answers } = await live(scheduler, options, events);
					expect(answers.filter(({ from }) => from !== VIP)).toEqual([]);
				},
			),
			RUNS,
		);
	});

	test("when all is quiet the tables are empty, the counts are zero, and every frame is accounted for", async () => {
		await fc.assert(
			fc.asyncProperty(
				anyScheduler,
				anyOptions,
				fc.array(anyEvent, { maxLength: 25 }),
				async (scheduler, options, events) => {
					const { net } = await live(scheduler, options, events);
					// UDP's 300 s, a template's further minutes, the trash's four, and what the timer wheel is late.
					await net.lab.advance("900s");
					expect(net.lb.ipvs.core.connections.size).toBe(0);
					for (const { destinations } of net.lb.ipvs.core.services.sorted()) {
						for (const { active, inactive, persistent, references } of destinations) {
							expect([active, inactive, persistent, references]).toEqual([0, 0, 0, 0]);
						}
					}
					expect(net.lab.world.frames.taken).toBe(0);
					net.lb.ipvsadm("-C");
					await net.lab.advance("400s");
					expect(net.lab.world.scheduler.pending).toBe(0);
				},
			),
			RUNS,
		);
	});
});

describe("whatever comes from the network", () => {
	const anyPacket = fc.record({
		protocol: fc.constantFrom(1, 6, 17, 4),
		options: fc.nat({ max: 10 }),
		fragment: fc.constantFrom(0, ipv4.MORE_FRAGMENTS, 2, ipv4.DONT_FRAGMENT),
		fromServer: fc.boolean(),
		/** Begins with an error that quotes a packet of the connection, cut anywhere. */
		error: fc.boolean(),
		payload: fc.uint8Array({ maxLength: 60 }),
	});

	test("no packet makes the load balancer throw, and each ends with a reason or arrives", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.constantFrom("-m", "-g", "-i"),
				fc.array(anyPacket, { maxLength: 20 }),
				async (method, all) => {
					const { lab, lb, client, servers } = balanced({ servers: 1 });
					lb.ipvsadm("-A -f 256 -s rr");
					lb.ipvsadm(`-a -f 256 -r ${serverAddress(0)}:0 ${method}`);
					lb.sysctl.set("net.ipv4.vs.schedule_icmp", 1);
					lb.sysctl.set("net.ipv4.vs.sloppy_tcp", 1);
					lb.sysctl.set("net.ipv4.vs.nat_icmp_send", 1);
					lb.hooks.register("PREROUTING", -150, (frame) => {
						frame.mark = 256;
						return 1;
					});
					for (const { protocol, options, fragment, fromServer, error, payload } of all) {
						const [source, destination] = fromServer
							? [0x0a02_000b, 0x0a01_000a]
							: [0x0a01_000a, 0x0a01_0064];
						const quoted = Uint8Array.of(3, 1, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17);
						const body = error
							? [...quoted, 0, 0, ...octetsOf(destination), ...octetsOf(source), ...payload]
							: [...payload];
						const header = ipv4.MIN_OCTETS + options * 4;
						const frame = lab.world.frames.begin(header + body.length);
						frame.end = frame.start + header + body.length;
						frame.bytes.set(body, frame.start + header);
						const about = {
							tos: 0,
							totalLength: header + body.length,
							ident: 1,
							reservedFlag: false,
							dontFragment: fragment === ipv4.DONT_FRAGMENT,
							moreFragments: fragment === ipv4.MORE_FRAGMENTS,
							fragmentOffset: fragment === 2 ? 16 : 0,
							ttl: 2 + payload.length,
							protocol: error ? 1 : protocol,
							source: source as Ip4,
							destination: destination as Ip4,
							options: new Uint8Array(options * 4),
						};
						ipv4.write(frame.view, frame.start, about);
						frame.trusted = true;
						const ns = fromServer ? servers[0]! : client;
						ns.ipv4.output(frame, ns.route(about.destination)!);
						await lab.advance("5ms");
					}
					await lab.advance("2000s");
					expect(lab.world.frames.taken).toBe(0);
					expect(lb.ipvs.core.connections.size).toBe(0);
				},
			),
			RUNS,
		);
	});

	const octetsOf = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
});

describe("schedulers share as they promise", () => {
	/** How often each server is chosen for so many new connections. */
	function shares(scheduler: string, weights: readonly number[], count: number): number[] {
		const net: Balanced = balanced({ servers: weights.length });
		const service = { udp: `${VIP}:53` };
		net.lb.ipvs.addService({ ...service, scheduler });
		for (const [i, weight] of weights.entries()) {
			net.lb.ipvs.addDestination(service, { address: serverAddress(i), forward: "masquerading", weight });
		}
		const { destinations, scheduler: chooses } = net.lb.ipvs.core.services.sorted()[0]!;
		const chosen = weights.map(() => 0);
		for (let i = 0; i < count; i++) {
			const destination = chooses.schedule({ source: 1 as never, sourcePort: i, destination: 2 as never });
			if (destination === undefined) return [];
			chosen[weights.length - 1 - destinations.indexOf(destination)]!++;
			destination.inactive++;
		}
		net.lab.close();
		return chosen;
	}

	const anyWeights = fc
		.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 6 })
		.filter((weights) => weights.some((weight) => weight > 0));

	test("wrr: over as many connections as the weights add up to, exactly by weight", () => {
		fc.assert(
			fc.property(anyWeights, fc.integer({ min: 1, max: 3 }), (weights, rounds) => {
				const divisor = weights.reduce(function gcd(a: number, b: number): number {
					return b === 0 ? a : gcd(b, a % b);
				}, 0);
				const round = weights.reduce((sum, weight) => sum + weight, 0) / divisor;
				expect(shares("wrr", weights, round * rounds)).toEqual(
					weights.map((weight) => (weight / divisor) * rounds),
				);
			}),
		);
	});

	test("rr: all that take connections get the same, but for one", () => {
		fc.assert(
			fc.property(anyWeights, fc.integer({ min: 1, max: 100 }), (weights, count) => {
				const got = shares("rr", weights, count).filter((_, i) => weights[i]! > 0);
				expect(Math.max(...got) - Math.min(...got)).toBeLessThanOrEqual(1);
			}),
		);
	});

	test("wlc: no server has more for its weight than another would have with one more", () => {
		fc.assert(
			fc.property(anyWeights, fc.integer({ min: 1, max: 100 }), (weights, count) => {
				const got = shares("wlc", weights, count);
				for (const [i, weight] of weights.entries()) {
					for (const [j, other] of weights.entries()) {
						if (weight === 0 || other === 0) continue;
						expect((got[i]! - 1) / weight).toBeLessThanOrEqual((got[j]! + 1) / other);
					}
				}
			}),
		);
	});
});
