import { describe, expect, test } from "vitest";
import { type Container, Lab, type NetError, type Netns } from "../../src/index.ts";

function engine(options: { readonly icc?: boolean } = {}) {
	const lab = new Lab({ seed: 1 });
	const { docker, netns } = lab.host("node", { docker: options });
	const rules = (): string[] =>
		netns.iptablesTool
			.save()
			.split("\n")
			.filter((line) => line.startsWith("-A DOCKER -s"));
	return { lab, docker, rules };
}

const hosts = ({ netns }: Container<Netns>): string[] | undefined =>
	netns.files.get("/etc/hosts")?.split("\n").slice(6, -1);

describe("--link on docker0", () => {
	test("is a line of /etc/hosts, as recorded: alias, the other's host name, its name", () => {
		const { docker } = engine();
		docker.run({ name: "d1", hostname: "d1" });
		const db = docker.run({ name: "db" });
		const c = docker.run({ name: "c1", links: ["d1:mylink", "db"], addHost: ["x:203.0.113.1"] });
		expect(hosts(c)).toEqual([
			"203.0.113.1\tx",
			"172.17.0.2\tmylink d1 d1",
			`172.17.0.3\tdb ${db.shortId}`,
			`172.17.0.4\t${c.shortId}`,
		]);
		expect(docker.containers.inspect(c).HostConfig.Links).toEqual(["/d1:/c1/mylink", "/db:/c1/db"]);
	});

	test("is reached by its alias, and by its new address when it starts anew", async () => {
		const { docker } = engine();
		docker.run({ name: "d1" });
		const c = docker.run({ name: "c1", links: ["d1:mylink"] });
		expect((await c.ping("mylink", { count: 1 })).received).toBe(1);
		docker.stop("d1");
		docker.run({ name: "other" });
		expect(hosts(c)?.[0]).toContain("172.17.0.2\tmylink");
		docker.start("d1");
		expect(hosts(c)?.[0]).toContain("172.17.0.4\tmylink");
		expect((await c.ping("mylink", { count: 1 })).received).toBe(1);
		docker.rm("d1", { force: true });
		docker.restart(c);
		expect(hosts(c)).toHaveLength(1);
	});

	test("opens the exposed ports, where containers are kept apart, to the one that is linked", async () => {
		const { docker, rules } = engine({ icc: false });
		const web = docker.run({ name: "web", expose: ["80"], publish: ["127.0.0.1:9000:90"] });
		for (const port of [80, 90, 99]) web.netns.tcp.listen({ port });
		const linked = docker.run({ name: "c1", links: ["web"] });
		const other = docker.run({ name: "c2" });
		expect(rules().sort()).toEqual([
			"-A DOCKER -s 172.17.0.2/32 -d 172.17.0.3/32 -i docker0 -o docker0 -p tcp -m tcp --sport 80 -j ACCEPT",
			"-A DOCKER -s 172.17.0.2/32 -d 172.17.0.3/32 -i docker0 -o docker0 -p tcp -m tcp --sport 90 -j ACCEPT",
			"-A DOCKER -s 172.17.0.3/32 -d 172.17.0.2/32 -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
			"-A DOCKER -s 172.17.0.3/32 -d 172.17.0.2/32 -i docker0 -o docker0 -p tcp -m tcp --dport 90 -j ACCEPT",
		]);
		const reach = async ({ netns }: typeof other, port: number): Promise<string> => {
			try {
				return (await netns.connect({ hostname: "172.17.0.2", port })).socket.state;
			} catch (error) {
				return (error as NetError).code;
			}
		};
		expect([await reach(linked, 80), await reach(linked, 90)]).toEqual(["established", "established"]);
		expect([await reach(linked, 99), await reach(other, 80)]).toEqual(["ETIMEDOUT", "ETIMEDOUT"]);
		docker.rm(linked, { force: true });
		docker.controller.settle();
		expect(rules()).toEqual([]);
	});

	test("needs no rules where all may speak to all", () => {
		const { docker, rules } = engine();
		docker.run({ name: "web", expose: ["80"] });
		docker.run({ links: ["web"] });
		expect(rules()).toEqual([]);
	});

	test("is refused to one that does not run or is not there, and nothing is left", () => {
		const { docker } = engine();
		docker.networks.create("red");
		docker.run({ name: "far", network: "red" });
		docker.run({ name: "host1", network: "host" });
		docker.create({ name: "idle" });
		const run = (link: string) => () => docker.run({ name: "c1", links: [link] });
		expect(run("idle:x")).toThrow(
			"Error response from daemon: Cannot link to a non running container: /idle AS /c1/x",
		);
		expect(run("far")).toThrow(
			"Error response from daemon: Cannot link to /far, as it does not belong to the default network",
		);
		expect(run("host1")).toThrow(
			"conflicting options: host type networking can't be used with links. This would result in undefined behavior",
		);
		expect(docker.containers.ls({ all: true }).map(({ name }) => name)).toEqual(["idle", "host1", "far"]);
		expect(docker.run({ name: "next" }).ip()).toBe("172.17.0.2");
	});
});

test("--link on a user's network is a name alone, and may name somebody who comes later", async () => {
	const { docker } = engine();
	docker.networks.create("red");
	const c = docker.run({ name: "c1", network: "red", links: ["later:db"] });
	await expect(c.resolve("db")).rejects.toThrow();
	docker.run({ name: "later", network: "red" });
	expect((await c.resolve("db")).addresses).toEqual(["172.18.0.3"]);
	expect(docker.containers.inspect(c).HostConfig.Links).toBeNull();
	expect(docker.containers.inspect(c).NetworkSettings.Networks["red"]?.Links).toEqual(["later:db"]);
});

test("a container that has stopped still says which sandbox it had", () => {
	const { docker } = engine();
	docker.create({ name: "c1" });
	expect(docker.containers.inspect("c1").NetworkSettings).toMatchObject({ SandboxID: "", SandboxKey: "" });
	docker.start("c1");
	const { SandboxID, SandboxKey } = docker.containers.inspect("c1").NetworkSettings;
	expect(SandboxKey).toBe(`/var/run/docker/netns/${SandboxID.slice(0, 12)}`);
	docker.stop("c1");
	expect(docker.containers.inspect("c1").NetworkSettings).toMatchObject({
		SandboxID,
		SandboxKey,
		Ports: {},
		EndpointID: "",
		IPAddress: "",
	});
});
