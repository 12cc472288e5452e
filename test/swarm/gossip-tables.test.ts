import { describe, expect, test } from "vitest";
import type { TableChange } from "../../src/cnm/index.ts";
import { libnetwork, networkdb } from "../../src/wire/index.ts";
import { Lab } from "../../src/index.ts";
import { Gossip } from "../../src/swarm/index.ts";
import { SharedState } from "../../src/swarm/gossip/shared-state.ts";
import { Member } from "../../src/swarm/gossip/member.ts";
import type { Ip4 } from "../../src/addr/index.ts";
import { cluster, gossipPackets, introduce, type Node, nodesOn } from "../support/gossip.ts";
import { emulated } from "../support/scenario.ts";

const PEERS = libnetwork.TABLE.overlayPeer;
/** These tables change one by one. */
const nothing = (): undefined => undefined;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const shown = ({ gossip }: Node, network = "net", table: string = PEERS): string =>
	gossip
		.entries(table, network)
		.map(({ key, value }) => `${key}=${new TextDecoder().decode(value)}`)
		.sort()
		.join(" ");
const told = (changes: readonly TableChange[]): string[] =>
	changes.map(({ kind, key, value, previous }) => {
		const was = previous === undefined ? "" : ` was ${new TextDecoder().decode(previous)}`;
		return `${kind} ${key}=${new TextDecoder().decode(value)}${was}`;
	});

async function attached(count: number) {
	const { lab, nodes } = await cluster(count);
	for (const { gossip } of nodes) gossip.joinNetwork("net");
	await lab.advance(2000);
	const [one, two, three] = nodes;
	if (one === undefined || two === undefined) throw new Error("two nodes");
	return { lab, nodes, one, two, three: three ?? two };
}

describe("tables", () => {
	test("are the same on all nodes of a network within a second of a change", async () => {
		const { lab, nodes, one, two } = await attached(3);
		const changes: TableChange[] = [];
		two.gossip.watch(PEERS, (change) => changes.push(change), nothing);
		one.gossip.create(PEERS, "net", "a", text("1"));
		two.gossip.create(PEERS, "net", "b", text("2"));
		await lab.advance(1000);
		for (const node of nodes) expect(shown(node)).toBe("a=1 b=2");
		one.gossip.update(PEERS, "net", "a", text("3"));
		await lab.advance(1000);
		for (const node of nodes) expect(shown(node)).toBe("a=3 b=2");
		one.gossip.delete(PEERS, "net", "a");
		await lab.advance(1000);
		for (const node of nodes) expect(shown(node)).toBe("b=2");
		expect(told(changes)).toEqual(["create a=1", "update a=3 was 1", "delete a=3"]);
		expect(new Set(changes.map(({ owner }) => owner))).toEqual(new Set([one.gossip.nodeName]));
	});

	test("are nobody's business outside their network", async () => {
		const { lab, nodes } = await cluster(3);
		const [one, two, three] = nodes;
		if (one === undefined || two === undefined || three === undefined) throw new Error("three nodes");
		for (const { gossip } of [one, two]) gossip.joinNetwork("net");
		await lab.advance(2000);
		const capture = lab.capture("node3:eth0");
		one.gossip.create(PEERS, "net", "a", text("1"));
		await lab.advance(1000);
		expect([shown(two), shown(three)]).toEqual(["a=1", ""]);
		const heard = gossipPackets(emulated(capture, "node3:eth0")).filter(({ octets }) => octets > 110);
		expect(heard).toEqual([]);
	});

	test("are fetched whole by a node that joins the network later", async () => {
		const { lab, nodes } = await cluster(3);
		const [one, two, three] = nodes;
		if (one === undefined || two === undefined || three === undefined) throw new Error("three nodes");
		one.gossip.joinNetwork("net");
		for (let i = 0; i < 50; i++) one.gossip.create(PEERS, "net", `k${String(i)}`, text(String(i)));
		await lab.advance(10_000);
		three.gossip.joinNetwork("net");
		await lab.advance(20);
		expect(three.gossip.entries(PEERS, "net")).toHaveLength(50);
		expect(three.gossip.peers("net").map(({ ip }) => ip)).toEqual(["172.31.0.5", "172.31.0.7"]);
		expect(shown(two)).toBe("");
	});

	test("lose the entries of a node that fails, and get them back when it returns", async () => {
		const { lab, one, two, three } = await attached(3);
		two.gossip.create(PEERS, "net", "b", text("2"));
		await lab.advance(1000);
		const changes: TableChange[] = [];
		one.gossip.watch(PEERS, (change) => changes.push(change), nothing);
		two.host.netns.device("eth0").down();
		await lab.advance(8000);
		expect([shown(one), shown(three), shown(two)]).toEqual(["", "", "b=2"]);
		expect(one.gossip.peers("net").map(({ ip }) => ip)).toEqual(["172.31.0.5", "172.31.0.7"]);
		await lab.advance(60_000);
		two.host.netns.device("eth0").up();
		await lab.advance(15_000);
		expect([shown(one), shown(three), shown(two)]).toEqual(["b=2", "b=2", "b=2"]);
		expect(told(changes)).toEqual(["delete b=2", "create b=2"]);
	});

	test("lose the entries of a node that leaves the network; its own tables of it are empty without a word", async () => {
		const { lab, one, two } = await attached(3);
		one.gossip.create(PEERS, "net", "a", text("1"));
		two.gossip.create(PEERS, "net", "b", text("2"));
		await lab.advance(1000);
		const [here, there]: [TableChange[], TableChange[]] = [[], []];
		two.gossip.watch(PEERS, (change) => here.push(change), nothing);
		one.gossip.watch(PEERS, (change) => there.push(change), nothing);
		two.gossip.leaveNetwork("net");
		await lab.advance(1000);
		expect([shown(one), shown(two), told(here), told(there)]).toEqual(["a=1", "", [], ["delete b=2"]]);
		two.gossip.joinNetwork("net");
		await lab.advance(1500);
		expect([shown(one), shown(two)]).toEqual(["a=1", "a=1"]);
		expect(told(here)).toEqual(["create a=1"]);
	});

	test("refuse what is there twice, what is not there, and networks nobody joined, in networkdb's words", async () => {
		const { one } = await attached(2);
		one.gossip.create(PEERS, "net", "a", text("1"));
		const at = `table ${PEERS} with network id net and key`;
		expect(() => one.gossip.create(PEERS, "net", "a", text("1"))).toThrow(
			`cannot create entry in ${at} a, already exists`,
		);
		expect(() => one.gossip.update(PEERS, "net", "z", text("1"))).toThrow(
			`cannot update entry as the entry in ${at} z does not exist`,
		);
		expect(() => one.gossip.delete(PEERS, "net", "z")).toThrow("does not exist or is already being deleted");
		expect(() => one.gossip.create(PEERS, "other", "a", text("1"))).toThrow("the network is not joined");
		one.gossip.delete(PEERS, "net", "a");
		one.gossip.create(PEERS, "net", "a", text("2"));
		expect(shown(one)).toBe("a=2");
	});
});

// libnetwork's delegate.go, rule by rule; a state without network.
describe("an event", () => {
	const { CHANGE, MEMBERSHIP } = networkdb;
	const own = "self";
	function state(): SharedState {
		const made = new SharedState(own, () => undefined);
		for (const [i, name] of [own, "peer", "third"].entries())
			made.nodes.joined(new Member(name, ((0xac1f_0005 + i) | 0) as Ip4, 7946));
		made.join("net");
		made.networkEvent({ type: MEMBERSHIP.JOIN, lTime: 5, nodeName: "peer", networkId: "net" });
		return made;
	}
	const event = (over: Partial<networkdb.TableEvent> = {}): networkdb.TableEvent => ({
		type: CHANGE.CREATE,
		lTime: 10,
		nodeName: "peer",
		networkId: "net",
		tableName: "t",
		key: "k",
		value: text("v"),
		residualReapTime: 0,
		...over,
	});
	const values = (each: SharedState) =>
		each.tables.entries("t", "net").map(({ key, value }) => `${key}=${new TextDecoder().decode(value)}`);

	test("of a table counts when its owner takes part in the network and so does this node", () => {
		const each = state();
		each.tableEvent(event(), "gossip");
		each.tableEvent(event({ key: "x", nodeName: "third" }), "gossip");
		each.tableEvent(event({ key: "y", networkId: "other" }), "gossip");
		expect(values(each)).toEqual(["k=v"]);
	});

	test("about an entry counts when it is newer than what is known, whatever it calls itself", () => {
		const each = state();
		each.tableEvent(event(), "gossip");
		each.tableEvent(event({ value: text("same time") }), "gossip");
		each.tableEvent(event({ value: text("older"), lTime: 9 }), "bulk");
		expect(values(each)).toEqual(["k=v"]);
		each.tableEvent(event({ value: text("w"), lTime: 11 }), "gossip");
		expect(values(each)).toEqual(["k=w"]);
	});

	test("of this node's own entries is ignored before anything else", () => {
		const each = state();
		expect(each.tableEvent(event({ nodeName: own, lTime: 99 }), "bulk")).toBe(false);
		expect(each.tableClock.time).toBe(0);
	});

	test("makes the clock later even when it does not count", () => {
		const each = state();
		each.tableEvent(event({ networkId: "other", lTime: 50 }), "gossip");
		expect(each.tableClock.time).toBe(51);
	});

	test("is told on only after the network's entries were fetched once", () => {
		const each = state();
		expect(each.tableEvent(event(), "gossip")).toBe(false);
		const network = each.own.get("net");
		if (network !== undefined) network.inSync = true;
		expect(each.tableEvent(event({ lTime: 11 }), "gossip")).toBe(true);
	});

	test("that deletes what nobody knew counts by bulk sync only, and is told on only while it is young", () => {
		const each = state();
		const network = each.own.get("net");
		if (network !== undefined) network.inSync = true;
		const deletes = (residualReapTime: number, way: "gossip" | "bulk", key: string) =>
			each.tableEvent(event({ type: CHANGE.DELETE, residualReapTime, key }), way);
		expect(deletes(1800, "gossip", "a")).toBe(false);
		expect(deletes(300, "bulk", "b")).toBe(false);
		expect(deletes(301, "bulk", "c")).toBe(true);
		// One without a time is from an older engine: it has all of it.
		expect(deletes(0, "bulk", "d")).toBe(true);
		each.tableEvent(event({ key: "a", lTime: 9 }), "gossip");
		each.tableEvent(event({ key: "b", lTime: 9 }), "gossip");
		expect(values(each)).toEqual(["a=v"]);
	});

	test("of a node that leaves a network deletes its entries there, and makes later ones count again", () => {
		const each = state();
		each.tableEvent(event(), "gossip");
		expect(each.networkEvent({ type: MEMBERSHIP.LEAVE, lTime: 6, nodeName: "peer", networkId: "net" })).toBe(
			true,
		);
		expect(values(each)).toEqual([]);
		each.tableEvent(event({ lTime: 12 }), "gossip");
		expect(values(each)).toEqual([]);
		each.networkEvent({ type: MEMBERSHIP.JOIN, lTime: 7, nodeName: "peer", networkId: "net" });
		each.tableEvent(event({ lTime: 12 }), "gossip");
		expect(values(each)).toEqual(["k=v"]);
	});

	test("that deleted something is remembered for as long as it says, in steps of five seconds", () => {
		const each = state();
		each.tableEvent(event(), "gossip");
		each.tableEvent(event({ type: CHANGE.DELETE, lTime: 11, residualReapTime: 12 }), "gossip");
		const left = Array.from({ length: 4 }, () => {
			each.reap();
			return each.tables.deleted;
		});
		expect(left).toEqual([1, 1, 1, 0]);
	});

	test("of this node that leaves a network is remembered for half an hour and 25 s, and then the network forgotten", () => {
		const each = state();
		each.leave("net", 9);
		let passed = 0;
		for (; each.own.has("net"); passed += 5) each.reap();
		expect(passed).toBe(30 * 60 + 25 + 5);
	});

	test("of a network counts when it is newer, about another node, and that one is in the cluster", () => {
		const each = state();
		const joins = (nodeName: string, lTime: number, type: number = MEMBERSHIP.JOIN) =>
			each.networkEvent({ type, lTime, nodeName, networkId: "net" });
		expect(joins("peer", 5)).toBe(false);
		expect(joins("peer", 6)).toBe(true);
		expect(joins("third", 1, MEMBERSHIP.LEAVE)).toBe(false);
		expect(joins("third", 1)).toBe(true);
		expect(joins("stranger", 1)).toBe(false);
		expect(joins(own, 99)).toBe(false);
		expect(each.networkClock.time).toBe(100);
	});

	test("of a node that leaves takes its entries and networks along, once", () => {
		const each = state();
		each.tableEvent(event(), "gossip");
		const leaves = { type: MEMBERSHIP.LEAVE, lTime: 20, nodeName: "peer" };
		expect(each.nodeEvent(leaves)).toBe(true);
		expect(each.nodeEvent(leaves)).toBe(false);
		expect([values(each), each.attachments.nodes("net")]).toEqual([[], [own]]);
	});
});

test("200 nodes that were settled are a cluster: changes are everywhere within two seconds, and a dead node is found", async () => {
	const lab = new Lab({ seed: 1 });
	const nodes = nodesOn(lab, 200);
	introduce(nodes);
	for (const { gossip } of nodes) gossip.start();
	Gossip.settle(
		nodes.map(({ gossip }) => gossip),
		{ silent: false },
	);
	const [first, second] = nodes;
	for (const { gossip } of nodes.slice(0, 30)) gossip.joinNetwork("net");
	await lab.advance(6000);
	first?.gossip.create(PEERS, "net", "a", text("1"));
	await lab.advance(2000);
	expect(nodes.slice(0, 30).filter((node) => shown(node) !== "a=1")).toEqual([]);
	second?.gossip.stop();
	await lab.advance(35_000);
	const dead = nodes.filter(({ gossip }) =>
		gossip.members().some(({ name, state }) => name === second?.gossip.nodeName && state === "alive"),
	);
	expect(dead.map(({ address }) => address)).toEqual([second?.address]);
});

test.each([10, 100])(
	"%i nodes that join one after the other know each other, and a change is everywhere within two seconds",
	async (count) => {
		const { lab, nodes } = await cluster(count);
		await lab.advance(3000);
		for (const { gossip } of nodes)
			expect(gossip.members().filter(({ state }) => state === "alive")).toHaveLength(count);
		for (const { gossip } of nodes) gossip.joinNetwork("net");
		await lab.advance(5000);
		nodes[0]?.gossip.create(PEERS, "net", "a", text("1"));
		await lab.advance(2000);
		expect(nodes.filter((node) => shown(node) !== "a=1")).toEqual([]);
	},
);
