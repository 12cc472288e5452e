import { type Host, Lab, type Netns } from "../../src/index.ts";

/** A node of the recorded swarm. */
export interface OverlayNode {
	readonly host: Host;
	readonly sandbox: Netns;
	readonly container: Netns;
}

/** One container or load-balancer end point of the recorded network. */
interface EndPoint {
	readonly ip: string;
	readonly node: number;
}

const NETWORK = "m768rftdak";
const CONTAINERS: readonly EndPoint[] = [
	{ ip: "10.0.1.6", node: 0 },
	{ ip: "10.0.1.8", node: 1 },
];
const BALANCERS: readonly EndPoint[] = [
	{ ip: "10.0.1.7", node: 0 },
	{ ip: "10.0.1.9", node: 1 },
];

/** `02:42` and the address, as Docker makes it. */
const macOf = (ip: string): string =>
	["02", "42", ...ip.split(".").map((part) => Number(part).toString(16).padStart(2, "0"))].join(":");
const vtepOf = (node: number): string => `172.31.1.${String(5 + node)}`;

/**
 * The recorded overlay (05-overlay), built by the calls that dockerd makes: on each node a sandbox with br0,
 * vxlan0 and the load balancer's and the container's veth, permanent neighbour and forwarding entries for all
 * end points of the other node.
 */
export function recordedOverlay(
	seed: number,
	sandboxMac = "5e:f0:c6:c0:89:ec",
): { readonly lab: Lab; readonly nodes: readonly [OverlayNode, OverlayNode] } {
	const lab = new Lab({ seed, epoch: "2026-11-23T17:15:00Z" });
	const lan = lab.switch("underlay");
	const build = (node: number): OverlayNode => {
		const mac = `52:54:00:00:0${String(node + 1)}:00`;
		const host = lab.host(`node${String(node + 1)}`, {
			nics: { eth0: { address: `${vtepOf(node)}/24`, mac, attach: lan } },
		});
		const sandbox = host.addNetns(`1-${NETWORK}`);
		const bridge = sandbox.addBridge("br0");
		bridge.addAddress("10.0.1.1/24");
		// The bridge takes vxlan0's random address, the lowest of its ports'.
		const vxlan = host.netns.addVxlan("vx-001001-m768r", {
			vni: 4097,
			proxy: true,
			l2miss: true,
			l3miss: true,
			mtu: 1450,
			mac: node === 0 ? sandboxMac : "06:11:22:33:44:55",
		});
		host.netns.move(vxlan, sandbox, "vxlan0");
		bridge.attach(vxlan);
		bridge.up();
		vxlan.up();
		const join = (name: string, inside: Netns, { ip }: EndPoint): void => {
			const [outer, eth0] = lab.veth(
				{ ns: sandbox, name, mac: `f${name.at(-1) ?? ""}:00:00:00:0${String(node)}:01` },
				{ ns: inside, name: "eth0", mac: macOf(ip) },
			);
			for (const end of [outer, eth0]) end.setMtu(1450);
			bridge.attach(outer);
			eth0.addAddress(`${ip}/24`);
			outer.up();
			eth0.up();
		};
		const here = (points: readonly EndPoint[]): EndPoint =>
			points.find((point) => point.node === node) ?? { ip: "", node };
		join("veth0", host.addNetns("lb_m768rftda"), here(BALANCERS));
		const container = host.addNetns(`c${String(node + 1)}`);
		join("veth1", container, here(CONTAINERS));
		for (const { ip, node: where } of [...CONTAINERS, ...BALANCERS]) {
			if (where === node) continue;
			sandbox.neigh.add(ip, { dev: vxlan, lladdr: macOf(ip) });
			vxlan.addFdb(macOf(ip), { dst: vtepOf(where) });
		}
		return { host, sandbox, container };
	};
	return { lab, nodes: [build(0), build(1)] };
}
