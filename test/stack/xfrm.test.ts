import { createCipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toIp4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { PolicyOptions, StateOptions } from "../../src/stack/index.ts";
import { AesGcm } from "../../src/wire/index.ts";
import { decapsulate, encapsulate } from "../../src/stack/xfrm/esp.ts";
import { Replay } from "../../src/stack/xfrm/replay.ts";
import { XfrmState } from "../../src/stack/xfrm/state.ts";
import { Rng } from "../../src/sim/index.ts";
import { dissect, esp, ethernet, FramePool, ipv4 } from "../../src/wire/index.ts";
import { has, value } from "../support/golden.ts";

const KEY = "0x000102030405060708090a0b0c0d0e0f10111213";
const AEAD = { name: "rfc4106(gcm(aes))", key: KEY, icv: 128 };
const STATE: StateOptions = {
	src: "10.0.0.1",
	dst: "10.0.0.2",
	proto: "esp",
	spi: 0x100,
	aead: AEAD,
	reqid: 1,
};
const POLICY: PolicyOptions = {
	src: "10.0.0.1",
	dst: "10.0.0.2",
	proto: "udp",
	dir: "out",
	tmpl: [{ src: "10.0.0.1", dst: "10.0.0.2", proto: "esp", reqid: 1 }],
};

/** Two neighbours: red speaks to blue's port 7. */
function pair() {
	const lab = new Lab({ seed: 1 });
	const [red, blue] = [lab.netns("red"), lab.netns("blue")];
	const [a, b] = lab.veth({ ns: red, name: "eth0" }, { ns: blue, name: "eth0" });
	a.addAddress("10.0.0.1/24");
	b.addAddress("10.0.0.2/24");
	a.up();
	b.up();
	const capture = lab.capture();
	const heard: string[] = [];
	blue.udp({ port: 7 }).handler = (frame, at, octets) => {
		heard.push(new TextDecoder().decode(frame.bytes.subarray(at, at + octets)));
	};
	const client = red.udp();
	const say = async (word: string, port = 7): Promise<void> => {
		client.send(new TextEncoder().encode(word), { address: "10.0.0.2", port });
		await lab.advance("10ms");
	};
	const onWire = (): number[] =>
		capture
			.sightings("blue:eth0")
			.map(({ data }) => dissect(data))
			.filter((layers) => has(layers, "ipv4"))
			.map((layers) => Number(value(layers, "ipv4.protocol")));
	return { lab, red, blue, a, heard, say, onWire, capture };
}

/** The counters of /proc/net/xfrm_stat that are not zero. */
const counted = (ns: Netns): Record<string, number> =>
	Object.fromEntries(Object.entries(ns.xfrm.stat.counts).filter(([, count]) => count > 0));

const anyKey = fc
	.constantFrom(20, 28, 36)
	.chain((octets) => fc.uint8Array({ minLength: octets, maxLength: octets }));
const anyIcv = fc.constantFrom(64, 96, 128);

describe("AES-GCM", () => {
	test("gives the octets of another implementation", () => {
		const anyParts = fc.record({
			key: anyKey,
			nonce: fc.uint8Array({ minLength: 12, maxLength: 12 }),
			aad: fc.constantFrom(8, 12).chain((n) => fc.uint8Array({ minLength: n, maxLength: n })),
			text: fc.uint8Array({ maxLength: 3000, size: "max" }),
			at: fc.nat({ max: 9 }),
		});
		fc.assert(
			fc.property(anyParts, ({ key, nonce, aad, text, at }) => {
				const aes = key.subarray(4);
				const name = `aes-${String(aes.length * 8)}-gcm` as "aes-128-gcm";
				const other = createCipheriv(name, aes, nonce, { authTagLength: 16 });
				other.setAAD(aad);
				const sealed = Buffer.concat([other.update(text), other.final(), other.getAuthTag()]);
				const bytes = new Uint8Array(at + text.length + 16);
				bytes.set(text, at);
				const ours = new AesGcm(aes, 16);
				ours.seal(nonce, aad, bytes, at, text.length);
				expect(Buffer.from(bytes.subarray(at)).equals(sealed)).toBe(true);
				expect(ours.open(nonce, aad, bytes, at, text.length)).toBe(true);
				expect(Buffer.from(bytes.subarray(at, at + text.length)).equals(text)).toBe(true);
			}),
			{ numRuns: 100 },
		);
	});
});

describe("ESP", () => {
	const anyPacket = fc.record({
		key: anyKey,
		icv: anyIcv,
		esn: fc.boolean(),
		number: fc.oneof(fc.integer({ min: 1, max: 0xffff_ffff }), fc.integer({ min: 1, max: 2 ** 45 })),
		payload: fc.uint8Array({ minLength: 1, maxLength: 2500, size: "max" }),
		options: fc.constantFrom(0, 4, 40),
		room: fc.constantFrom(0, 140),
	});

	/** A packet, sealed by a sender's state, and a receiver's state of the same key. */
	function sealed({
		key,
		icv,
		esn,
		number,
		payload,
		options,
		room,
	}: typeof anyPacket extends fc.Arbitrary<infer T> ? T : never) {
		const make = (): XfrmState =>
			new XfrmState(
				{
					...STATE,
					aead: { name: AEAD.name, key, icv },
					...(esn ? { flag: ["esn"], replayWindow: 32 } : {}),
				},
				0,
				new Rng(1),
			);
		const frame = new FramePool().begin(payload.length + 60);
		frame.start -= room;
		frame.end = frame.start + 20 + options + payload.length;
		ipv4.write(frame.view, frame.start, {
			tos: 3,
			totalLength: frame.length,
			ident: 77,
			reservedFlag: false,
			dontFragment: true,
			moreFragments: false,
			fragmentOffset: 0,
			ttl: 9,
			protocol: 17,
			source: 1 as never,
			destination: 2 as never,
			options: new Uint8Array(options).fill(1),
		});
		frame.bytes.set(payload, frame.start + 20 + options);
		const plain = frame.toBytes();
		return {
			plain,
			whole: esn ? number : number % 0xffff_ffff || 1,
			frame,
			sender: make(),
			receiver: make(),
		};
	}

	test("what goes in comes out, whatever the payload, key, tag and header options", () => {
		fc.assert(
			fc.property(anyPacket, (packet) => {
				const { plain, whole, frame, sender, receiver } = sealed(packet);
				const out = encapsulate(sender, frame, whole)!;
				expect((out.length - plain.length - 16 - packet.icv / 8 - 2 + packet.payload.length + 2) % 4).toBe(0);
				expect(ipv4.isChecksumGood(out.view, out.start)).toBe(true);
				expect(ipv4.totalLength(out.view, out.start)).toBe(out.length);
				expect(decapsulate(receiver, out, whole)).toBeUndefined();
				expect(Buffer.from(out.toBytes()).equals(plain)).toBe(true);
			}),
			{ numRuns: 200 },
		);
	});

	test("any flipped bit behind the IPv4 header is refused, and the octets stay as they came", () => {
		fc.assert(
			fc.property(anyPacket, fc.nat(), (packet, where) => {
				const { whole, frame, sender, receiver } = sealed(packet);
				const out = encapsulate(sender, frame, whole)!;
				const header = 20 + packet.options;
				// A flipped SPI would find another state or none: it is not this state's to judge.
				const bit = (where % ((out.length - header - 4) * 8)) + 32;
				const at = out.start + header + (bit >>> 3);
				out.bytes[at] = out.bytes[at]! ^ (1 << (bit & 7));
				const came = out.toBytes();
				const high = Math.floor(whole / 2 ** 32) * 2 ** 32;
				const number = high + esp.sequence(out.view, out.start + header);
				expect(decapsulate(receiver, out, number)).toBe("failed");
				expect(Buffer.from(out.toBytes()).equals(came)).toBe(true);
			}),
			{ numRuns: 200 },
		);
	});
});

describe("the replay window", () => {
	const anyArrivals = fc.array(fc.integer({ min: 1, max: 150 }), { maxLength: 60 });

	test.each([
		["legacy", fc.integer({ min: 1, max: 32 })],
		["bitmap", fc.integer({ min: 33, max: 100 })],
		["esn", fc.integer({ min: 1, max: 100 })],
	] as const)("%s: takes each number once, and none that is a window behind", (form, anyWindow) => {
		fc.assert(
			fc.property(anyWindow, anyArrivals, (window, numbers) => {
				const replay = new Replay(form, window);
				const seen = new Set<number>();
				let top = 0;
				for (const number of numbers) {
					const expected = number <= top - window ? "replay-window" : seen.has(number) ? "replay" : undefined;
					expect(replay.check(number)).toBe(expected);
					if (expected !== undefined) continue;
					replay.advance(number);
					seen.add(number);
					top = Math.max(top, number);
				}
			}),
		);
	});

	test("extended numbers: the upper half is guessed right across 2^32, both ways within the window", () => {
		const top = 2 ** 32 + 5;
		fc.assert(
			fc.property(fc.integer({ min: -63, max: 1000 }), (step) => {
				const replay = new Replay("esn", 64);
				replay.advance(top);
				expect(replay.whole((top + step) % 2 ** 32)).toBe(top + step);
			}),
		);
	});

	test("numbers run out after 2^32 - 1 packets unless they are extended", () => {
		const [plain, extended] = [new Replay("legacy", 0), new Replay("esn", 32)];
		plain.oseq = extended.oseq = 0xffff_fffe;
		expect([plain.next(), plain.next()]).toEqual([0xffff_ffff, undefined]);
		expect([extended.next(), extended.next()]).toEqual([0xffff_ffff, 0x1_0000_0000]);
	});
});

describe("ip xfrm", () => {
	test("UDP between two hosts goes in ESP, and arrives", async () => {
		const { red, blue, heard, say, onWire } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add(STATE);
		red.xfrm.policy.add(POLICY);
		await say("hello");
		expect(heard).toEqual(["hello"]);
		expect(onWire()).toEqual([50]);
	});

	test("of two policies the lower priority wins; of two equal ones the older", async () => {
		const { red, blue, say, onWire } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add(STATE);
		red.xfrm.policy.add({ ...POLICY, dport: 7, priority: 10, tmpl: [] });
		red.xfrm.policy.add({ ...POLICY, priority: 20 });
		await say("clear");
		red.xfrm.policy.add({ ...POLICY, proto: 0, priority: 10 });
		await say("clear");
		red.xfrm.policy.update({ ...POLICY, priority: 5 });
		await say("secret");
		expect(onWire()).toEqual([17, 17, 50]);
	});

	test("a policy with a mark is for marked packets only", async () => {
		const { red, blue, say, onWire } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add(STATE);
		red.xfrm.policy.add({ ...POLICY, mark: { value: 0x10, mask: 0xf0 } });
		for (const mark of [0, 0x1f, 0x20]) {
			red.iptables("-t mangle -F OUTPUT");
			red.iptables(`-t mangle -A OUTPUT -j MARK --set-mark ${String(mark)}`);
			await say("x");
		}
		expect(onWire()).toEqual([17, 50, 17]);
	});

	test("without a state for the template nothing leaves: ESRCH, XfrmOutPolError; blocked: EPERM, XfrmOutPolBlock", async () => {
		const { red, say, onWire } = pair();
		red.xfrm.policy.add(POLICY);
		await expect(say("x")).rejects.toMatchObject({ code: "ESRCH" });
		expect(counted(red)).toEqual({ XfrmOutPolError: 1 });
		red.xfrm.policy.update({ ...POLICY, action: "block" });
		await expect(say("x")).rejects.toMatchObject({ code: "EPERM" });
		expect(counted(red)).toEqual({ XfrmOutPolError: 1, XfrmOutPolBlock: 1 });
		expect(onWire()).toEqual([]);
		// A template that is only to be used if there is a state.
		red.xfrm.policy.update({ ...POLICY, tmpl: [{ proto: "esp", reqid: 1, level: "use" }] });
		await say("x");
		expect(onWire()).toEqual([17]);
	});

	test("an in policy lets in what came by its state, and drops what came in clear: XfrmInTmplMismatch", async () => {
		const { red, blue, heard, say } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add(STATE);
		blue.xfrm.policy.add({ ...POLICY, dir: "in" });
		await say("clear");
		expect(heard).toEqual([]);
		expect(counted(blue)).toEqual({ XfrmInTmplMismatch: 1 });
		red.xfrm.policy.add(POLICY);
		await say("secret");
		expect(heard).toEqual(["secret"]);
		blue.xfrm.policy.update({ ...POLICY, dir: "in", action: "block" });
		await say("blocked");
		expect(counted(blue)).toEqual({ XfrmInTmplMismatch: 1, XfrmInPolBlock: 1 });
	});

	test("a state whose selector does not fit what came by it: XfrmInStateMismatch", async () => {
		const { red, blue, heard, say } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add({ ...STATE, sel: { proto: "udp", dport: 8 } });
		red.xfrm.policy.add(POLICY);
		await say("x");
		expect(heard).toEqual([]);
		expect(counted(blue)).toEqual({ XfrmInStateMismatch: 1 });
	});

	test("another key is a wrong tag: XfrmInStateProtoError, and the state's own count", async () => {
		const { red, blue, say } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add({ ...STATE, aead: { ...AEAD, key: KEY.replace("13", "14") } });
		red.xfrm.policy.add(POLICY);
		await say("x");
		expect(counted(blue)).toEqual({ XfrmInStateProtoError: 1 });
		expect(blue.xfrm.state.show({ statistics: true })).toContain("replay-window 0 replay 0 failed 1");
	});

	test("a copy of a packet is refused when there is a window: XfrmInStateSeqError", async () => {
		const { lab, red, blue, a, heard, say, capture } = pair();
		red.xfrm.state.add(STATE);
		const state = blue.xfrm.state.add({ ...STATE, replayWindow: 32 });
		red.xfrm.policy.add(POLICY);
		await say("once");
		const packet = capture.sightings("red:eth0").at(-1)?.data ?? new Uint8Array();
		a.transmit(lab.world.frames.from(packet));
		await lab.advance("10ms");
		expect(heard).toEqual(["once"]);
		expect(counted(blue)).toEqual({ XfrmInStateSeqError: 1 });
		expect(state.stats.replay).toBe(1);
		expect(blue.xfrm.state.show()).toContain("anti-replay context: seq 0x1, oseq 0x0, bitmap 0x00000001");
	});

	test("a state ends with its last packet: the next one finds it expired, those behind none", async () => {
		const { red, blue, say, onWire } = pair();
		red.xfrm.state.add({ ...STATE, limit: { packetHard: 2 } });
		blue.xfrm.state.add(STATE);
		red.xfrm.policy.add(POLICY);
		for (let i = 0; i < 3; i++) await say("x");
		expect(onWire()).toEqual([50, 50]);
		expect(counted(red)).toEqual({ XfrmOutStateExpired: 1 });
		expect(red.xfrm.state.list()).toEqual([]);
		await expect(say("x")).rejects.toMatchObject({ code: "ESRCH" });
	});

	test("a state ends when its time is over", async () => {
		const { lab, red } = pair();
		red.xfrm.state.add({ ...STATE, limit: { timeHard: 10 } });
		await lab.advance("9s");
		expect(red.xfrm.state.list()).toHaveLength(1);
		await lab.advance("2s");
		expect(red.xfrm.state.list()).toHaveLength(0);
	});

	test("what a host says to itself stays in clear", async () => {
		const { lab, red } = pair();
		red.xfrm.policy.add({ proto: "udp", dir: "out", action: "block" });
		const server = red.udp({ port: 9 });
		red.udp().send(new Uint8Array(1), { address: "10.0.0.1", port: 9 });
		await lab.advance("1ms");
		expect((await server.receive()).data).toHaveLength(1);
	});

	test("Don't Fragment and path MTU count what ESP puts in: 1446 octets of UDP are the most that fit 1500", async () => {
		const { red, blue, say, onWire } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add(STATE);
		red.xfrm.policy.add(POLICY);
		const socket = red.udp({ mtuDiscovery: "do" });
		// 1500 - 20 - 16 - 16 = 1448, less trailer 2 = 1446, less the UDP header.
		socket.send(new Uint8Array(1438), { address: "10.0.0.2", port: 7 });
		expect(() => {
			socket.send(new Uint8Array(1439), { address: "10.0.0.2", port: 7 });
		}).toThrow("mtu=1466");
		await say("");
		expect(onWire()).toEqual([50, 50]);
		red.udp({ mtuDiscovery: "want" }).send(new Uint8Array(1439), { address: "10.0.0.2", port: 7 });
		await say("");
		expect(onWire()).toEqual([50, 50, 50, 50, 50]);
	});

	test("nobody is told of an unknown SPI; a machine that never had a state does not know ESP at all", async () => {
		const { red, blue, say, onWire, capture } = pair();
		red.xfrm.state.add(STATE);
		red.xfrm.policy.add(POLICY);
		await say("x");
		expect(onWire()).toEqual([50]);
		expect(counted(blue)).toEqual({ XfrmInNoStates: 1 });
		// The same packet in a lab without IPsec: protocol unreachable, as while esp4 is not loaded.
		const other = pair();
		const packet = capture.sightings("red:eth0").at(-1)?.data ?? new Uint8Array();
		other.a.transmit(other.lab.world.frames.from(packet));
		await other.lab.advance("10ms");
		expect(other.onWire()).toEqual([50, 1]);
		const answer = other.capture.sightings("red:eth0").at(-1)?.data ?? new Uint8Array();
		expect(["icmp.type", "icmp.code"].map((name) => value(dissect(answer), name))).toEqual([3, 2]);
	});

	test.each<readonly [string, string, string, (ns: Netns) => unknown]>([
		["a state twice", "EEXIST", "File exists", (ns) => ns.xfrm.state.add(STATE)],
		["a policy twice", "EEXIST", "File exists", (ns) => ns.xfrm.policy.add(POLICY)],
		[
			"another algorithm",
			"ENOSYS",
			"Requested AEAD algorithm not found.",
			(ns) =>
				ns.xfrm.state.add({ ...STATE, spi: 1, aead: { ...AEAD, name: "rfc7539esp(chacha20,poly1305)" } }),
		],
		[
			"a short key",
			"EINVAL",
			"unable to initialize",
			(ns) => ns.xfrm.state.add({ ...STATE, spi: 1, aead: { ...AEAD, key: "0x00" } }),
		],
		[
			"a tag of 32 bits",
			"EINVAL",
			"unable to initialize",
			(ns) => ns.xfrm.state.add({ ...STATE, spi: 1, aead: { ...AEAD, icv: 32 } }),
		],
		[
			"extended numbers without a window",
			"EINVAL",
			"esn flag set without replay-window",
			(ns) => ns.xfrm.state.add({ ...STATE, spi: 1, flag: ["esn"] }),
		],
		[
			"an unknown state",
			"ESRCH",
			"No such process",
			(ns) => {
				ns.xfrm.state.del({ ...STATE, spi: 9 });
			},
		],
		[
			"an update of an unknown state",
			"ESRCH",
			"No such process",
			(ns) => ns.xfrm.state.update({ ...STATE, spi: 9 }),
		],
		[
			"an unknown policy",
			"ENOENT",
			"No such file or directory",
			(ns) => {
				ns.xfrm.policy.del({ ...POLICY, dir: "in" });
			},
		],
	])("%s: %s", (_, code, message, act) => {
		const { red } = pair();
		red.xfrm.state.add(STATE);
		red.xfrm.policy.add(POLICY);
		expect(() => act(red)).toThrow(
			expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as Error,
		);
		expect([red.xfrm.state.list().length, red.xfrm.policy.list().length]).toEqual([1, 1]);
	});

	test("flush and delete leave nothing, and packets go in clear again", async () => {
		const { red, blue, say, onWire } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add(STATE);
		const { index } = red.xfrm.policy.add(POLICY);
		red.xfrm.policy.del({ dir: "out", index });
		await say("x");
		expect(onWire()).toEqual([17]);
		red.xfrm.policy.add(POLICY);
		red.xfrm.policy.flush();
		red.xfrm.state.flush();
		expect(red.xfrm.state.show() + red.xfrm.policy.show()).toBe("");
	});

	test("Docker's INPUT rules: what came in clear for an encrypted network is dropped, what came in ESP is not", async () => {
		const { red, blue, heard, say } = pair();
		blue.iptables("-A INPUT -p udp -m policy --dir in --pol ipsec --dport 7 -j ACCEPT");
		blue.iptables("-A INPUT -p udp -m policy --dir in --pol none --dport 7 -j DROP");
		await say("clear");
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add(STATE);
		red.xfrm.policy.add(POLICY);
		await say("secret");
		expect(heard).toEqual(["secret"]);
	});

	test("OUTPUT and POSTROUTING see a packet twice, before and in ESP; PREROUTING and INPUT in ESP and after", async () => {
		const { red, blue, say } = pair();
		red.xfrm.state.add(STATE);
		blue.xfrm.state.add(STATE);
		red.xfrm.policy.add(POLICY);
		for (const [ns, chains] of [
			[red, ["OUTPUT", "POSTROUTING"]],
			[blue, ["PREROUTING", "INPUT"]],
		] as const) {
			for (const chain of chains) {
				ns.iptables(`-t mangle -A ${chain} -p udp`);
				ns.iptables(`-t mangle -A ${chain} -p esp`);
			}
		}
		await say("x");
		const counts = (ns: Netns, chain: string): string[] =>
			ns
				.iptables(`-t mangle -S ${chain} -v`)
				.split("\n")
				.filter((line) => line.startsWith("-A"))
				.map((line) => / -c (\d+)/.exec(line)?.[1] ?? "");
		for (const chain of ["OUTPUT", "POSTROUTING"]) expect(counts(red, chain)).toEqual(["1", "1"]);
		for (const chain of ["PREROUTING", "INPUT"]) expect(counts(blue, chain)).toEqual(["1", "1"]);
	});

	test("any octets in ESP end as a drop, never as an exception, and no frame is lost count of", async () => {
		const { lab, red, blue, a } = pair();
		blue.xfrm.state.add({ ...STATE, spi: 0x100, replayWindow: 32 });
		const head = blue.device("eth0").mac;
		await fc.assert(
			fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), fc.boolean(), async (octets, known) => {
				const frame = lab.world.frames.begin(34 + octets.length);
				frame.end = frame.start + 34 + octets.length;
				ethernet.write(frame.view, frame.start, { dst: head, src: a.mac, type: ethernet.TYPE_IPV4 });
				ipv4.writePlain(
					frame.view,
					frame.start + 14,
					20 + octets.length,
					0,
					1,
					0,
					64,
					50,
					toIp4("10.0.0.1", "from"),
					toIp4("10.0.0.2", "to"),
				);
				frame.bytes.set(octets, frame.start + 34);
				if (known && octets.length >= 4) frame.view.setUint32(frame.start + 34, 0x100);
				a.transmit(frame);
				await lab.advance("1ms");
				expect(lab.world.frames.taken).toBe(0);
			}),
			{ numRuns: 100 },
		);
		const ended = Object.values(counted(blue)).reduce((sum, count) => sum + count, 0);
		expect(ended).toBe(100);
		expect(counted(red)).toEqual({});
	});

	test("prints the states and the policy that Docker writes as node1 printed them", async () => {
		const recorded = readFileSync(
			new URL("../golden/07-overlay-encrypted/xfrm-s-node1.txt", import.meta.url),
			"utf8",
		);
		const lab = new Lab({ seed: 1, epoch: "2026-11-23T17:37:32Z" });
		const node = lab.netns("node1");
		const [own, other] = ["172.31.1.5", "172.31.1.6"];
		const reqid = 0xd0_c4e3;
		const add = (src: string, dst: string, spi: number, key: string): void => {
			// Docker's salt is the SPI.
			const aead = { name: AEAD.name, key: `0x${key}${spi.toString(16)}`, icv: 64 };
			node.xfrm.state.add({ src, dst, proto: "esp", spi, reqid, aead });
		};
		const [primary, next, previous] = [
			"f08036e6bb20d66e817fc1006871389d",
			"12757cee70e1a18eaf2e6bfb15051357",
			"f5702867302af6e9a4761cf63851a153",
		];
		add(other, own, 0xc644_63de, primary);
		await lab.advance("2s");
		add(own, other, 0xc8e9_9762, primary);
		const tmpl = { src: own, dst: other, proto: "esp", spi: 0xc8e9_9762, reqid } as const;
		node.xfrm.policy.add({
			src: own,
			dst: other,
			proto: "udp",
			dport: 4789,
			dir: "out",
			mark: reqid,
			tmpl: [tmpl],
		});
		add(other, own, 0xa887_211f, next);
		add(other, own, 0x2e30_e955, previous);
		const options = { statistics: true };
		expect(node.xfrm.state.show(options) + node.xfrm.policy.show(options)).toBe(recorded);
	});

	test("an extended window is printed as words, the highest first, eight in a line", async () => {
		const { red, blue, say } = pair();
		red.xfrm.state.add({ ...STATE, flag: ["esn"], replayWindow: 32 });
		blue.xfrm.state.add({ ...STATE, flag: ["esn"], replayWindow: 288 });
		red.xfrm.policy.add(POLICY);
		for (let i = 0; i < 3; i++) await say("x");
		expect(blue.xfrm.state.show()).toContain(
			[
				"\treplay-window 0 flag esn",
				"\taead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128",
				"\tanti-replay esn context:",
				"\t seq-hi 0x0, seq 0x3, oseq-hi 0x0, oseq 0x0",
				"\t replay_window 288, bitmap-length 9",
				"\t 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
				"\t 00000007",
			].join("\n"),
		);
	});
});
