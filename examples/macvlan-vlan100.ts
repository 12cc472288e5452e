/**
 * Containers on the physical network: macvlan devices on VLAN 100 and VLAN 200 of one trunk, with a gateway and a
 * physical host on each VLAN. Siblings and outsiders reach each other, VLANs by way of the gateway alone, and the host
 * that carries the containers reaches those of its own VLAN not at all.
 */
import { Lab, type Netns } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

const SUBNETS = { 100: "10.0.0", 200: "192.168.3" } as const;
type Vlan = keyof typeof SUBNETS;

export default async function macvlanVlan100({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 100 });
	const lan = lab.switch("lan");
	const trunk = { eth0: { attach: lan, port: { trunk: [100, 200] } } };
	const plugged = (name: string): Netns => lab.host(name, { nics: trunk }).netns;
	const [node, gateway] = [plugged("node"), plugged("gateway")];
	const places = new Map<string, readonly [Netns, string]>();
	const join = (ns: Netns, vlan: Vlan, last: number, name = ns.name): void => {
		const device = ns.addVlan("eth0", vlan);
		device.up();
		device.addAddress(`${SUBNETS[vlan]}.${String(last)}/24`);
		if (ns !== gateway) ns.routes.add("default", { via: `${SUBNETS[vlan]}.1` });
		places.set(name, [ns, `${SUBNETS[vlan]}.${String(last)}`]);
	};
	for (const vlan of [100, 200] as const) {
		join(gateway, vlan, 1, `gateway.${String(vlan)}`);
		// A physical host knows nothing of VLANs: its switch port is in one.
		const [name, net, port] = [`pc${String(vlan)}`, SUBNETS[vlan], { access: vlan }];
		const nics = { eth0: { address: `${net}.50/24`, gateway: `${net}.1`, attach: lan, port } };
		places.set(name, [lab.host(name, { nics }).netns, `${net}.50`]);
	}
	gateway.sysctl.set("net.ipv4.ip_forward", 1);
	join(node, 100, 2);
	node.addVlan("eth0", 200).up();

	// prettier-ignore
	const containers = [["c1", 100, 11], ["c2", 100, 12], ["c3", 200, 11]] as const;
	for (const [name, vlan, last] of containers) {
		const c = lab.hosts.get("node")!.addNetns(name);
		const eth0 = node.addMacvlan(`eth0.${String(vlan)}`, `mv-${name}`, { mode: "bridge" });
		node.move(eth0, c, "eth0");
		eth0.up();
		eth0.addAddress(`${SUBNETS[vlan]}.${String(last)}/24`);
		c.routes.add("default", { via: `${SUBNETS[vlan]}.1` });
		places.set(name, [c, `${SUBNETS[vlan]}.${String(last)}`]);
	}
	const capture = lab.capture();
	for (const from of ["c1", "c3", "pc100", "node"]) {
		const [ns] = places.get(from)!;
		for (const [name, [, address]] of places) {
			if (name === from) continue;
			const ttl = (await ns.ping(address, { count: 1, timeout: "4s" })).replies[0]?.ttl;
			print(`${from} > ${name} ${address}: ${ttl === undefined ? "no" : `yes, ttl ${String(ttl)}`}`);
		}
	}
	save(capture);
}
