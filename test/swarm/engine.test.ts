import { describe, expect, test } from "vitest";
import { type Host, Lab, NetError } from "../../src/index.ts";

/** Hosts on one LAN, 172.31.1.5 and on. */
function machines(count: number) {
	const lab = new Lab({ seed: 1 });
	const attach = lab.switch("lan");
	const hosts = Array.from({ length: count }, (_, i) =>
		lab.host(`node${String(i + 1)}`, {
			nics: { eth0: { address: `172.31.1.${String(5 + i)}/24`, attach } },
		}),
	);
	return { lab, hosts };
}

/** A swarm whose first node is its manager. */
async function swarmOf(count: number) {
	const { lab, hosts } = machines(count);
	const [first, second = first, ...others] = hosts as [Host, ...Host[]];
	const swarm = await first.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	for (const { docker } of hosts.slice(1))
		await docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5" });
	return { lab, hosts: [first, second, ...others] as const, swarm };
}

const refusal = (error: unknown): string => (error instanceof NetError ? error.message : String(error));

describe("docker swarm on engines", () => {
	test("a node knows what it is, and a manager what all are", async () => {
		const { hosts, swarm } = await swarmOf(3);
		expect(swarm.info()).toMatchObject({ localNodeState: "active", controlAvailable: true });
		expect(hosts[1].docker.swarm.info()).toMatchObject({ localNodeState: "active", controlAvailable: false });
		expect(
			swarm.nodes.ls().map((each) => [each.hostname, each.status, each.availability, each.managerStatus]),
		).toEqual([
			["node1", "Ready", "Active", "Leader"],
			["node2", "Ready", "Active", ""],
			["node3", "Ready", "Active", ""],
		]);
	});

	test("a wrong token, and a second swarm, are refused in the daemon's words", async () => {
		const { hosts, swarm } = await swarmOf(1);
		expect(() => hosts[0].docker.swarm.init()).toThrow(
			'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
		);
		const { hosts: others } = machines(1);
		expect(() => others[0]?.docker.swarm.services).toThrow("This node is not a swarm manager.");
		const wrong = swarm.joinToken("worker").replace(/.{25}$/, "0".repeat(25));
		expect(wrong).toMatch(/^SWMTKN-1-[0-9a-z]{50}-0{25}$/);
	});

	test("a secret that is none of the cluster's does not let a node in", async () => {
		const { hosts, lab } = machines(2);
		const [first, second] = hosts as [Host, Host];
		const swarm = await first.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
		const token = swarm.joinToken("worker").replace(/.{25}$/, "0".repeat(25));
		const said = await second.docker.swarm.join({ token, address: "172.31.1.5:2377" }).catch(refusal);
		expect(said).toContain("A valid join token is necessary to join this cluster");
		expect(second.docker.swarm.info().localNodeState).not.toBe("active");
		await lab.advance("1s");
		expect(swarm.nodes.ls()).toHaveLength(1);
	});

	test("a data path port is every node's: overlays use it", async () => {
		const { hosts, lab } = machines(2);
		const [first, second] = hosts as [Host, Host];
		const swarm = await first.docker.swarm.init({ advertiseAddr: "172.31.1.5", dataPathPort: 7789 }).ready;
		await second.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5" });
		await first.docker.networks.create("app", { driver: "overlay", attachable: true }).ready;
		const c1 = await first.docker.run({ name: "c1", network: "app" }).ready;
		await second.docker.run({ name: "c2", network: "app" }).ready;
		await lab.advance("1s");
		const capture = lab.capture("node1:eth0");
		expect((await c1.ping("c2", { count: 1 })).received).toBe(1);
		expect(capture.toPcapng()).toBeInstanceOf(Uint8Array);
		const ports = new Set(
			capture
				.sightings("node1:eth0")
				.map(({ data }) => (data[23] === 17 ? (data[36] ?? 0) * 256 + (data[37] ?? 0) : 0)),
		);
		expect(ports).toContain(7789);
		expect(ports).not.toContain(4789);
	});

	test("a node that loses power is down, its tasks run elsewhere, and back it is a node again", async () => {
		const { lab, hosts, swarm } = await swarmOf(3);
		const web = swarm.services.create({
			name: "web",
			image: "box",
			replicas: 2,
			constraints: ["node.role==worker"],
		});
		await web.converged();
		const running = (): string[] =>
			web
				.ps()
				.filter(({ currentState }) => currentState.startsWith("Running"))
				.map(({ node }) => node)
				.sort();
		expect(running()).toEqual(["node2", "node3"]);
		hosts[1].crash();
		await lab.advance("40s");
		expect(swarm.nodes.ls().map(({ status }) => status)).toEqual(["Ready", "Down", "Ready"]);
		expect(running().filter((node) => node === "node3")).toHaveLength(2);
		hosts[1].restart();
		await lab.advance("20s");
		expect(swarm.nodes.ls().map(({ status }) => status)).toEqual(["Ready", "Ready", "Ready"]);
		expect(hosts[1].docker.containers.ls()).toEqual([]);
	});

	test("a manager alone that loses power leads its cluster again when it is back", async () => {
		const { lab, hosts, swarm } = await swarmOf(2);
		await swarm.services
			.create({ name: "web", image: "box", replicas: 1, constraints: ["node.hostname==node2"] })
			.converged();
		hosts[0].crash();
		await lab.advance("30s");
		expect(hosts[1].docker.containers.ls()).toHaveLength(1);
		hosts[0].restart();
		await lab.advance("60s");
		const { swarm: again } = hosts[0].docker;
		expect(again.nodes.ls().map(({ status }) => status)).toEqual(["Ready", "Ready"]);
		expect(again.services.ls().map(({ name, replicas }) => [name, replicas])).toEqual([["web", "1/1"]]);
	});

	test("a worker that leaves has none of the cluster's networks any more", async () => {
		const { lab, hosts, swarm } = await swarmOf(2);
		// The ingress network comes when the node's gossip knows the others.
		await lab.advance("10s");
		const before = hosts[1].netns.iptablesTool.save();
		expect(before).toContain("docker_gwbridge");
		hosts[1].docker.swarm.leave();
		await lab.advance("30s");
		expect(hosts[1].docker.networks.ls().map(({ name }) => name)).not.toContain("ingress");
		expect(swarm.nodes.ls().map(({ status }) => status)).toEqual(["Ready", "Down"]);
		await swarm.nodes.rm("node2");
		expect(swarm.nodes.ls()).toHaveLength(1);
		await hosts[1].docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5" });
		expect(swarm.nodes.ls().map(({ status }) => status)).toEqual(["Ready", "Ready"]);
	});
});
