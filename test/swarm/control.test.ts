import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { seconds } from "../../src/sim/index.ts";
import {
	GrpcClient,
	GrpcServer,
	type Exchange,
	type Identity,
	messageOf,
	type Method,
	RpcError,
	RpcServer,
	unary,
} from "../../src/swarm/control/index.ts";
import { protobuf } from "../../src/wire/index.ts";
import { callerOf } from "../../src/swarm/control/caller-metadata.ts";
import { identityIn } from "../../src/swarm/control/certificate.ts";
import { HpackDecoder, HpackEncoder } from "../../src/swarm/control/hpack.ts";
import { huffman, unhuffman } from "../../src/swarm/control/huffman.ts";
import { tls } from "../../src/wire/index.ts";
import { streamOf } from "../support/tcp-replay.ts";

const { message, octets: raw, optional, text: string, texts, uint, word } = protobuf;
interface Text {
	readonly text: string;
}
const text = message<Text>({ text: string(1) });
const echo: Method<Text, Text> = { path: "/test.Echo/Say", request: messageOf(text), reply: messageOf(text) };
const listen: Method<Text, Text> = { ...echo, path: "/test.Echo/Listen" };
const hex = (octets: Uint8Array): string =>
	[...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("");

/** A server on one machine, a way to it on another; `heard` are the calls that stay open. */
function connected(trusts: (identity: Identity | undefined) => boolean = () => true) {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const host = (name: string, address: string) =>
		lab.host(name, { nics: { eth0: { address: `${address}/24`, attach: lan } } });
	const [a, b] = [host("a", "172.31.1.5"), host("b", "172.31.1.6")];
	const identity = (nodeId: string): Identity => ({ nodeId, role: "manager", cluster: "c" });
	const rpc = new RpcServer();
	const heard: Exchange<Text>[] = [];
	rpc.handle(echo, ({ text: said }, exchange) => {
		if (said === "no") throw new RpcError("NotFound", "näh, 100%");
		if (said !== "silence")
			exchange.answer({ text: `${said} ${exchange.caller.identity?.nodeId ?? "nobody"}` });
	});
	rpc.handle(listen, (_, exchange) => void heard.push(exchange));
	const server = new GrpcServer(a.netns, rpc, {
		port: 2377,
		identity: identity("a"),
		trusts,
		rng: a.rng.fork("s"),
	});
	const client = new GrpcClient(b.netns, {
		address: "172.31.1.5",
		port: 2377,
		identity: identity("b"),
		trusts: () => true,
		rng: b.rng.fork("c"),
	});
	const say = async (said: string, timeout?: number): Promise<string> => {
		let answer = "nothing";
		unary(
			client,
			echo,
			{ text: said },
			(reply) => {
				answer = reply instanceof RpcError ? reply.message : reply.text;
			},
			timeout === undefined ? {} : { timeout },
		);
		await lab.advance("3s");
		return answer;
	};
	return { lab, a, b, rpc, server, client, heard, say };
}

describe("TLS on the wire", () => {
	const recorded = streamOf("05-overlay/underlay-swarmjoin-node2", "172.31.1.6");

	test("a recorded ClientHello of Go's, read and written, is the same octets", () => {
		const record = tls.read(recorded);
		if (record === undefined || typeof record === "string") throw new Error("no record");
		const sent = tls.readMessage(record.fragment);
		if (typeof sent === "string") throw new Error(sent);
		const hello = tls.readClientHello(sent.body);
		if (typeof hello === "string") throw new Error(hello);
		expect(hello.protocols).toEqual(["h2"]);
		expect(hello.serverName).toBeUndefined();
		expect(hex(tls.writeClientHello(hello))).toBe(hex(recorded.slice(0, 248)));
	});

	test("so is a recorded ServerHello", () => {
		const octets = streamOf("05-overlay/underlay-swarmjoin-node2", "172.31.1.5");
		const record = tls.read(octets);
		if (record === undefined || typeof record === "string") throw new Error("no record");
		const sent = tls.readMessage(record.fragment);
		const hello = typeof sent === "string" ? sent : tls.readServerHello(sent.body);
		if (typeof hello === "string") throw new Error(hello);
		expect(hello.cipherSuite).toBe(tls.TLS_AES_128_GCM_SHA256);
		expect(hex(tls.writeServerHello(hello))).toBe(hex(octets.slice(0, 127)));
	});

	test("any octets are records, a reason, or not enough; never an exception", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
				tls.read(octets);
				tls.readMessage(octets);
				tls.readClientHello(octets);
				tls.readServerHello(octets);
			}),
		);
	});

	test("a name is asked for as it is given, and read back", () => {
		fc.assert(
			fc.property(fc.domain(), fc.uint8Array({ minLength: 32, maxLength: 32 }), (serverName, random) => {
				const hello = {
					random,
					sessionId: random,
					serverName,
					protocols: ["h2", "http/1.1"],
					keyShare: random,
				};
				const record = tls.read(tls.writeClientHello(hello));
				if (record === undefined || typeof record === "string") throw new Error("no record");
				const sent = tls.readMessage(record.fragment);
				expect(typeof sent === "string" ? sent : tls.readClientHello(sent.body)).toEqual(hello);
			}),
		);
	});
});

describe("what is inside", () => {
	test("header blocks are those of RFC 7541 C.4 and of gRPC's everyday", () => {
		const encoder = new HpackEncoder();
		const first = encoder.encode([
			[":method", "GET"],
			[":scheme", "http"],
			[":path", "/"],
			[":authority", "www.example.com"],
		]);
		expect(hex(first)).toBe("828684418cf1e3c2e5f23a6ba0ab90f4ff");
		expect(
			hex(
				encoder.encode([
					[":authority", "www.example.com"],
					["cache-control", "no-cache"],
				]),
			),
		).toBe("be5886a8eb10649cbf");
		expect(hex(new HpackEncoder().encode([["grpc-status", "0"]]))).toBe("40889acac8b21234da8f0130");
	});

	test("what is encoded is decoded, block after block, tables and all", () => {
		const field = fc.tuple(fc.constantFrom(":path", "te", "x", "grpc-message"), fc.string());
		fc.assert(
			fc.property(fc.array(fc.array(field), { maxLength: 20 }), (blocks) => {
				const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder()];
				for (const fields of blocks) expect(decoder.decode(encoder.encode(fields))).toEqual(fields);
			}),
		);
	});

	test("any octets are a header block or none; Huffman's code gives back every octet", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 100 }), (octets) => {
				new HpackDecoder().decode(octets);
				expect(unhuffman(huffman(octets))).toEqual(octets);
				unhuffman(octets);
			}),
		);
	});

	test("messages are what protoc makes of them, and are read back; any octets are one or none", () => {
		const heartbeat = message({ period: optional(1, message({ seconds: uint(1), nanos: uint(2) })) });
		expect(hex(heartbeat.write({ period: { seconds: 5, nanos: 150 } }))).toBe("0a050805109601");
		const all = message({
			name: string(1),
			count: uint(2),
			list: texts(3),
			raw: raw(4),
			kind: word(5, ["a", "b"]),
			inner: optional(16, text),
		});
		const any = fc.record({
			name: fc.string(),
			count: fc.maxSafeNat(),
			list: fc.array(fc.string()),
			raw: fc.uint8Array(),
			kind: fc.constantFrom("a" as const, "b" as const),
			inner: fc.option(fc.record({ text: fc.string() }), { nil: undefined }),
		});
		fc.assert(
			fc.property(any, (value) => {
				expect(all.read(all.write(value))).toEqual(value);
			}),
		);
		fc.assert(fc.property(fc.uint8Array(), (octets) => void all.read(octets)));
	});
});

describe("calls", () => {
	test("are answered, refused in gRPC's words, or over in time", async () => {
		const { say } = connected();
		expect(await say("hello")).toBe("hello b");
		expect(await say("x".repeat(100_000))).toBe(`${"x".repeat(100_000)} b`);
		expect(await say("no")).toBe("rpc error: code = NotFound desc = näh, 100%");
		expect(await say("silence", seconds(2))).toBe(
			"rpc error: code = DeadlineExceeded desc = context deadline exceeded",
		);
		expect(await say("again")).toBe("again b");
	});

	test("an unknown service is Unimplemented", async () => {
		const { client, lab } = connected();
		let answer: unknown;
		unary(client, { ...echo, path: "/test.Other/Say" }, { text: "" }, (reply) => {
			answer = reply;
		});
		await lab.advance("1s");
		expect(String(answer)).toContain("rpc error: code = Unimplemented desc = unknown service test.Other");
	});

	test("a stream brings what the server says, until one side ends it", async () => {
		const { client, lab, heard } = connected();
		const said: unknown[] = [];
		const sink = {
			reply: ({ text: one }: Text) => void said.push(one),
			end: (error?: RpcError) => void said.push(error?.message ?? "end"),
		};
		client.call(listen, { text: "" }, sink);
		const giveUp = client.call(listen, { text: "" }, sink);
		await lab.advance("1s");
		for (const one of ["a", "b"]) heard[0]?.reply({ text: one });
		heard[0]?.end();
		let cancelled = false;
		if (heard[1] !== undefined) heard[1].onCancel = () => (cancelled = true);
		giveUp();
		await lab.advance("1s");
		expect(said).toEqual(["a", "b", "end"]);
		expect(cancelled).toBe(true);
	});

	test("when the server closes all calls end with Unavailable, new ones too", async () => {
		const { client, server, lab, say } = connected();
		const ends: string[] = [];
		client.call(
			listen,
			{ text: "" },
			{ reply: () => undefined, end: (error) => void ends.push(error?.message ?? "") },
		);
		await lab.advance("1s");
		server.close();
		await lab.advance("1s");
		expect(ends).toEqual(["rpc error: code = Unavailable desc = transport is closing"]);
		expect(client.open).toBe(false);
		expect(await say("hello")).toContain("code = Unavailable");
	});

	test("a lost frame is TCP's to send again, a cut cable the caller's timeout", async () => {
		const { b, say } = connected();
		const card = b.netns.devices.find(({ name }) => name === "eth0");
		expect(await say("hello")).toBe("hello b");
		const receive = b.netns.tcp.receive.bind(b.netns.tcp);
		let lost = 0;
		b.netns.tcp.receive = (frame, inDevice) => {
			if (lost++ === 0) frame.release();
			else receive(frame, inDevice);
		};
		expect(await say("again")).toBe("again b");
		expect(lost).toBeGreaterThan(1);
		card?.down();
		expect(await say("anybody?", seconds(1))).toContain("DeadlineExceeded");
	});

	test("who is not trusted is shown the door", async () => {
		const { say } = connected((identity) => identity?.nodeId !== "b");
		expect(await say("hello", seconds(2))).toContain("code = Unavailable");
	});
});

describe("who calls", () => {
	const manager: Identity = { nodeId: "n1", role: "manager", cluster: "c" };
	const direct = { identity: manager, address: "172.31.1.5" };
	const certificate = (text: string): Uint8Array =>
		Uint8Array.of(0x30, 0x82, 0, 0, text.length, ...new TextEncoder().encode(text));

	test("is read from a certificate, and nobody is in one that holds something else", () => {
		expect(identityIn(certificate(JSON.stringify(manager)))).toEqual(manager);
		for (const text of ["null", "5", "[]", "{}", '{"nodeId":1,"role":"manager","cluster":"c"}', "not JSON"])
			expect(identityIn(certificate(text)), text).toBeUndefined();
		for (const role of ["root", null])
			expect(identityIn(certificate(JSON.stringify({ ...manager, role }))), String(role)).toBeUndefined();
	});

	test("a manager speaks for others; what says nobody counts as its own word", () => {
		const other = { identity: { ...manager, nodeId: "n2" }, address: "172.31.1.6" };
		const said = (value: string) => callerOf([["remote-caller", value]], direct);
		expect(said(JSON.stringify(other))).toEqual(other);
		expect(said(JSON.stringify({ address: "172.31.1.7" }))).toEqual({ address: "172.31.1.7" });
		for (const value of [
			"null",
			"5",
			'{"identity":null,"address":"a"}',
			'{"identity":{},"address":"a"}',
			"{",
		])
			expect(said(value), value).toEqual(direct);
		const worker = { ...direct, identity: { ...manager, role: "worker" as const } };
		expect(callerOf([["remote-caller", JSON.stringify(other)]], worker)).toEqual(worker);
	});
});
