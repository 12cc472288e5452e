import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab, NetError, type Netns } from "../../src/index.ts";
import { dns } from "../../src/wire/index.ts";
import { recording } from "../support/golden.ts";
import { questionsOf } from "../support/talks.ts";

// The embedded name server between a program that says anything and servers outside that say anything.

const recorded = recording("02-bridge-user/dns-lc1-eth0");
const QUESTIONS = questionsOf(recorded, "questions").map(({ octets }) => octets);
const ANSWERS = questionsOf(recorded, "answers").map(({ octets }) => octets);

/** Octets changed, cut off, put in. */
const mutated = (seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> =>
	fc
		.record({
			seed: fc.constantFrom(...seeds),
			changes: fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 8 }),
			cut: fc.option(fc.nat(80), { nil: undefined }),
			tail: fc.uint8Array({ maxLength: 40 }),
		})
		.map(({ seed, changes, cut, tail }) => {
			const octets = Uint8Array.from([
				...seed.subarray(0, cut === undefined ? undefined : 12 + cut),
				...tail,
			]);
			for (const [at, value] of changes) if (octets.length > 0) octets[at % octets.length] = value;
			return octets;
		});
const said = (seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> =>
	fc.oneof(mutated(seeds), fc.constantFrom(...seeds), fc.uint8Array({ maxLength: 80 }));

function site() {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const node = lab.host("node", {
		nics: { eth0: { address: "172.31.1.5/24", gateway: "172.31.1.1", attach: lan } },
	});
	const outside = lab.host("outside", {
		nics: { eth0: { address: "172.31.1.1/24", attach: lan } },
	});
	node.netns.files.set("/etc/resolv.conf", "nameserver 172.31.1.1\nnameserver 172.31.1.77\n");
	node.docker.networks.create("net");
	const asker = node.docker.run({ name: "asker", network: "net" });
	node.docker.run({ name: "lc2", network: "net", aliases: ["shared"] });
	return { lab, lan, asker: asker.netns, outside: outside.netns };
}

/** Answers every question with the next of `answers`, under its id when `matching`. */
function upstream(ns: Netns, answers: readonly Uint8Array[], matching: boolean): { asked: number } {
	const seen = { asked: 0 };
	const next = (query: Uint8Array): Uint8Array => {
		const answer = Uint8Array.from(answers[seen.asked++ % answers.length] ?? []);
		if (matching && answer.length > 1) answer.set(query.slice(0, 2));
		return answer;
	};
	const udp = ns.udp({ port: 53 });
	udp.handler = (frame, at, octets, address, port) => {
		udp.send(next(frame.bytes.slice(at, at + octets)), { address, port });
	};
	ns.tcp.listen({ port: 53 }).onConnection = (socket) => {
		socket.onReadable = () => {
			const query = socket.read();
			if (query.length === 0) return socket.close();
			const answer = next(query.slice(2));
			socket.write(Uint8Array.from([answer.length >> 8, answer.length & 255, ...answer]));
		};
	};
	return seen;
}

describe("the embedded name server, whatever is said to it", () => {
	test("by UDP: one answer to a question at most, none to what is none; nothing hangs, nothing grows", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.array(said([...QUESTIONS, ...ANSWERS]), { minLength: 1, maxLength: 6 }),
				fc.array(said(ANSWERS), { minLength: 1, maxLength: 6 }),
				fc.boolean(),
				async (questions, answers, matching) => {
					const { lab, asker, outside } = site();
					const seen = upstream(outside, answers, matching);
					const heard: Uint8Array[] = [];
					const socket = asker.udp();
					socket.handler = (frame, at, octets) => {
						heard.push(frame.bytes.slice(at, at + octets));
					};
					socket.connect("127.0.0.11", 53);
					for (const question of questions) socket.send(question);
					await lab.advance("60s");
					const asked = questions.filter((question) => {
						const message = dns.read(question);
						return typeof message !== "string" && (message.flags & dns.FLAG.QR) === 0;
					});
					expect(heard.length).toBeLessThanOrEqual(asked.length);
					expect(seen.asked).toBeLessThanOrEqual(asked.length);
					const longest = Math.max(dns.UDP_OCTETS, ...answers.map(({ length }) => length)) * 2;
					for (const answer of heard) {
						expect(typeof dns.read(answer)).not.toBe("string");
						expect(answer.length).toBeLessThanOrEqual(longest);
					}
					// It is still there for whoever asks well.
					const { addresses } = await asker.resolve("lc2", "A");
					expect(addresses).toEqual(["172.18.0.3"]);
					expect(lab.world.frames.taken).toBe(0);
				},
			),
			{ numRuns: 150 },
		);
	});

	test("by TCP: messages in any pieces, lengths that lie, ends in the middle", async () => {
		const stream = fc
			.array(fc.tuple(said([...QUESTIONS, ...ANSWERS]), fc.option(fc.nat(0xffff), { nil: undefined })), {
				minLength: 1,
				maxLength: 4,
			})
			.map((messages) =>
				messages.flatMap(([octets, lie]) => {
					const length = lie ?? octets.length;
					return [length >> 8, length & 255, ...octets];
				}),
			);
		await fc.assert(
			fc.asyncProperty(
				stream,
				fc.array(said(ANSWERS), { minLength: 1, maxLength: 4 }),
				fc.integer({ min: 1, max: 40 }),
				async (octets, answers, piece) => {
					const { lab, asker, outside } = site();
					upstream(outside, answers, true);
					const socket = asker.tcp.connect({ address: "127.0.0.11", port: 53 });
					let heard = 0;
					socket.onReadable = () => {
						heard += socket.read().length;
						if (socket.ended) socket.close();
					};
					await lab.advance("1s");
					for (let at = 0; at < octets.length; at += piece) {
						socket.write(Uint8Array.from(octets.slice(at, at + piece)));
						await lab.advance("1ms");
					}
					socket.shutdown();
					await lab.advance("300s");
					expect(heard).toBeLessThan(4 * 2 * (2 + Math.max(512, ...answers.map(({ length }) => length))));
					expect(asker.tcp.count).toBe(0);
					expect(lab.world.frames.taken).toBe(0);
				},
			),
			{ numRuns: 60 },
		);
	});

	test("no more than a hundred questions are under way upstream", async () => {
		const { lab, asker, outside } = site();
		let asked = 0;
		outside.udp({ port: 53 }).handler = () => void asked++;
		const socket = asker.udp();
		socket.connect("127.0.0.11", 53);
		const question =
			QUESTIONS.find((each) => new TextDecoder().decode(each).includes("nosuch")) ?? new Uint8Array();
		for (let id = 0; id < 150; id++) socket.send(Uint8Array.from([0, id, ...question.slice(2)]));
		await lab.advance("3s");
		expect(asked).toBe(100);
		await lab.advance("20s");
		for (let id = 0; id < 10; id++) socket.send(Uint8Array.from([1, id, ...question.slice(2)]));
		await lab.advance("3s");
		expect(asked).toBe(110);
	});

	test("a program that asks such servers itself gets addresses or an error of its own, in bounded time", async () => {
		await fc.assert(
			fc.asyncProperty(fc.array(said(ANSWERS), { minLength: 1, maxLength: 6 }), async (answers) => {
				const { lab, lan, outside } = site();
				upstream(outside, answers, true);
				const { netns } = lab.host("other", {
					nics: { eth0: { address: "172.31.1.9/24", attach: lan } },
				});
				netns.files.set("/etc/resolv.conf", "nameserver 172.31.1.1\nsearch lab.example\n");
				const told = await netns.resolve("www.lab.example", "A").then(
					({ addresses }) => addresses.every((each) => /^[\d.]+$/.test(each)),
					(error: unknown) => error instanceof NetError,
				);
				expect(told).toBe(true);
				expect(lab.now).toBeLessThan(60e9);
			}),
			{ numRuns: 100 },
		);
	});
});
