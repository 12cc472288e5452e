import { Lab } from "../src/lab/index.ts";
import type { BenchCase } from "./runner.ts";

const CONTAINERS = 1000;

/** `docker run` so often on one bridge network. One packet is one container. */
function runContainers(): void {
	const lab = new Lab({ seed: 1 });
	const { docker } = lab.host("node", { nics: { eth0: { address: "192.0.2.1/24" } } });
	docker.networks.create("net");
	for (let i = 0; i < CONTAINERS; i++) docker.run({ name: `c${String(i)}`, network: "net" });
}

const cases: readonly BenchCase[] = [
	{
		name: "docker run 1,000 containers on one bridge network (per container)",
		packets: CONTAINERS,
		prepare: () => runContainers,
	},
];
export default cases;
