/**
 * `docker network create -d macvlan -o parent=eth0.100`: the daemon makes the VLAN device, containers have addresses of
 * the VLAN's subnet and are neighbours of its physical hosts, tagged on the trunk and untagged in the containers.
 */
import { Lab } from "vethwork";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function macvlan100({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 100 });
	const lan = lab.switch("lan");
	const { docker, netns } = lab.host("node1", {
		nics: { eth0: { attach: lan, port: { trunk: [100, 200] } } },
	});
	lab.host("gateway", {
		nics: { eth0: { address: "10.0.0.1/24", attach: lan, port: { access: 100 } } },
	});
	docker.networks.create("macvlan100", {
		driver: "macvlan",
		subnet: "10.0.0.0/24",
		ipRange: "10.0.0.128/25",
		gateway: "10.0.0.1",
		options: { parent: "eth0.100" },
	});
	const [c1, c2] = ["c1", "c2"].map((name) => docker.run({ name, network: "macvlan100" }));
	if (c1 === undefined || c2 === undefined) return;

	const capture = lab.capture();
	for (const [name, address] of [
		["gateway", "10.0.0.1"],
		["c2", c2.ip()],
	] as const) {
		const { received } = await c1.ping(address, { count: 1, timeout: "1s" });
		print(`c1 ${c1.ip()} > ${name} ${address}: ${String(received)} of 1`);
	}
	const echo = findPacket(capture, "icmp") ?? 0;
	print(`\nc1 > gateway, tagged on the trunk:\n${hopTable(trace(capture, echo))}\n`);
	print(c1.netns.links.show("eth0").trimEnd());
	print(netns.links.show("eth0.100").trimEnd());

	for (const container of [c1, c2]) docker.rm(container, { force: true });
	docker.networks.rm("macvlan100");
	print(`left on the host: ${netns.devices.map(({ name }) => name).join(" ")}`);
	save(capture);
}
