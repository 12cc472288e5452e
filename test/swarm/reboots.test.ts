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

// Their former names are alive to node1 still: each hears of the other's new one first, of the former one after it, or the
// other way round, as chance has it.
test.each([1, 2, 3, 768])(
	"two nodes that boot at once, before anybody missed them, know each other's endpoints, and node1 knows both (seed %i)",
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
		expect(hosts.map(others)).toEqual(before);
	},
);
