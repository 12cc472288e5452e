import fc from "fast-check";
import { expect, test } from "vitest";
import type { Lab } from "../../src/index.ts";
import { cluster, type Node } from "../support/gossip.ts";

const NETWORKS = ["red", "blue"] as const;
const TABLES = ["overlay_peer_table", "endpoint_table"] as const;
const KEYS = ["a", "b", "c", "d"] as const;
const NODES = 4;
/** Until everybody has had some push/pulls and bulk syncs with whoever it was away from. */
const QUIET = 200_000;
/**
 * How long a machine takes to start again: until the others have found that it is gone. One that is faster hears of its
 * former self as of a living node at its own address, and takes itself for the one that is gone (`purgeReincarnation` of
 * networkdb in 20.10; mended in later ones).
 */
const BOOT = 20_000;

interface Attach {
	readonly kind: "join" | "leave";
	readonly node: number;
	readonly network: string;
}
interface Write {
	readonly kind: "write" | "delete";
	readonly node: number;
	readonly network: string;
	readonly table: string;
	readonly key: string;
	readonly value: number;
}
interface Break {
	readonly kind: "cut" | "mend" | "restart";
	readonly node: number;
}
interface Wait {
	readonly kind: "wait";
	readonly milliseconds: number;
}
type Act = Attach | Write | Break | Wait;

const node = fc.nat({ max: NODES - 1 });
const network = fc.constantFrom(...NETWORKS);
const anyAct: fc.Arbitrary<Act> = fc.oneof(
	{
		weight: 2,
		arbitrary: fc.record({ kind: fc.constantFrom("join" as const, "leave" as const), node, network }),
	},
	{
		weight: 6,
		arbitrary: fc.record({
			kind: fc.constantFrom("write" as const, "write" as const, "delete" as const),
			node,
			network,
			table: fc.constantFrom(...TABLES),
			key: fc.constantFrom(...KEYS),
			value: fc.nat({ max: 255 }),
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({
			kind: fc.constantFrom("cut" as const, "mend" as const, "restart" as const),
			node,
		}),
	},
	{
		weight: 3,
		arbitrary: fc.record({
			kind: fc.constant("wait" as const),
			milliseconds: fc.constantFrom(5, 150, 700, 4000, 9000),
		}),
	},
);

/** Does it as an engine would: nobody writes where he is not, each node has keys of its own, as endpoints' ids are. */
async function perform(act: Attach | Write | Break, nodes: readonly Node[], lab: Lab): Promise<void> {
	const each = nodes[act.node];
	if (each === undefined) return;
	if ("key" in act) write(act, each);
	else if ("network" in act) {
		if (act.kind === "join") each.gossip.joinNetwork(act.network);
		else each.gossip.leaveNetwork(act.network);
	} else if (act.kind === "cut") each.host.netns.device("eth0").down();
	else if (act.kind === "mend") each.host.netns.device("eth0").up();
	else {
		each.gossip.stop();
		await lab.advance(BOOT);
		each.restart().join(
			nodes.filter((other) => other !== each).map(({ address }) => address),
			() => undefined,
		);
	}
}

function write({ kind, network, table, key: name, value }: Write, { gossip }: Node): void {
	const key = `${gossip.nodeName}-${name}`;
	const takesPart = gossip.peers(network).some((peer) => peer.name === gossip.nodeName);
	const there = gossip.entries(table, network).some((entry) => entry.key === key);
	if (!takesPart || (kind === "delete" && !there)) return;
	if (kind === "delete") gossip.delete(table, network, key);
	else if (there) gossip.update(table, network, key, Uint8Array.of(value));
	else gossip.create(table, network, key, Uint8Array.of(value));
}

/** What a node knows of a network, in an order that does not depend on how it came to know. */
const known = ({ gossip }: Node, name: string): string[] =>
	[
		...gossip.peers(name).map((peer) => `peer ${peer.name} ${peer.ip}`),
		...TABLES.flatMap((table) =>
			gossip
				.entries(table, name)
				.map(({ key, value, owner }) => `${table} ${key} ${owner} ${String(value[0])}`),
		),
	].sort();

async function afterwards(acts: readonly Act[]): Promise<{ lab: Lab; nodes: Node[] }> {
	const { lab, nodes } = await cluster(NODES);
	for (const { gossip } of nodes) for (const each of NETWORKS) gossip.joinNetwork(each);
	await lab.advance(1000);
	for (const act of acts) {
		if (act.kind === "wait") await lab.advance(act.milliseconds);
		else await perform(act, nodes, lab);
	}
	for (const { host } of nodes) host.netns.device("eth0").up();
	await lab.advance(QUIET);
	return { lab, nodes };
}

test("after any joining, leaving, writing, cutting and starting again, and some quiet, all nodes of a network know the same", async () => {
	await fc.assert(
		fc.asyncProperty(fc.array(anyAct, { maxLength: 30 }), async (acts) => {
			const { nodes } = await afterwards(acts);
			for (const name of NETWORKS) {
				const views = nodes
					.filter(({ gossip }) => gossip.peers(name).some((peer) => peer.name === gossip.nodeName))
					.map((each) => known(each, name));
				for (const view of views) expect(view).toEqual(views[0]);
			}
		}),
		{ numRuns: 15, interruptAfterTimeLimit: 20_000 },
	);
}, 120_000);

test("the same seed and story give the same packets at the same times", async () => {
	const story: Act[] = [
		{ kind: "write", node: 1, network: "red", table: TABLES[0], key: "a", value: 1 },
		{ kind: "wait", milliseconds: 700 },
		{ kind: "cut", node: 2 },
		{ kind: "wait", milliseconds: 9000 },
		{ kind: "leave", node: 1, network: "blue" },
	];
	const runs = await Promise.all(
		[1, 2].map(async () => {
			const { nodes } = await afterwards(story);
			return nodes.map(({ log, gossip }) => [log, gossip.members()]);
		}),
	);
	expect(runs[0]).toEqual(runs[1]);
});
