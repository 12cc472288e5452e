import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { dns } from "../../src/wire/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { has, recording, value } from "../support/golden.ts";
import { emulated } from "../support/scenario.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 02-bridge-user: lc1, lc2 and lc3 on localnet ask 127.0.0.11 about each other and about the world. What the recorded
// programs asked is asked again, octet for octet; upstream says what it said there.

/** The payload of a UDP frame. */
const payload = (data: Uint8Array): Uint8Array => data.slice(14 + 20 + 8);

const recordedQueries = recording("02-bridge-user/dns-lc1-lo").filter(({ data }) => {
	const layers = dissect(data);
	return (
		has(layers, "udp") &&
		value(layers, "udp.destinationPort") !== 53 &&
		value(layers, "udp.sourcePort") !== 53
	);
});
const recordedAnswers = recording("02-bridge-user/dns-lc1-lo").filter(({ data }) => {
	const layers = dissect(data);
	return has(layers, "udp") && value(layers, "udp.sourcePort") === 53;
});
/** What upstream answered, by the octets of the question behind the id. */
const upstream = new Map(
	recording("02-bridge-user/dns-lc1-eth0").flatMap(({ data }) => {
		const layers = dissect(data);
		if (!has(layers, "udp") || value(layers, "udp.sourcePort") !== 53) return [];
		const message = payload(data);
		return [[`${String(message[0])} ${String(message[1])}`, message] as const];
	}),
);

async function replay() {
	const lab = new Lab({ seed: 4 });
	const lan = lab.switch("lan");
	const node1 = lab.host("node1", {
		nics: { eth0: { address: "172.31.1.5/24", gateway: "172.31.1.1", attach: lan } },
	});
	const outside = lab.host("outside", { nics: { eth0: { address: "172.31.1.1/24", attach: lan } } });
	const server = outside.netns.udp({ port: 53 });
	server.handler = (frame, at, _octets, source, port) => {
		const answer = upstream.get(`${String(frame.bytes[at])} ${String(frame.bytes[at + 1])}`);
		if (answer !== undefined) server.send(answer, { address: source, port });
	};
	node1.netns.files.set("/etc/resolv.conf", "search lab.example\nnameserver 172.31.1.1\n");
	const { docker } = node1;
	docker.networks.create("localnet", { subnet: "172.19.0.0/16" });
	for (const name of ["lc1", "lc2", "lc3"]) {
		const aliases = name === "lc1" ? ["shared", "web1"] : ["shared"];
		docker.run({ name, hostname: name, network: "localnet", aliases });
	}
	const lc1 = docker.containers.get("lc1").netns;
	const capture = lab.capture("node1/lc1:*");
	const sockets = recordedQueries.map(({ data }) => {
		const layers = dissect(data);
		return { port: Number(value(layers, "udp.sourcePort")), bytes: payload(data) };
	});
	for (const { port, bytes } of sockets) {
		const socket = lc1.udp({ port });
		socket.connect("127.0.0.11", 53);
		socket.send(bytes);
		await lab.advance("100ms");
		socket.close();
	}
	return { lab, lc1, capture };
}

/** A message whose answers are in no order that means anything. */
function sorted(bytes: Uint8Array): string {
	const message = dns.read(bytes);
	if (typeof message === "string") return message;
	const text = (record: dns.ResourceRecord): string =>
		`${record.name} ${String(record.ttl)} ${record.data.join(".")}`;
	return JSON.stringify({ ...message, answers: message.answers.map(text).sort() });
}

describe("the name server in a container says what Docker's says", () => {
	const run = replay();

	test("to each question the recorded answer, octet for octet; several addresses in any order", async () => {
		const { capture } = await run;
		const ours = emulated(capture, "node1/lc1:lo")
			.filter(({ data }) => value(dissect(data), "udp.sourcePort") === 53)
			.map(({ data }) => payload(data));
		// A capture on lo sees each frame once, as there.
		const byId = new Map(ours.map((bytes) => [`${String(bytes[0])} ${String(bytes[1])}`, bytes]));
		expect(recordedAnswers.length).toBeGreaterThan(25);
		for (const { data } of recordedAnswers) {
			const theirs = payload(data);
			const own = byId.get(`${String(theirs[0])} ${String(theirs[1])}`);
			expect(own, sorted(theirs)).toBeDefined();
			expect(own!.length).toBe(theirs.length);
			expect(sorted(own!)).toBe(sorted(theirs));
			const message = dns.read(theirs);
			const several = typeof message !== "string" && message.answers.length > 1;
			if (!several) expect([...own!]).toEqual([...theirs]);
		}
	});

	test("on lo the question goes to the server's own port, and the answer comes from 53", async () => {
		const { capture } = await run;
		const frames = emulated(capture, "node1/lc1:lo").map(({ data }) => dissect(data));
		const questions = frames.filter((layers) => value(layers, "udp.sourcePort") !== 53);
		const ports = new Set(questions.map((layers) => value(layers, "udp.destinationPort")));
		expect([...ports].length).toBe(1);
		expect(Number([...ports][0])).toBeGreaterThan(32_767);
		for (const layers of frames) {
			expect([value(layers, "ipv4.source"), value(layers, "ipv4.destination")].map(Number).sort()).toEqual(
				[0x7f00_0001, 0x7f00_000b].sort(),
			);
		}
	});

	test("the rules that lead there are the recorded ones", async () => {
		const { lc1 } = await run;
		const text = lc1.iptablesTool
			.save({ table: "nat" })
			.split("\n")
			.filter((line) => line.startsWith("-A"))
			.map((line) => line.replace(/:\d{5}\b/, ":PORT").replace(/--sport \d{5}\b/, "--sport PORT"));
		expect(text).toEqual([
			"-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT",
			"-A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING",
			"-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:PORT",
			"-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:PORT",
			"-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport PORT -j SNAT --to-source :53",
			"-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport PORT -j SNAT --to-source :53",
		]);
	});

	test("resolv.conf and hosts are the recorded ones", async () => {
		const { lc1 } = await run;
		expect(lc1.files.get("/etc/resolv.conf")).toBe(
			"search lab.example\nnameserver 127.0.0.11\noptions ndots:0\n",
		);
		expect(lc1.files.get("/etc/hosts")).toBe(
			[
				"127.0.0.1\tlocalhost",
				"::1\tlocalhost ip6-localhost ip6-loopback",
				"fe00::0\tip6-localnet",
				"ff00::0\tip6-mcastprefix",
				"ff02::1\tip6-allnodes",
				"ff02::2\tip6-allrouters",
				"172.19.0.2\tlc1",
				"",
			].join("\n"),
		);
	});

	test("Wireshark finds nothing wrong in the whole capture", async () => {
		await expectCleanInWireshark((await run).capture.toPcapng());
	});
});
