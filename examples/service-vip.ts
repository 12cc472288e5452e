/**
 * A service behind one virtual IP: its name, `tasks.NAME`, and who answers in turns; then the same with endpoint mode dnsrr, which
 * has no virtual IP. The hop table shows where the address of the service becomes that of a task.
 */
import { createServer } from "node:http";
import { Lab } from "vethwork";
import { curl, serve } from "vethwork/node";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function serviceVip({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const underlay = lab.switch("underlay");
	const [node1, node2, node3] = [1, 2, 3].map((n) => {
		const nic = { address: `172.31.1.${String(4 + n)}/24`, attach: underlay };
		return lab.host(`node${String(n)}`, { nics: { eth0: nic } });
	});
	if (node1 === undefined || node2 === undefined || node3 === undefined) return;
	lab.image("box", ({ netns, name }) => {
		const server = createServer((_, response) => response.end(name.split(".", 2).join(".")));
		serve(netns, 80, server);
	});
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	for (const node of [node2, node3])
		await node.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });
	await node1.docker.networks.create("svc-net", { driver: "overlay", attachable: true }).ready;

	const common = { image: "box", replicas: 3, network: "svc-net" };
	await swarm.services.create({ ...common, name: "svc" }).converged();
	await swarm.services.create({ ...common, name: "rr", endpointMode: "dnsrr" }).converged();
	print(`node1# docker service ls\n${swarm.services.ls().text()}\n`);
	print(`node1# docker service ps svc rr\n${swarm.services.ps("svc", "rr").text()}\n`);

	const q1 = await node1.docker.run({ name: "q1", network: "svc-net" }).ready;
	await lab.advance("1s");
	for (const name of ["svc", "tasks.svc", "rr"])
		print(`${name.padEnd(10)}${(await q1.resolve(name)).addresses.join(" ")}`);
	for (const name of ["svc", "rr"]) {
		const answers: string[] = [];
		for (let i = 0; i < 6; i++) answers.push(await curl(q1, `http://${name}/`));
		print(`6 GETs of http://${name}/ from q1: ${answers.join(" ")}`);
	}

	const capture = lab.capture();
	const answer = await curl(q1, "http://svc/");
	const syn = findPacket(capture, { "tcp.flags": "SYN" }) ?? 0;
	print(`\nThe first packet to ${answer}, hop by hop:\n${hopTable(trace(capture, syn))}`);
	const balancer = [...node1.namespaces.values()].find(({ name }) => name.startsWith("node1/lb_"));
	print(`\nIn lb_… of node1:\n# ipvsadm -Ln\n${balancer?.ipvsadm("-Ln") ?? ""}`);
	save(capture);
}
