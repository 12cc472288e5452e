/**
 * An overlay created with `-o encrypted`: between the nodes its packets are ESP. The keys that Wireshark needs to open them are
 * printed as its `esp_sa` file; the capture shows the cables alone, as somebody between the nodes would see them.
 */
import { espSa, Lab } from "vethwork";
import { describe } from "vethwork/wire";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function overlayEncrypted({ print, save, write }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const underlay = lab.switch("underlay");
	const machine = (name: string, address: string) =>
		lab.host(name, { nics: { eth0: { address, attach: underlay } } });
	const node1 = machine("node1", "172.31.1.5/24");
	const node2 = machine("node2", "172.31.1.6/24");
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	await node2.docker.swarm.join({ token: swarm.joinToken("worker"), address: "172.31.1.5:2377" });

	const options = { driver: "overlay", attachable: true, options: { encrypted: "" } };
	await node1.docker.networks.create("secure-net", options).ready;
	const c1 = await node1.docker.run({ name: "c1", network: "secure-net" }).ready;
	await node2.docker.run({ name: "c2", network: "secure-net" }).ready;
	await lab.advance("1s");

	const capture = lab.capture("node?:eth0");
	const result = await c1.ping("c2", { count: 2 });
	print(`${result.text()}\n`);
	print("What node1's cable saw of it:");
	const frames = capture.sightings("node1:eth0").map(({ data }) => describe(data));
	for (const line of frames.filter((each) => each.includes("ESP"))) print(line);

	const rules = (["mangle", "filter"] as const).map((table) => node1.netns.iptablesTool.save({ table }));
	print("\nThe rules that mark what is to be encrypted, and drop what comes in clear:");
	for (const line of rules.join("").split("\n")) if (line.includes("--dport 4789")) print(line);
	print(
		"\nWireshark opens them with this file as esp_sa of its profile (or tshark -o 'uat:esp_sa:LINE' for each line):",
	);
	print(espSa(node1.netns).trimEnd());
	write("esp_sa", espSa(node1.netns));
	save(capture);
}
