import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { Rng } from "../../src/sim/index.ts";
import { libnetwork, memberlist, memberlistPacket, networkdb } from "../../src/wire/index.ts";
import { recording } from "../support/golden.ts";
import { cluster, type GossipPacket, gossipPackets, nodesOn } from "../support/gossip.ts";
import { emulated } from "../support/scenario.ts";

// The recorded gossip is encrypted with keys nobody kept: what is compared is how long packets are, when they come, from
// whom to whom. Compression makes lengths depend on what was drawn: each kind of packet has a few.
const rng = new Rng("names");
const HEX = "0123456789abcdef";
const BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz";
const drawn = (digits: string, length: number): string =>
	Array.from({ length }, () => digits[rng.below(digits.length)]).join("");
const sealing = { key: new memberlistPacket.GossipKey(new Uint8Array(16)), nonce: new Uint8Array(12) };
const VSN = Uint8Array.of(1, 5, 2, 0, 0, 0);
const NO_OCTETS = new Uint8Array(0);

/** A world with other names each time. `seq` is where the numbers of probes are, `time` the Lamport clocks. */
function world(seq: number, time: number) {
	const names = [5, 6, 7].map(() => drawn(HEX, 12));
	const network = drawn(BASE36, 25);
	const other = drawn(BASE36, 25);
	const [n1 = "", n2 = "", n3 = ""] = names;
	const addr = (name: string): Uint8Array => Uint8Array.of(172, 31, 1, 5 + names.indexOf(name));
	const user = (payload: Uint8Array): Uint8Array => memberlist.write({ type: "user", payload });
	const asks = (from: string, node: string) =>
		({ seqNo: seq, node, sourceAddr: addr(from), sourcePort: 7946, sourceNode: from }) as const;
	const { TYPE } = networkdb;
	const event = (table: string, key: string, value: Uint8Array): Uint8Array =>
		networkdb.write(TYPE.TABLE_EVENT, networkdb.tableEvent, {
			type: 1,
			lTime: time,
			nodeName: n1,
			networkId: other,
			tableName: table,
			key,
			value,
			residualReapTime: 0,
		});
	const stream = (message: memberlist.StreamMessage): number =>
		memberlistPacket.sealStream(memberlist.writeStream(message), sealing).length;
	return {
		n1,
		n2,
		n3,
		network,
		other,
		ping: memberlist.write({ type: "ping", ...asks(n1, n2) }),
		indirect: memberlist.write({
			type: "indirect-ping",
			nack: true,
			target: addr(n2),
			port: 7946,
			...asks(n1, n2),
		}),
		ack: memberlist.write({ type: "ack", seqNo: seq, payload: null }),
		nack: memberlist.write({ type: "nack", seqNo: seq }),
		suspect: memberlist.write({ type: "suspect", incarnation: 1, node: n2, from: n1 }),
		alive: (node: string) =>
			memberlist.write({
				type: "alive",
				incarnation: 1,
				node,
				addr: addr(node),
				port: 7946,
				meta: NO_OCTETS,
				vsn: VSN,
			}),
		nodeEvent: (nodeName: string) =>
			user(networkdb.write(TYPE.NODE_EVENT, networkdb.nodeEvent, { type: 1, lTime: time, nodeName })),
		networkEvent: (nodeName: string) =>
			user(
				networkdb.write(TYPE.NETWORK_EVENT, networkdb.networkEvent, {
					type: 1,
					lTime: time,
					nodeName,
					networkId: network,
				}),
			),
		peer: (ip: number, key = drawn(HEX, 64)) =>
			event(
				"overlay_peer_table",
				key,
				libnetwork.peerRecord.write({
					endpointIp: `10.0.1.${String(ip)}/24`,
					endpointMac: `02:42:0a:00:01:0${String(ip)}`,
					tunnelEndpointIp: "172.31.1.5",
				}),
			),
		endpoint: (name: string, aliases: readonly string[], key = drawn(HEX, 64)) =>
			event(
				"endpoint_table",
				key,
				libnetwork.endpointRecord.write({
					name,
					serviceName: "",
					serviceId: "",
					virtualIp: "<nil>",
					endpointIp: "10.0.1.6",
					ingressPorts: [],
					aliases: [],
					taskAliases: aliases,
					serviceDisabled: false,
				}),
			),
		events: (...list: readonly Uint8Array[]) => user(networkdb.writeCompound(list)),
		pushPull: (join: boolean, nodes: readonly string[], attached: readonly (readonly [string, string])[]) =>
			stream({
				type: "push-pull",
				join,
				nodes: nodes.map((name) => ({
					name,
					addr: addr(name),
					port: 7946,
					meta: NO_OCTETS,
					incarnation: 1,
					state: 0,
					vsn: VSN,
				})),
				userState: networkdb.write(TYPE.PUSH_PULL, networkdb.networkPushPull, {
					lTime: time,
					nodeName: nodes[0] ?? "",
					networks: attached.map(([nodeName, networkId]) => ({
						nodeName,
						networkId,
						lTime: time,
						leaving: false,
					})),
				}),
			}),
		bulkSync: (unsolicited: boolean) =>
			stream({
				type: "user",
				payload: networkdb.write(TYPE.BULK_SYNC, networkdb.bulkSyncMessage, {
					lTime: 0,
					unsolicited,
					nodeName: n1,
					networks: [network],
					payload: networkdb.writeCompound([]),
				}),
			}),
	};
}
type World = ReturnType<typeof world>;

/** To an address: what a node sends to whom it only asks or answers. */
const bare = (...messages: readonly Uint8Array[]): number => sealed(messages, false);
/** To a member: with a checksum. */
const told = (...messages: readonly Uint8Array[]): number => sealed(messages, true);
function sealed(messages: readonly Uint8Array[], crc: boolean): number {
	const [first = NO_OCTETS] = messages;
	const message = messages.length === 1 ? first : memberlist.compound(messages);
	return memberlistPacket.sealPacket(message, { ...sealing, crc }).length;
}

/** Which kinds of packets can have a length: names of the kinds by length. */
function kindsByLength(
	kinds: Readonly<Record<string, (w: World) => number>>,
	...worlds: readonly (readonly [seq: number, time: number])[]
): Map<number, string> {
	const found = new Map<number, string>();
	for (const [name, make] of Object.entries(kinds)) {
		for (const [seq, time] of worlds) for (let i = 0; i < 400; i++) found.set(make(world(seq, time)), name);
	}
	return found;
}

/** Packets with payload of a length that no kind explains. */
const unexplained = (packets: readonly GossipPacket[], kinds: ReadonlyMap<number, string>): GossipPacket[] =>
	packets.filter(({ octets }) => octets > 0 && !kinds.has(octets));
const datagrams = (packets: readonly GossipPacket[]): GossipPacket[] =>
	packets.filter(({ protocol }) => protocol === "udp");

const JOIN_KINDS = {
	ack: (w: World) => bare(w.ack),
	ping: (w: World) => bare(w.ping),
	"ping and network event": (w: World) => bare(w.ping, w.networkEvent(w.n1)),
	"ack and network event": (w: World) => bare(w.ack, w.networkEvent(w.n1)),
	"ping and alive": (w: World) => bare(w.ping, w.alive(w.n3)),
	"node event": (w: World) => told(w.nodeEvent(w.n3)),
	"network event": (w: World) => told(w.networkEvent(w.n1)),
	alive: (w: World) => told(w.alive(w.n3)),
	"two alive and node event": (w: World) => told(w.alive(w.n2), w.alive(w.n1), w.nodeEvent(w.n2)),
	"two alive and network event": (w: World) => told(w.alive(w.n1), w.alive(w.n2), w.networkEvent(w.n1)),
	"three alive and node event": (w: World) =>
		told(w.alive(w.n1), w.alive(w.n2), w.alive(w.n3), w.nodeEvent(w.n3)),
	"ack and three alive": (w: World) => bare(w.ack, w.alive(w.n1), w.alive(w.n2), w.alive(w.n3)),
	"entry of the peer table": (w: World) => told(w.events(w.peer(7))),
};

describe("docker swarm join, as recorded", () => {
	const names = ["node1", "node2", "node3"] as const;
	const recorded = (node: string): GossipPacket[] =>
		gossipPackets(recording(`05-overlay/underlay-swarmjoin-${node}`));

	test.each(names)("every datagram at %s has the length of a kind of packet that joining makes", (node) => {
		const packets = datagrams(recorded(node));
		expect(packets.length).toBeGreaterThan(50);
		expect(unexplained(packets, kindsByLength(JOIN_KINDS, [1, 1], [9, 5]))).toEqual([]);
	});

	test("push/pulls and bulk syncs by TCP are as long as their encoding", () => {
		const kinds = kindsByLength(
			{
				"joining, with nothing known": (w) => w.pushPull(true, [w.n2], []),
				"joining, from node3": (w) => w.pushPull(true, [w.n3], []),
				"answer: one node, one network": (w) => w.pushPull(true, [w.n1], [[w.n1, w.network]]),
				"answer: two nodes, one network": (w) =>
					w.pushPull(
						true,
						[w.n1, w.n2],
						[
							[w.n1, w.network],
							[w.n2, w.network],
						],
					),
				"bulk sync without entries": (w) => w.bulkSync(true),
				"its answer": (w) => w.bulkSync(false),
			},
			[1, 1],
			[9, 5],
		);
		for (const node of names) {
			const packets = recorded(node).filter(({ protocol }) => protocol === "tcp");
			expect(packets.filter(({ octets }) => octets > 0).length).toBeGreaterThan(4);
			expect(unexplained(packets, kinds)).toEqual([]);
		}
	});

	test("three nodes of ours that join at the recorded times send the same kinds, as often, from the same to the same", async () => {
		const lab = new Lab({ seed: 1 });
		const nodes = nodesOn(lab, 3);
		const capture = lab.capture("node1:eth0");
		const [one, two, three] = nodes.map(({ gossip }) => gossip);
		if (one === undefined || two === undefined || three === undefined) throw new Error("three nodes");
		const at = async (seconds: number): Promise<void> => {
			await lab.advance(seconds * 1000 - lab.now / 1e6);
		};
		one.start();
		one.joinNetwork("4l2l929d98zwb9vq8eki6nwpj");
		await at(1.265);
		two.start();
		two.join(["172.31.0.5"], () => undefined);
		await at(3.824);
		two.joinNetwork("4l2l929d98zwb9vq8eki6nwpj");
		await at(4.778);
		three.start();
		three.join(["172.31.0.5"], () => undefined);
		await at(7.428);
		three.joinNetwork("4l2l929d98zwb9vq8eki6nwpj");
		await at(17.3);
		const kinds = kindsByLength(
			{
				...JOIN_KINDS,
				"ack and alive": (w: World) => bare(w.ack, w.alive(w.n3)),
				"ping and two alive": (w) => bare(w.ping, w.alive(w.n1), w.alive(w.n2)),
				"ping, two alive and network event": (w) =>
					bare(w.ping, w.alive(w.n1), w.alive(w.n2), w.networkEvent(w.n1)),
				"ack, two alive and node event": (w) => bare(w.ack, w.alive(w.n1), w.alive(w.n2), w.nodeEvent(w.n2)),
			},
			[1, 1],
			[9, 5],
		);
		const ours = gossipPackets(emulated(capture, "node1:eth0"));
		expect(unexplained(datagrams(ours), kinds)).toEqual([]);
		const theirs = recorded("node1");
		const counts = (packets: readonly GossipPacket[]): Map<string, number> => {
			const found = new Map<string, number>();
			for (const { octets } of datagrams(packets)) {
				const kind = kinds.get(octets) ?? "";
				found.set(kind, (found.get(kind) ?? 0) + 1);
			}
			return found;
		};
		const [was, is] = [counts(theirs), counts(ours)];
		// Which node is pinged next is drawn; both machines ping each second, and what broadcasts ride on differs.
		for (const [kind, off] of [
			["ping", 6],
			["ack", 6],
			["network event", 4],
			["alive", 4],
		] as const)
			expect(Math.abs((was.get(kind) ?? 0) - (is.get(kind) ?? 0)), kind).toBeLessThanOrEqual(off);
		const connections = (packets: readonly GossipPacket[]): string[] =>
			packets
				.filter(({ protocol, octets }) => protocol === "tcp" && octets > 0)
				.map(
					({ from, to, octets }) => `${String(from)} to ${String(to)}: ${octets < 150 ? "sync" : "state"}`,
				);
		expect(connections(ours)).toEqual(connections(theirs));
	});
});

describe("docker run on an overlay, as recorded", () => {
	const packets = datagrams(gossipPackets(recording("05-overlay/underlay-containerstart-node1")));

	test("each node probes once a second, and each ping is answered", () => {
		const pings = packets.filter(({ from, octets }) => from === 5 && octets === 111);
		expect(pings.length).toBeGreaterThan(30);
		for (const [i, ping] of pings.slice(1).entries()) {
			const passed = ping.time - (pings[i]?.time ?? 0);
			expect(Math.abs(passed - Math.round(passed))).toBeLessThan(0.02);
			const answers = packets.filter(
				({ from, to, octets, time }) =>
					from === ping.to && to === 5 && octets === 48 && time > ping.time && time < ping.time + 0.5,
			);
			expect(answers).not.toEqual([]);
		}
	});

	test("entries of both tables go as datagrams, four times each, 0.2 s apart", () => {
		const kinds = kindsByLength(
			{
				...JOIN_KINDS,
				"two entries": (w) => told(w.events(w.peer(7), w.peer(6))),
				"entries of both tables": (w) => {
					const key = drawn(HEX, 64);
					return told(w.events(w.peer(6, key), w.endpoint("c1", ["c1", "8917e4d6f65a"], key)));
				},
				"an entry of the endpoint table": (w) => told(w.events(w.endpoint("c1", ["c1", "8917e4d6f65a"]))),
				"three entries": (w) => {
					const key = drawn(HEX, 64);
					return told(w.events(w.peer(7), w.peer(6, key), w.endpoint("c1", ["c1", "8917e4d6f65a"], key)));
				},
			},
			[130, 9],
			[130, 60],
		);
		expect(unexplained(packets, kinds)).toEqual([]);
		const entries = packets.filter(({ from, octets }) => from === 5 && octets === 228);
		expect(entries).toHaveLength(2);
		expect((entries[1]?.time ?? 0) - (entries[0]?.time ?? 0)).toBeCloseTo(0.2, 1);
	});
});

describe("a node whose cable is cut, as recorded", () => {
	const CUT = 49.859;
	const FAILURE_KINDS = {
		ack: (w: World) => bare(w.ack),
		ping: (w: World) => bare(w.ping),
		"indirect ping": (w: World) => bare(w.indirect),
		nack: (w: World) => bare(w.nack),
		"ping and suspect": (w: World) => bare(w.ping, w.suspect),
		"ack and suspect": (w: World) => bare(w.ack, w.suspect),
		"nack and suspect": (w: World) => bare(w.nack, w.suspect),
		suspect: (w: World) => told(w.suspect),
		"ping and suspect to the suspect": (w: World) => told(w.ping, w.suspect),
	};
	const kinds = kindsByLength(FAILURE_KINDS, [300, 40]);
	/** Seconds since the cut, in recorded packets of that minute. */
	const recorded = gossipPackets(recording("12-node-failure/fail-node1-eth0")).map((packet) => ({
		...packet,
		time: (packet.time % 60) - CUT,
	}));
	const during = <P extends GossipPacket>(packets: readonly P[]): P[] =>
		datagrams(packets).filter(({ time }) => time > 0 && time < 5.8) as P[];

	test("pings, indirect pings, nacks and suspicions have the lengths of their encoding", () => {
		expect(during(recorded).length).toBeGreaterThan(25);
		expect(unexplained(during(recorded), kinds)).toEqual([]);
	});

	test("our nodes find it to be dead as fast, by the same kinds of packets", async () => {
		const { lab, nodes } = await cluster(3);
		const [one, two] = nodes;
		if (one === undefined || two === undefined) throw new Error("three nodes");
		// Until the numbers of probes take three octets, as in the recording.
		await lab.advance(295_000);
		const capture = lab.capture("node1:eth0");
		const cut = lab.now / 1e9;
		two.host.netns.device("eth0").down();
		await lab.advance(20_000);
		const ours = gossipPackets(emulated(capture, "node1:eth0")).map((packet) => ({
			...packet,
			time: packet.time - cut,
		}));
		expect(unexplained(during(ours), kinds)).toEqual([]);
		const seen = (packets: readonly GossipPacket[]): string[] =>
			[...new Set(during(packets).map(({ octets }) => kinds.get(octets) ?? ""))].sort();
		for (const kind of ["indirect ping", "nack", "suspect", "ping and suspect to the suspect"]) {
			expect(seen(recorded)).toContain(kind);
			expect(seen(ours)).toContain(kind);
		}
		const died = one.log.find((line) => line.includes("NodeActive --> NodeFailed"));
		const after = Number(died?.split(" ")[0]) - cut;
		expect(after).toBeGreaterThan(5);
		expect(after).toBeLessThan(7);
		// Neighbours of node2's containers went 5.6 s after the cut in the recording.
		const dialled = (packets: readonly GossipPacket[]): number[] =>
			packets
				.filter(({ syn, from, time }) => syn && from === 5 && time > 5 && time < 19)
				.map(({ time }) => time);
		expect(dialled(recorded)[0]).toBeCloseTo(5.68, 1);
		expect(Math.abs((dialled(ours)[0] ?? 0) - after)).toBeLessThan(1.1);
	});
});
