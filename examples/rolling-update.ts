/**
 * A rolling update under load: a request each second through a node without replica while `web:1` becomes `web:2`. A task that is to
 * go gets no new requests, and two seconds for those that it has: the quick ones are answered, a slow one is cut off.
 */
import { createServer } from "node:http";
import { Lab } from "vethwork";
import { curl, serve } from "vethwork/node";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function rollingUpdate({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const underlay = lab.switch("underlay");
	const machine = (name: string, address: string) =>
		lab.host(name, { nics: { eth0: { address, attach: underlay } } });
	const node1 = machine("node1", "172.31.1.5/24");
	const node2 = machine("node2", "172.31.1.6/24");
	const node3 = machine("node3", "172.31.1.7/24");
	const client = machine("client", "172.31.1.1/24");
	for (const image of ["web:1", "web:2"])
		lab.image(image, ({ netns, name }) => {
			const server = createServer((request, response) => {
				const work = request.url === "/slow" ? "8s" : "500ms";
				void lab.advance(work).then(() => response.end(`${image} in ${name.split(".", 2).join(".")}`));
			});
			serve(netns, 80, server);
		});
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	for (const node of [node2, node3])
		await node.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });
	const constraints = ["node.hostname!=node3"];
	const options = { name: "web", image: "web:1", replicas: 2, constraints, publish: ["8080:80"] };
	const web = swarm.services.create(options);
	await web.converged();

	const capture = lab.capture("client:eth0");
	const began = lab.now;
	const seconds = (): string => ((lab.now - began) / 1e9).toFixed(1).padStart(5);
	const ask = async (path: string): Promise<string> => {
		const asked = seconds();
		const failed = (error: unknown): string => `failed: ${String(error)}`;
		const answer = await curl(client, `http://172.31.1.7:8080${path}`).catch(failed);
		return `${asked} s  ${path.padEnd(6)} ${seconds()} s  ${answer}`;
	};
	const requests: Promise<string>[] = [];
	const update = web.update({ image: "web:2" });
	for (let i = 0; i < 20; i++) {
		requests.push(ask("/"));
		if (i === 0) requests.push(ask("/slow"), ask("/slow"));
		await lab.advance("1s");
	}
	print(`asked    path   answered\n${(await Promise.all(requests)).join("\n")}\n`);
	await update.converged();
	print(`node1# docker service ps web\n${web.ps().text()}`);
	save(capture);
}
