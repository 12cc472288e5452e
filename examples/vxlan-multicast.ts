/**
 * An overlay without a control plane: VTEPs meet in a multicast group. What nobody knows yet goes to the group, what was
 * heard is learned, and everything after that goes straight to one VTEP.
 */
import { Lab } from "vethwork";
import { describe } from "vethwork/wire";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function vxlanMulticast({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 7 });
	const lan = lab.switch("lan");
	const hosts = [1, 2, 3].map((n) => {
		const host = lab.host(`node${String(n)}`);
		host.addNic("eth0", { address: `192.0.2.${String(n)}/24`, attach: lan });
		return host.netns;
	});
	const [node1, node2, node3] = hosts;
	if (node1 === undefined || node2 === undefined || node3 === undefined) return;

	const capture = lab.capture("node1:*"); // the other cards stay choosy: a capture makes a card take everything
	for (const [i, ns] of hosts.entries()) {
		// ip link add vx0 type vxlan id 42 group 239.1.1.1 dev eth0 dstport 4789
		const vx = ns.addVxlan("vx0", { vni: 42, group: "239.1.1.1", dev: "eth0" });
		vx.addAddress(`10.9.0.${String(i + 1)}/24`);
		vx.up();
	}
	await lab.advance("2s");
	const said = (): string[] =>
		capture
			.sightings("node1:eth0")
			.filter((row) => row.direction === 2)
			.map((row) => describe(row.data));
	print(`node1 joins the group, and says so twice:\n${said().join("\n")}\n`);

	const before = said().length;
	const { received } = await node1.ping("10.9.0.2", { count: 2 });
	print(`${String(received)} of 2 answered. What node1 sent:\n${said().slice(before).join("\n")}\n`);

	for (const ns of hosts) {
		const table = ns.vxlan("vx0").fdbShow();
		print(`${ns.name}# bridge fdb show dev vx0\n${table.map((line) => line.text).join("\n")}\n`);
	}

	node3.vxlan("vx0").down(); // leaves the group: its card refuses what is flooded from now on
	await lab.advance("2s");
	let refused = 0;
	lab.onDrop(({ place, reason }) => {
		if (place === "node3:eth0" && reason === "multicast-filter") refused++;
	});
	await node1.ping("10.9.0.99", { count: 1, timeout: "4s" });
	print(`node3's vx0 is down: its card refused all ${String(refused)} frames that were flooded.`);
	save(capture);
}
