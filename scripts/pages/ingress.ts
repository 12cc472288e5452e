import type { Netns } from "vethwork";
import { curl } from "vethwork/node";
import { findPacket, hopTable, trace } from "vethwork/observe";
import { threeNodes } from "./nodes.ts";
import type { Blocks } from "./page.ts";

/** Rules of a namespace that a packet met, with their counters: not policies, and no jumps. */
const met = (ns: Netns): string[] =>
	ns.iptablesTool
		.save({ counters: true })
		.split("\n")
		.filter((line) => /^\[[1-9]/.test(line) && !/-j (DOCKER|RETURN)/.test(line))
		.map((line) => line.replace(/^\[\d+:\d+\] -A /, ""));

/** docs/ingress.md: a request from outside to the node without a task, and all that was seen of it. */
export default async function ingress(): Promise<Blocks> {
	const { lab, node1, node3, client, swarm } = await threeNodes();
	const constraints = ["node.hostname!=node3"];
	const options = { name: "web", image: "box", replicas: 2, constraints, publish: ["8080:80"] };
	const web = swarm.services.create(options);
	await web.converged();
	// The switch and the neighbours know each other, and it is the turn of the task on node1.
	for (let i = 0; i < 2; i++) await curl(client, "http://172.31.1.7:8080/");
	await lab.advance("1s");
	const capture = lab.capture();
	const answer = await curl(client, "http://172.31.1.7:8080/");
	const way = (flags: string): string =>
		hopTable(trace(capture, findPacket(capture, { "tcp.flags": flags }) ?? 0));
	const sandbox = node3.namespaces.get("ingress_sbox");
	const task = [...node1.namespaces].find(([name]) => name.startsWith("web."));
	if (sandbox === undefined || task === undefined) throw new Error("the swarm is another one");
	const rules = [
		["node3", node3.netns],
		["node3/ingress_sbox", sandbox],
		[`node1/${task[0].slice(0, 5)}`, task[1]],
	] as const;
	return {
		service: web.ps().text(),
		request: way("SYN"),
		reply: way("SYN ACK"),
		rules: rules.flatMap(([name, ns]) => met(ns).map((rule) => `${name}: ${rule}`)).join("\n"),
		table: sandbox.ipvsadm("-Ln"),
		answer,
	};
}
