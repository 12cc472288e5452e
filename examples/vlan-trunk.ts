/**
 * Two switches and a trunk between them, hosts in VLAN 10 and 20 on both, and a router on a stick: one cable, a VLAN
 * sub-interface for each. Within a VLAN hosts speak directly, between them by way of the router.
 */
import { Lab } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function vlanTrunk({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 10 });
	const [left, right] = [lab.switch("left"), lab.switch("right")];
	lab.cable(left, right, { port: { trunk: [10, 20] } });

	const host = (name: string, attach: typeof left, vlan: number, last: number) => {
		const [net, port] = [`10.0.${String(vlan)}`, { access: vlan }];
		const address = `${net}.${String(last)}`;
		const nics = { eth0: { address: `${address}/24`, gateway: `${net}.1`, attach, port } };
		return { name, address, ns: lab.host(name, { nics }).netns };
	};
	const hosts = [host("a10", left, 10, 2), host("b10", right, 10, 3)];
	hosts.push(host("a20", left, 20, 2), host("b20", right, 20, 3));

	// ip link add link eth0 name eth0.10 type vlan id 10, and so on.
	const router = lab.host("router", { nics: { eth0: { attach: right, port: { trunk: [10, 20] } } } }).netns;
	for (const vlan of [10, 20]) {
		const device = router.addVlan("eth0", vlan);
		device.addAddress(`10.0.${String(vlan)}.1/24`);
		device.up();
	}

	const capture = lab.capture();
	const matrix = async (): Promise<string> => {
		let text = `from\\to ${hosts.map((to) => to.name.padEnd(5)).join("")}\n`;
		for (const from of hosts) {
			text += from.name.padEnd(8);
			for (const to of hosts) {
				const { replies } = await from.ns.ping(to.address, { count: 1, timeout: "4s" });
				text += (replies[0] === undefined ? "-" : String(replies[0].ttl)).padEnd(5);
			}
			text += "\n";
		}
		return text;
	};
	print(`Who reaches whom, by the TTL of the answer, while the router does not forward:\n${await matrix()}`);
	router.sysctl.set("net.ipv4.ip_forward", 1);
	print(`And when it does, one hop further:\n${await matrix()}`);
	print(`${left.showVlans()}\n${left.showMacTable()}`);
	print(router.links.show("eth0.10"));
	save(capture);
}
