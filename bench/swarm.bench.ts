import { Lab } from "../src/lab/index.ts";
import type { BuildCase } from "./runner.ts";

const PAIRS = 20;

interface Plan {
	readonly nodes: number;
	/** Tasks on each. */
	readonly tasks: number;
	/**
	 * `wire`: all tell all. `settle`: all hear at once, and gossip from then on for five virtual seconds. `silent`: all hear at
	 * once, and nobody says anything. `pairs`: only those two hear that are about to talk.
	 */
	readonly gossip: "wire" | "settle" | "silent" | "pairs";
}

/**
 * A swarm by docker's commands: each node joins by TLS over the wire, a service with a task for each container is placed by
 * the scheduler, and containers of pairs by chance ping each other.
 */
async function swarm({ nodes: count, tasks, gossip }: Plan): Promise<Lab> {
	const lab = new Lab({ seed: 1, maxPending: 4_000_000 });
	const lan = lab.switch("underlay");
	const address = (n: number): string => `172.31.${String((n + 5) >> 8)}.${String((n + 5) & 255)}`;
	const nodes = Array.from({ length: count }, (_, n) =>
		lab.host(`node${String(n)}`, { nics: { eth0: { address: `${address(n)}/16`, attach: lan } } }),
	);
	const [manager, ...workers] = nodes;
	if (manager === undefined) throw new Error("a swarm has a manager");
	// The ingress network of a thousand nodes does not fit in a /24.
	const { ready } = manager.docker.swarm.init({
		advertiseAddr: address(0),
		defaultAddrPool: ["10.0.0.0/10"],
		defaultAddrPoolMaskLength: 16,
	});
	const { services } = await ready;
	const join = {
		token: manager.docker.swarm.joinToken("worker"),
		address: `${address(0)}:2377`,
		gossip: gossip === "wire" ? "joins" : "waits",
	} as const;
	for (const { docker } of workers) await docker.swarm.join(join);
	await manager.docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
	await services.create({ name: "web", image: "web", network: "net", replicas: count * tasks }).converged();
	if (gossip === "settle") lab.settle(nodes);
	// What many tell at once gossip tells in part; the rest comes with the bulk syncs, every 30 seconds with one other node.
	await lab.advance(gossip === "wire" ? "70s" : "5s");
	if (gossip === "silent") lab.settle(nodes, { gossip: "waits" });
	const placed = nodes.flatMap((host) =>
		host.docker.containers
			.ls()
			.filter(({ name }) => name.startsWith("web."))
			.map(({ id }) => ({ host, container: host.docker.containers.get(id) })),
	);
	if (placed.length !== count * tasks) throw new Error(`${String(placed.length)} containers`);
	const rng = lab.world.rng.fork("pairs");
	for (let i = 0; i < PAIRS; i++) {
		const [from, to] = [placed[rng.below(placed.length)], placed[rng.below(placed.length)]];
		if (from === undefined || to === undefined) continue;
		if (gossip === "pairs") lab.settle([from.host, to.host]);
		const { received } = await from.container.ping(to.container.ip("net"), { count: 1 });
		if (received !== 1) throw new Error(`${to.container.name} is not reached from ${from.container.name}`);
	}
	return lab;
}

const of = (name: string, plan: Plan): BuildCase => ({
	name: `swarm of ${name} (per container)`,
	packets: plan.nodes * plan.tasks,
	build: () => swarm(plan),
});

const cases: readonly BuildCase[] = [
	of("50 nodes, 500 containers, gossip on the wire", { nodes: 50, tasks: 10, gossip: "wire" }),
	of("50 nodes, 500 containers, settled", { nodes: 50, tasks: 10, gossip: "settle" }),
	of("100 nodes, 1,000 containers, settled", { nodes: 100, tasks: 10, gossip: "settle" }),
	of("100 nodes, 1,000 containers, pairs settled", { nodes: 100, tasks: 10, gossip: "pairs" }),
	of("100 nodes, 1,000 containers, settled, silent", { nodes: 100, tasks: 10, gossip: "silent" }),
	of("1,000 nodes, 1,000 containers, settled, silent", { nodes: 1000, tasks: 1, gossip: "silent" }),
	of("1,000 nodes, 10,000 containers, settled, silent", { nodes: 1000, tasks: 10, gossip: "silent" }),
	of("1,000 nodes, 10,000 containers, pairs settled", { nodes: 1000, tasks: 10, gossip: "pairs" }),
];
export default cases;
