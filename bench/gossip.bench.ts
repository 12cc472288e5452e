import { Lab } from "../src/lab/index.ts";
import { Gossip } from "../src/swarm/index.ts";
import type { BenchCase } from "./runner.ts";

const SECOND = 1e9;

/** A cluster of nodes that know each other, MAC addresses too, at rest. One packet is one node in one virtual second. */
function secondsOf(nodes: number): () => void {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const address = (i: number): string => `10.0.${String(i >> 8)}.${String(i & 255)}`;
	const hosts = Array.from({ length: nodes }, (_, i) =>
		lab.host(`n${String(i)}`, { nics: { eth0: { address: `${address(i + 1)}/16`, attach: lan } } }),
	);
	const macs = hosts.map(({ netns }) => netns.device("eth0").mac);
	const gossips = hosts.map(({ name, netns, rng }, i) => {
		for (const [j, lladdr] of macs.entries())
			if (j !== i) netns.neigh.add(address(j + 1), { dev: "eth0", lladdr });
		return new Gossip({
			ns: netns,
			advertise: address(i + 1),
			hostname: name,
			rng: rng.fork("gossip"),
			keys: [new Uint8Array(16).fill(1)],
		});
	});
	const { scheduler } = lab.world;
	for (const gossip of gossips) {
		gossip.start();
		scheduler.runUntil(scheduler.now + SECOND / nodes);
	}
	Gossip.settle(gossips, { silent: false });
	// Until each has told often enough that it is there.
	scheduler.runUntil(scheduler.now + 10 * SECOND);
	return () => {
		scheduler.runUntil(scheduler.now + SECOND);
	};
}

const cases: readonly BenchCase[] = [100, 1000].map((nodes) => ({
	name: `gossip of ${String(nodes)} nodes at rest, with push/pulls (per node and virtual second)`,
	packets: nodes,
	prepare: () => secondsOf(nodes),
}));
export default cases;
