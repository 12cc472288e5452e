import { describe, expect, test } from "vitest";
import { formatIp4 } from "../../src/addr/index.ts";
import { curl } from "../../src/node/index.ts";
import { dockerSwarm, node, task, webImage } from "../support/docker-swarm.ts";

/** Two nodes with the image `web`, and an overlay. */
async function prepared(seed: number) {
	const made = await dockerSwarm({ seed, count: 2 });
	webImage(made.lab);
	await node(made, 1).docker.networks.create("net", { driver: "overlay" }).ready;
	await made.lab.advance("2s");
	return made;
}

describe("a port of mode host", () => {
	test("of a task on an overlay leads by docker_gwbridge: the task is not on docker0 besides", async () => {
		const made = await prepared(61);
		const { swarm, outside } = made;
		const publish = ["published=9000,target=80,mode=host"];
		await swarm.services
			.create({ name: "web", image: "web", mode: "global", network: "net", publish })
			.converged();
		const host = node(made, 2);
		const own = task(host, "web");
		const addresses = own.netns.inDevices.flatMap((each) =>
			each.addresses.map(({ prefix }) => formatIp4(prefix.address)),
		);
		expect(addresses).toEqual(["127.0.0.1", "10.0.1.4", "172.18.0.3"]);
		expect(Object.keys(host.docker.containers.inspect(own).NetworkSettings.Networks)).toEqual(["net"]);
		expect(host.netns.iptablesTool.save()).toContain(
			"-A DOCKER ! -i docker_gwbridge -p tcp -m tcp --dport 9000 -j DNAT --to-destination 172.18.0.3:80",
		);
		expect(await curl(outside, "http://172.31.1.6:9000/")).toBe(own.hostname);
	});
});
