import { formatIp4, formatPrefix4, type Ip4, network, type Prefix4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Device } from "../../link/index.ts";
import type { IpNamespace, SysctlName } from "../../stack/index.ts";
import { iptablesTakes } from "../rules.ts";
import type { IngressMesh } from "./ingress.ts";
import type { Balancing, LoadBalancer } from "./service-bindings.ts";

/** Where a node balances one network: `lb_<network>`, or `ingress_sbox`. */
export interface LoadBalancerSandbox {
	readonly ns: IpNamespace;
	/** Its device on the network, eth0. */
	readonly device: Device;
	/** The node's load balancer address there, `10.0.0.4/24`. */
	readonly address: Prefix4;
	/** Tasks answer clients themselves, by the VIP they have on loopback (the network's option `dsr`). */
	readonly directReturn: boolean;
	/** Its address on docker_gwbridge, of `ingress_sbox` alone: what published ports lead to. */
	readonly gatewayAddress?: Ip4;
}

/** What libnetwork sets where connections are balanced (osl, `loadBalancerConfig`). */
const TWEAKS: readonly (readonly [SysctlName, number])[] = [
	["net.ipv4.vs.conn_reuse_mode", 0],
	["net.ipv4.vs.expire_nodest_conn", 1],
	["net.ipv4.vs.expire_quiescent_template", 1],
];

/** Sets the sysctls of a namespace that balances (`ApplyOSTweaks`). */
export function applyTweaks(ns: IpNamespace): void {
	for (const [name, value] of TWEAKS) ns.sysctl.set(name, value);
}

/**
 * The load balancers of one node, a sandbox per network: virtual addresses on eth0, a mark by address and port, IPVS by
 * mark, and a source address that brings answers back here.
 *
 *     client → VIP, answered by ARP ─ mangle INPUT: mark ─ IPVS rr: a task ─ POSTROUTING: SNAT to the node's own ─→ task
 *     outside → ingress_sbox eth1 ── mangle PREROUTING: mark by port ──┘
 *
 * Reference: libnetwork service_linux.go `addLBBackend`, `rmLBBackend`, `fwMarker`.
 */
export class LoadBalancers implements Balancing {
	readonly #ingress: IngressMesh;
	readonly #sandboxes = new Map<string, LoadBalancerSandbox>();
	/** Marks of the services that are made, by network. */
	readonly #made = new Map<string, Set<number>>();

	/** `ingress` publishes the ports of what is balanced in a sandbox with a way out. */
	constructor(ingress: IngressMesh) {
		this.#ingress = ingress;
	}

	/** A network has its sandbox now; what stands behind its services by then is balanced at once. */
	open(networkId: string, sandbox: LoadBalancerSandbox, known: readonly LoadBalancer[]): void {
		this.#sandboxes.set(networkId, sandbox);
		this.#made.set(networkId, new Set());
		for (const lb of known) {
			for (const { ip, disabled } of lb.backends.values()) if (!disabled) this.addBackend(lb, ip);
		}
	}

	/** It goes, and all that is in it. */
	close(networkId: string): void {
		this.#sandboxes.delete(networkId);
		this.#made.delete(networkId);
	}

	addBackend(lb: LoadBalancer, ip: Ip4): void {
		const found = this.#find(lb);
		if (found === undefined) return;
		const { sandbox, vip, made } = found;
		if (!made.has(lb.fwMark)) {
			if (!this.#makeService(sandbox, lb, vip)) return;
			made.add(lb.fwMark);
		}
		// One that winds down keeps its weight of 0 until it is gone.
		attempt("EEXIST", () => sandbox.ns.ipvsadm(`-a ${server(lb, ip)} ${forwarding(sandbox)} -w 1`));
	}

	/**
	 * False when the address is there: the service's by the ports it had before an update. Until the last task with those is
	 * gone, Docker 20.10 sends nothing to tasks with the new ones.
	 */
	#makeService(
		{ ns, device, address, gatewayAddress, directReturn }: LoadBalancerSandbox,
		lb: LoadBalancer,
		vip: Ip4,
	): boolean {
		const free = attempt("EEXIST", () => {
			device.addAddress({ address: vip, length: 32 });
		});
		if (!free) return false;
		if (gatewayAddress !== undefined) this.#ingress.publish(lb.ingressPorts, gatewayAddress);
		mark(ns, "-A", lb, vip, () => {
			if (directReturn) return;
			const subnet = formatPrefix4({ address: network(address), length: address.length });
			const rule = `POSTROUTING -d ${subnet} -m ipvs --ipvs -j SNAT --to-source ${formatIp4(address.address)}`;
			if (iptablesTakes(ns, `-t nat -C ${rule}`)) return;
			ns.iptables(`-t nat -A ${rule}`);
			ns.sysctl.set("net.ipv4.vs.conntrack", 1);
		});
		ns.ipvsadm(`-A -f ${String(lb.fwMark)} -s rr`);
		return true;
	}

	disableBackend(lb: LoadBalancer, ip: Ip4): void {
		const found = this.#find(lb);
		if (found === undefined || !found.made.has(lb.fwMark)) return;
		const { sandbox } = found;
		attempt("ENOENT", () => sandbox.ns.ipvsadm(`-e ${server(lb, ip)} ${forwarding(sandbox)} -w 0`));
	}

	removeBackend(lb: LoadBalancer, ip: Ip4, { last }: { readonly last: boolean }): void {
		const found = this.#find(lb);
		if (found === undefined || !found.made.has(lb.fwMark)) return;
		const { sandbox, vip, made } = found;
		const { ns, device, gatewayAddress } = sandbox;
		attempt("ENOENT", () => ns.ipvsadm(`-d ${server(lb, ip)}`));
		if (!last) return;
		made.delete(lb.fwMark);
		ns.ipvsadm(`-D -f ${String(lb.fwMark)}`);
		if (gatewayAddress !== undefined) this.#ingress.withdraw(lb.ingressPorts, gatewayAddress);
		mark(ns, "-D", lb, vip);
		device.removeAddress({ address: vip, length: 32 });
	}

	/** Where it is balanced; undefined for dnsrr, and while the network has no sandbox here (`findLBEndpointSandbox`). */
	#find(
		lb: LoadBalancer,
	): { readonly sandbox: LoadBalancerSandbox; readonly vip: Ip4; readonly made: Set<number> } | undefined {
		const sandbox = this.#sandboxes.get(lb.network);
		const made = this.#made.get(lb.network);
		if (sandbox === undefined || made === undefined || lb.vip === undefined) return undefined;
		return { sandbox, vip: lb.vip, made };
	}
}

/** `-f 256 -r 10.0.0.6:0`. */
const server = ({ fwMark }: LoadBalancer, ip: Ip4): string => `-f ${String(fwMark)} -r ${formatIp4(ip)}:0`;

const forwarding = ({ directReturn }: LoadBalancerSandbox): string => (directReturn ? "-g" : "-m");

/** The rules that give a service's packets their mark; `between` stands where the daemon makes the rule for sources. */
function mark(
	ns: IpNamespace,
	command: "-A" | "-D",
	{ fwMark, ingressPorts }: LoadBalancer,
	vip: Ip4,
	between?: () => void,
): void {
	const target = `-j MARK --set-mark ${String(fwMark)}`;
	for (const { protocol, publishedPort } of ingressPorts)
		ns.iptables(`-t mangle ${command} PREROUTING -p ${protocol} --dport ${String(publishedPort)} ${target}`);
	between?.();
	ns.iptables(`-t mangle ${command} INPUT -d ${formatIp4(vip)}/32 ${target}`);
}

/** Whether it could be done; it could not when it, or its reverse, was done before. */
function attempt(unless: "EEXIST" | "ENOENT", work: () => unknown): boolean {
	try {
		work();
		return true;
	} catch (error) {
		if (error instanceof NetError && error.code === unless) return false;
		throw error;
	}
}
