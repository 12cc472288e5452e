import { type Host, Lab, type Netns } from "../src/lab/index.ts";
import type { BenchCase } from "./runner.ts";

const BURST = 64;
const BURSTS = 100;
const PAYLOAD = new Uint8Array(56);
const PORT = 80;
const PUBLISHED = 8080;

/** Three nodes, built by nothing but docker's commands, and a client beside them. */
async function cluster(): Promise<{
	readonly lab: Lab;
	readonly nodes: readonly Host[];
	readonly client: Host;
}> {
	const lab = new Lab({ seed: 1, maxPending: 4_000_000 });
	const lan = lab.switch("underlay");
	const machine = (name: string, address: string): Host =>
		lab.host(name, { nics: { eth0: { address: `${address}/24`, attach: lan } } });
	const nodes = [5, 6, 7].map((n) => machine(`node${String(n - 4)}`, `172.31.1.${String(n)}`));
	const client = machine("client", "172.31.1.1");
	const [manager, ...workers] = nodes;
	if (manager === undefined) throw new Error("a cluster has a manager");
	const swarm = await manager.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	for (const { docker } of workers)
		await docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });
	return { lab, nodes, client };
}

/** Counts what comes to a port, and answers the first, as a flow's far side does: bridges on the way back learn it. */
function sink(ns: Netns, port: number): { arrived: number } {
	const count = { arrived: 0 };
	const socket = ns.udp({ port });
	socket.handler = (_frame, _at, octets, source, sourcePort) => {
		if (octets !== PAYLOAD.length) return;
		if (count.arrived++ === 0) socket.send(PAYLOAD, { address: source, port: sourcePort });
	};
	return count;
}

/** Bursts on one flow. */
function stream(
	lab: Lab,
	from: Netns,
	address: string,
	port: number,
	count: { readonly arrived: number },
): () => void {
	const socket = from.udp();
	socket.connect(address, port);
	const { scheduler } = lab.world;
	const burst = (): void => {
		for (let i = 0; i < BURST; i++) socket.send(PAYLOAD);
		scheduler.runUntil(scheduler.now + 1_000_000);
	};
	// One datagram alone makes the flow's entries, and finds who is where.
	socket.send(PAYLOAD);
	scheduler.runUntil(scheduler.now + 100_000_000);
	for (let i = 0; i < 4; i++) burst();
	return () => {
		const before = count.arrived;
		for (let i = 0; i < BURSTS; i++) burst();
		const came = count.arrived - before;
		if (came !== BURST * BURSTS) throw new Error(`${String(came)} of ${String(BURST * BURSTS)} arrived`);
	};
}

/** A datagram to a published port of a node without a task: each hop of the mesh. */
async function ingress(): Promise<() => void> {
	const { lab, nodes, client } = await cluster();
	const [manager] = nodes;
	let count = { arrived: 0 };
	lab.image("sink", ({ netns }) => {
		count = sink(netns, PORT);
	});
	const service = manager?.docker.swarm.services.create({
		name: "sink",
		image: "sink",
		replicas: 1,
		constraints: ["node.hostname==node2"],
		publish: [`${String(PUBLISHED)}:${String(PORT)}/udp`],
	});
	await service?.converged();
	await lab.advance("2s");
	return stream(lab, client.netns, "172.31.1.7", PUBLISHED, count);
}

/** Containers of two nodes on an overlay that the engines made: Docker's rules, bridge filters and namespaces about it. */
async function overlay(): Promise<() => void> {
	const { lab, nodes } = await cluster();
	const [first, second] = nodes;
	if (first === undefined || second === undefined) throw new Error("a cluster has nodes");
	await first.docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
	const from = await first.docker.run({ name: "from", network: "net" }).ready;
	const to = await second.docker.run({ name: "to", network: "net" }).ready;
	await lab.advance("2s");
	return stream(lab, from.netns, to.ip(), 4000, sink(to.netns, 4000));
}

const PACKETS = BURST * BURSTS;

const cases: readonly BenchCase[] = [
	{ name: "UDP through the ingress mesh, known flow", packets: PACKETS, prepare: ingress },
	{ name: "UDP over an overlay that three engines made", packets: PACKETS, prepare: overlay },
];
export default cases;
