/**
 * Two hosts, one overlay: c1 on node1 pings c2 on node2 through veth, bridge, VTEP, VXLAN and back. The network is
 * built by the calls that dockerd makes, and the hop table shows the first echo request at every interface.
 */
import { Lab } from "vethwork";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

const SANDBOX = "1-m768rftdak"; // 1- and the first ten characters of the network's id

export default async function overlayPing({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const underlay = lab.switch("underlay");

	const node = (number: 1 | 2, own: string, other: string) => {
		const vtep = (n: number): string => `172.31.1.${String(4 + n)}`;
		const mac = (ip: string): string => `02:42:0a:00:01:0${ip.at(-1) ?? ""}`;
		const nic = { address: `${vtep(number)}/24`, mac: `52:54:00:00:0${String(number)}:00`, attach: underlay };
		const host = lab.host(`node${String(number)}`, { nics: { eth0: nic } });
		// The network's sandbox: a bridge with the gateway's address, and a VTEP that answers ARP itself.
		const sandbox = host.addNetns(SANDBOX);
		const br0 = sandbox.addBridge("br0");
		br0.addAddress("10.0.1.1/24");
		const flags = { proxy: true, l2miss: true, l3miss: true };
		const vxlan0 = host.netns.addVxlan("vx-001001-m768r", { vni: 4097, mtu: 1450, ...flags });
		host.netns.move(vxlan0, sandbox, "vxlan0");
		br0.attach(vxlan0);

		const container = host.addNetns(`c${String(number)}`);
		const [veth1, eth0] = lab.veth(
			{ ns: sandbox, name: "veth1" },
			{ ns: container, name: "eth0", mac: mac(own) },
		);
		for (const end of [veth1, eth0]) end.setMtu(1450);
		br0.attach(veth1);
		eth0.addAddress(`${own}/24`);
		for (const device of [br0, vxlan0, veth1, eth0]) device.up();

		// What gossip told about the container on the other node.
		sandbox.neigh.add(other, { lladdr: mac(other), dev: vxlan0 });
		vxlan0.addFdb(mac(other), { dst: vtep(3 - number) });
		return container;
	};
	const c1 = node(1, "10.0.1.6", "10.0.1.8");
	node(2, "10.0.1.8", "10.0.1.6");

	const capture = lab.capture("node*:*");
	const result = await c1.ping("10.0.1.8", { count: 4 });
	print(`${result.text()}\n`);
	const request = findPacket(capture, "icmp") ?? 0;
	print(`The first echo request, hop by hop:\n${hopTable(trace(capture, request))}`);
	save(capture);
}
