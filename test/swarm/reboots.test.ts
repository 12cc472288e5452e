import { expect, test } from "vitest";
import type { Host } from "../../src/index.ts";
import { dockerSwarm, node } from "../support/docker-swarm.ts";

/** Addresses on ingress that a node has as permanent neighbours: where the others' load balancers are. */
const others = ({ namespaces }: Host): string[] =>
	[...namespaces]
		.filter(([name]) => name.startsWith("1-"))
		.flatMap(([, ns]) => ns.neigh.show())
		.filter(({ state }) => state.toLowerCase() === "permanent")
		.map(({ address }) => address)
		.toSorted();

// A node's former name is alive to node1 still: who hears of it after the new one takes the new one for the former incarnation,
// and left (purgeReincarnation); its join events are a node's that memberlist does not know (handleNodeEvent). "node … is unknown
// to memberlist" is what daemons of 20.10 say then.
test.each([2, 3, 768])(
	"two nodes that boot at once, before anybody missed them, may not find each other; when one boots again later all do (seed %i)",
	async (seed) => {
		const made = await dockerSwarm({ seed });
		const { lab, hosts } = made;
		await lab.advance("10s");
		const before = hosts.map(others);
		expect(before.map(({ length }) => length)).toEqual([2, 2, 2]);
		for (const number of [2, 3]) node(made, number).crash();
		await lab.advance("200ms");
		for (const number of [2, 3]) node(made, number).restart();
		await lab.advance("120s");
		expect(hosts.map(others).map(({ length }) => length)).toEqual([2, 2, 1]);
		node(made, 3).crash();
		await lab.advance("20s");
		node(made, 3).restart();
		await lab.advance("60s");
		expect(hosts.map(others)).toEqual(before);
	},
);

test("two nodes that boot at once when everybody has missed them find each other, and node1 finds both", async () => {
	const made = await dockerSwarm({ seed: 2 });
	const { lab, hosts } = made;
	await lab.advance("10s");
	const before = hosts.map(others);
	for (const number of [2, 3]) node(made, number).crash();
	await lab.advance("20s");
	for (const number of [2, 3]) node(made, number).restart();
	await lab.advance("60s");
	expect(hosts.map(others)).toEqual(before);
});
