import { expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

/** Three machines on a switch, two of them managers of a swarm, by docker commands. */
async function swarm() {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("underlay");
	const host = (n: number) =>
		lab.host(`node${String(n)}`, {
			nics: { eth0: { address: `172.31.1.${String(4 + n)}/24`, attach: lan } },
		});
	const [node1, node2, node3] = [host(1), host(2), host(3)];
	const first = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	const address = "172.31.1.5:2377";
	const second = await node2.docker.swarm.join({ token: first.joinToken("manager"), address });
	await node3.docker.swarm.join({ token: first.joinToken("worker"), address });
	return { lab, node2, node3, first, second };
}

/** The columns of `docker node ls` that say who manages. */
const managers = (lines: readonly { hostname: string; managerStatus: string }[]): string[] =>
	lines.map(({ hostname, managerStatus }) => `${hostname} ${managerStatus}`.trimEnd());

test("docker node ls says on each manager who leads and who answers, as soon as they are managers", async () => {
	const { lab, node2, first, second } = await swarm();
	expect(managers(first.nodes.ls())).toEqual(["node1 Leader", "node2 Reachable", "node3"]);
	await lab.advance("2s");
	expect(managers(second.nodes.ls())).toEqual(["node1 Leader", "node2 Reachable", "node3"]);
	expect(first.nodes.inspect("node2").ManagerStatus).toEqual({
		Reachability: "reachable",
		Addr: "172.31.1.6:2377",
	});
	node2.crash();
	await lab.advance("10s");
	expect(managers(first.nodes.ls())).toContain("node2 Unreachable");
});

test("a manager is demoted before it is removed; its certificate is good no longer then", async () => {
	const { lab, node2, first } = await swarm();
	await lab.advance("2s");
	expect(() => first.nodes.rm("node2")).toThrow("It must be demoted to worker before removal");
	await first.nodes.demote("node2");
	await lab.advance("20s");
	expect(managers(first.nodes.ls())).toEqual(["node1 Leader", "node2", "node3"]);
	node2.crash();
	await lab.advance("30s");
	await first.nodes.rm("node2");
	expect(first.nodes.ls().map(({ hostname }) => hostname)).toEqual(["node1", "node3"]);
	node2.restart();
	await lab.advance("30s");
	expect(first.nodes.ls().map(({ hostname, status }) => `${hostname} ${status}`)).toEqual([
		"node1 Ready",
		"node3 Ready",
	]);
});
