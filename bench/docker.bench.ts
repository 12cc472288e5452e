import type { UdpSocket } from "../src/stack/index.ts";
import { Lab } from "../src/lab/index.ts";
import { dns } from "../src/wire/index.ts";
import type { BenchCase } from "./runner.ts";

const CONTAINERS = 1000;
const QUESTIONS = 1000;

/** `docker run` so often on one bridge network. One packet is one container. */
function runContainers(): void {
	const lab = new Lab({ seed: 1 });
	const { docker } = lab.host("node", { nics: { eth0: { address: "192.0.2.1/24" } } });
	docker.networks.create("net");
	for (let i = 0; i < CONTAINERS; i++) docker.run({ name: `c${String(i)}`, network: "net" });
}

/** A container asks 127.0.0.11 for another one of as many. One packet is one question and its answer. */
function askNames(count: number): () => void {
	const lab = new Lab({ seed: 1 });
	const { docker } = lab.host("node", { nics: { eth0: { address: "192.0.2.1/24" } } });
	docker.networks.create("net");
	const asker = docker.run({ name: "asker", network: "net" }).netns;
	for (let i = 0; i < count; i++) docker.run({ name: `c${String(i)}`, network: "net" });
	const { scheduler } = lab.world;
	const socket: UdpSocket = asker.udp();
	socket.connect("127.0.0.11", dns.PORT);
	let answers = 0;
	socket.handler = () => answers++;
	const question = dns.write({
		id: 7,
		flags: dns.FLAG.RD,
		questions: [{ name: `c${String(count - 1)}.`, type: dns.TYPE.A, class: dns.CLASS_IN }],
		answers: [],
		authorities: [],
		additional: [],
	});
	return () => {
		const before = answers;
		for (let i = 0; i < QUESTIONS; i++) {
			socket.send(question);
			scheduler.runUntil(scheduler.now + 100_000);
		}
		if (answers - before !== QUESTIONS) throw new Error(`${String(answers - before)} answers`);
	};
}

const cases: readonly BenchCase[] = [
	{
		name: "docker run 1,000 containers on one bridge network (per container)",
		packets: CONTAINERS,
		prepare: () => runContainers,
	},
	{
		name: "a name asked of 127.0.0.11 and answered, 10 containers",
		packets: QUESTIONS,
		prepare: () => askNames(10),
	},
	{
		name: "a name asked of 127.0.0.11 and answered, 1,000 containers",
		packets: QUESTIONS,
		prepare: () => askNames(1000),
	},
];
export default cases;
