import { gossipSights } from "vethwork/observe";
import { threeNodes } from "./nodes.ts";
import type { Blocks } from "./page.ts";

/** docs/gossip.md: what a node says when a container, then a task of a service comes to it. */
export default async function gossip(): Promise<Blocks> {
	const { lab, node1, node2, swarm } = await threeNodes();
	await node1.docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
	await node1.docker.run({ name: "c1", network: "net" }).ready;
	await lab.advance("10s");
	const keys = swarm.keys.filter(({ subsystem }) => subsystem === "networking:gossip").map(({ key }) => key);
	/** What node2 sends while something happens, and two seconds on; what was said before is left out. */
	const says = async (happens: () => Promise<unknown>): Promise<string> => {
		const capture = lab.capture("node2:eth0");
		const began = lab.now;
		await happens();
		await lab.advance("2s");
		capture.stop();
		const heard = new Set<string>();
		return gossipSights(capture, "node2:eth0", keys)
			.filter(({ from }) => from === "172.31.1.6")
			.flatMap(({ time, to, octets, messages }) => {
				const lines = messages.filter((line) => !/^(ping|ack)/.test(line) && !heard.has(line));
				for (const line of lines) heard.add(line);
				if (lines.length === 0) return [];
				const at = ((time - began) / 1e9).toFixed(3);
				return [`${at} s to ${to}, ${String(octets)} octets`, ...lines.map((line) => `    ${line}`)];
			})
			.join("\n");
	};
	const probes = lab.capture("node2:eth0");
	await lab.advance("2s");
	const quiet = gossipSights(probes, "node2:eth0", keys).map(
		({ from, to, octets, messages }) =>
			`${from} > ${to}, ${String(octets).padStart(3)} octets: ${messages.join("; ")}`,
	);
	return {
		quiet: quiet.join("\n"),
		container: await says(() => Promise.resolve(node2.docker.run({ name: "c2", network: "net" }).ready)),
		service: await says(async () => {
			const constraints = ["node.hostname==node2"];
			const options = { name: "web", image: "box", network: "net", constraints };
			await swarm.services.create(options).converged();
		}),
		stop: await says(() => Promise.resolve(swarm.services.scale("web", 0).ready)),
	};
}
