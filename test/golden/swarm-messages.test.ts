import { beforeAll, describe, expect, test } from "vitest";
import type { Capture } from "../../src/observe/index.ts";
import { recording } from "../support/golden.ts";
import { machines, node } from "../support/docker-swarm.ts";
import { emulated } from "../support/scenario.ts";
import { type SeenConnection, type SeenRecord, tlsConnections } from "../support/tls-streams.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 12-node-failure, node1's card: node2 is cut off, and node3 gets its task (fs.1 on fail-net) on the connection that it has.
const CONTROL = 2377;
let capture: Capture;

/** Node3's connection: there before the recording began; ours is the third from its address. */
const recorded = (): SeenConnection => {
	const found = tlsConnections(recording("12-node-failure/fail-node1-eth0"), CONTROL);
	const [longest] = found
		.filter(({ serverName }) => serverName === undefined)
		.sort((a, b) => b.records.length - a.records.length);
	if (longest === undefined) throw new Error("no connection was recorded");
	return longest;
};
const session = (): SeenConnection => {
	const found = tlsConnections(emulated(capture, "node3:eth0"), CONTROL);
	const told = found.find(({ serverName }) => serverName === "swarm-manager");
	if (told === undefined) throw new Error("node3 has no session");
	return told;
};
/** What was before the cut is not in the recording. */
const ours = (): SeenConnection => {
	const { records, ...of } = session();
	return { ...of, records: records.filter(({ time }) => time >= cutAt) };
};
let cutAt = 0;

/** Lengths of one side's records that say more than a heartbeat, as long as any of the kinds looked at. */
const lengths = ({ records }: SeenConnection, from: SeenRecord["from"], least: number): number[] =>
	records.filter((each) => each.from === from && each.octets >= least).map(({ octets }) => octets);

beforeAll(async () => {
	const made = machines({ epoch: "2026-11-23T18:07:00Z" });
	const { lab } = made;
	capture = lab.capture("node3:eth0");
	const [node1, node2, node3] = [node(made, 1), node(made, 2), node(made, 3)];
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	for (const [host, advertiseAddr] of [
		[node2, "172.31.1.6"],
		[node3, "172.31.1.7"],
	] as const) {
		const token = swarm.joinToken("worker");
		await host.docker.swarm.join({ token, advertiseAddr, address: "172.31.1.5:2377" });
	}
	const options = { driver: "overlay", attachable: true, subnet: "10.5.5.0/24" };
	await node1.docker.networks.create("fail-net", options).ready;
	const constraints = ["node.hostname!=node1"];
	const service = { name: "fs", image: "box", args: ["web", "80"], replicas: 2, constraints };
	await swarm.services.create({ ...service, network: "fail-net" }).converged();
	await node1.docker.run({ name: "f1", network: "fail-net" }).ready;
	// So that a hundred heartbeats' timeouts stand in front of the header fields all calls share, as there: indices of two octets.
	await lab.advance("340s");
	cutAt = emulated(capture, "node3:eth0").at(-1)?.time ?? 0;
	lab.partition([node1, node3], [node2]);
	await lab.advance("60s");
});

describe("a node that joins", () => {
	test("is told of itself, its managers and keys in one record of 3430 or 3435 octets (`05-overlay`)", () => {
		const first = (connection: SeenConnection | undefined): number =>
			connection?.records.find(({ from, octets }) => from === "server" && octets > 1000)?.octets ?? 0;
		const theirs = ["node2", "node3"].map((name) =>
			first(tlsConnections(recording(`05-overlay/underlay-swarmjoin-${name}`), CONTROL)[2]),
		);
		expect(theirs).toEqual([3435, 3430]);
		// What it asked for its certificate with takes four octets more or less.
		expect(Math.abs(first(session()) - 3432), String(first(session()))).toBeLessThanOrEqual(10);
	});
});

describe("a task that is started elsewhere is told and reported in records as long as Docker's", () => {
	test("the task to be made ready, then the one to be run: 619 and 636 octets, indices of writes aside", () => {
		const [theirs, mine] = [lengths(recorded(), "server", 500), lengths(ours(), "server", 500)];
		expect(theirs).toEqual([619, 636]);
		expect(mine).toHaveLength(2);
		// An hour's writes have indices beyond 127, which take an octet more: of the task, its spec and its network.
		for (const [place, octets] of mine.entries())
			expect(Math.abs(octets - (theirs[place] ?? 0)), String(octets)).toBeLessThanOrEqual(5);
	});

	test("what it became: accepted, preparing, twice ready where it waits, starting, running: a call each, one after the other", () => {
		// `ready` comes again when the agent finds nothing more to do. What a record acknowledges besides (47 octets more) is not
		// compared; a nanosecond takes an octet more or less, and so does the call's path, by how long ago it was first said.
		const [theirs, mine] = [lengths(recorded(), "client", 131), lengths(ours(), "client", 131)];
		expect(theirs).toEqual([136, 184, 135, 182, 206, 205]);
		expect(mine).toHaveLength(theirs.length);
		// The fields that all calls share are told anew (40 octets) when timeouts of heartbeats have pushed them out of the table.
		const more = theirs.slice(0, 5).map((octets, place) => (mine[place] ?? 0) - octets);
		const anew = more.filter((each) => each > 30);
		expect(anew.length, String(mine)).toBeLessThanOrEqual(1);
		for (const each of more)
			expect(Math.abs(each > 30 ? each - 40 : each), String(mine)).toBeLessThanOrEqual(2);
		// There the shared fields had just been told anew when the container ran: four indices take an octet less each.
		expect(Math.abs(205 + 4 - (mine.at(-1) ?? 0)), String(mine)).toBeLessThanOrEqual(2);
	});

	test("one that is told of a task first acknowledges that, and says of it when it has written it down", () => {
		const after = ({ records }: SeenConnection, octets: readonly number[]): number[] => {
			const at = records.findIndex((each) => each.from === "server" && octets.includes(each.octets));
			return records.slice(at + 1, at + 4).map((each) => each.octets);
		};
		const [task = 0] = lengths(ours(), "server", 500);
		expect(after(recorded(), [619])).toEqual([47, 34, 136]);
		expect(
			after(ours(), [task])
				.toSorted((a, b) => a - b)
				.slice(0, 2),
		).toEqual([34, 47]);
	});

	test("Wireshark finds no error", async () => {
		await expectCleanInWireshark(capture.toPcapng());
	});
});

describe("a node that comes back after a hundred seconds", () => {
	// What the machine had besides: e1 and e2 on the encrypted sec-net (`07-overlay-encrypted`), and no ingress network any more
	// (`11-macvlan`).
	let back: SeenConnection;
	beforeAll(async () => {
		const made = machines({ epoch: "2026-11-23T18:03:00Z" });
		const { lab } = made;
		const [node1, node2, node3] = [node(made, 1), node(made, 2), node(made, 3)];
		const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
		for (const [host, advertiseAddr] of [
			[node2, "172.31.1.6"],
			[node3, "172.31.1.7"],
		] as const) {
			const token = swarm.joinToken("worker");
			await host.docker.swarm.join({ token, advertiseAddr, address: "172.31.1.5:2377" });
		}
		const secret = { driver: "overlay", attachable: true, subnet: "10.7.7.0/24", options: { encrypted: "" } };
		await node1.docker.networks.create("sec-net", secret).ready;
		await node1.docker.run({ name: "e1", network: "sec-net" }).ready;
		await node2.docker.run({ name: "e2", network: "sec-net" }).ready;
		node1.docker.networks.rm("ingress");
		const open = { driver: "overlay", attachable: true, subnet: "10.5.5.0/24" };
		await node1.docker.networks.create("fail-net", open).ready;
		const constraints = ["node.hostname!=node1"];
		const service = { name: "fs", image: "box", args: ["web", "80"], replicas: 2, constraints };
		await swarm.services.create({ ...service, network: "fail-net" }).converged();
		await node1.docker.run({ name: "f1", network: "fail-net" }).ready;
		await lab.advance("10s");
		const cut = lab.partition([node1, node3], [node2]);
		await lab.advance("109s");
		const seen = lab.capture("node2:eth0");
		cut.heal();
		await lab.advance("20s");
		const found = tlsConnections(emulated(seen, "node2:eth0"), CONTROL).filter(
			({ serverName }) => serverName === "swarm-manager",
		);
		const last = found.at(-1);
		if (last === undefined) throw new Error("node2 has no session");
		back = last;
	});
	const before = (): SeenConnection => {
		const found = tlsConnections(recording("12-node-failure/fail-node1-eth0"), CONTROL);
		const last = found.find(({ serverName }) => serverName === "swarm-manager");
		if (last === undefined) throw new Error("no connection was recorded");
		return last;
	};

	test("is told of itself and of its two tasks, and of itself without the network whose task it shut down", () => {
		const [theirs, mine] = [lengths(before(), "server", 1000), lengths(back, "server", 1000)];
		expect(theirs).toEqual([3757, 1412, 3484]);
		expect(mine).toHaveLength(3);
		for (const [place, octets] of mine.entries())
			expect(Math.abs(octets - (theirs[place] ?? 0)), String(mine)).toBeLessThanOrEqual(10);
	});

	test("says twice that the old task is shut down, and what its container ended with", () => {
		const late = ({ records }: SeenConnection): number[] => {
			const [first] = records;
			return records
				.filter(
					({ from, octets, time }) => from === "client" && octets > 130 && time > (first?.time ?? 0) + 2,
				)
				.map(({ octets }) => octets);
		};
		// Of the recorded ones the last two: before are the register and the reports of tasks that it has.
		const theirs = late(before()).slice(-2);
		expect(theirs).toEqual([205, 235]);
		const mine = late(back);
		expect(mine).toHaveLength(2);
		expect(Math.abs((mine[0] ?? 0) - 205), String(mine)).toBeLessThanOrEqual(2);
	});
});
