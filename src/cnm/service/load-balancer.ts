import { formatIp4, formatPrefix4, type Ip4, network } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { IpNamespace, SysctlName } from "../../stack/index.ts";
import { iptablesTakes } from "../rules.ts";
import type { IngressMesh } from "./ingress.ts";
import type { LoadBalancerSandbox } from "./load-balancer-sandbox.ts";
import { RealServers } from "./real-servers.ts";
import type { Balancing, LoadBalancer } from "./service-bindings.ts";

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
	/** The services that are made, by network and mark. */
	readonly #made = new Map<string, Map<number, RealServers>>();

	/** `ingress` publishes the ports of what is balanced in a sandbox with a way out. */
	constructor(ingress: IngressMesh) {
		this.#ingress = ingress;
	}

	/** A network has its sandbox now; what stands behind its services by then is balanced at once. */
	open(networkId: string, sandbox: LoadBalancerSandbox, known: readonly LoadBalancer[]): void {
		this.#sandboxes.set(networkId, sandbox);
		this.#made.set(networkId, new Map());
		for (const lb of known) {
			this.addCommonBackends(lb);
			for (const { ip, disabled } of lb.backends.own.values()) if (!disabled) this.addBackend(lb, ip);
		}
	}

	/** It goes, and all that is in it. */
	close(networkId: string): void {
		this.#sandboxes.delete(networkId);
		this.#made.delete(networkId);
	}

	addBackend(lb: LoadBalancer, ip: Ip4): void {
		this.#servers(lb)?.change((sandbox) => {
			add(sandbox, lb, ip);
		});
	}

	addCommonBackends(lb: LoadBalancer): void {
		const { common, apart } = lb.backends;
		// What this node knows otherwise was told by itself.
		if (common === undefined || common.size === apart.size) return;
		this.#servers(lb)?.later((sandbox) => {
			for (const [id, { ip }] of common) if (!apart.has(id)) add(sandbox, lb, ip);
		});
	}

	/** The real servers of a service, which is made when it is not there; undefined where none can be. */
	#servers(lb: LoadBalancer): RealServers | undefined {
		const found = this.#find(lb);
		if (found === undefined) return undefined;
		const { sandbox, vip, made } = found;
		const known = made.get(lb.fwMark);
		if (known !== undefined) return known;
		if (!this.#makeService(sandbox, lb, vip)) return undefined;
		const servers = new RealServers(sandbox, lb.fwMark);
		made.set(lb.fwMark, servers);
		return servers;
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
		this.#find(lb)
			?.made.get(lb.fwMark)
			?.change((sandbox) => {
				attempt("ENOENT", () => sandbox.ns.ipvsadm(`-e ${server(lb, ip)} ${forwarding(sandbox)} -w 0`));
			});
	}

	removeBackend(lb: LoadBalancer, ip: Ip4, { last }: { readonly last: boolean }): void {
		const found = this.#find(lb);
		const servers = found?.made.get(lb.fwMark);
		if (found === undefined || servers === undefined) return;
		const { sandbox, vip, made } = found;
		const { ns, device, gatewayAddress } = sandbox;
		servers.change(() => {
			attempt("ENOENT", () => ns.ipvsadm(`-d ${server(lb, ip)}`));
		});
		if (!last) return;
		made.delete(lb.fwMark);
		servers.drop();
		ns.ipvsadm(`-D -f ${String(lb.fwMark)}`);
		if (gatewayAddress !== undefined) this.#ingress.withdraw(lb.ingressPorts, gatewayAddress);
		mark(ns, "-D", lb, vip);
		device.removeAddress({ address: vip, length: 32 });
	}

	/** Where it is balanced; undefined for dnsrr, and while the network has no sandbox here (`findLBEndpointSandbox`). */
	#find(lb: LoadBalancer):
		| {
				readonly sandbox: LoadBalancerSandbox;
				readonly vip: Ip4;
				readonly made: Map<number, RealServers>;
		  }
		| undefined {
		const sandbox = this.#sandboxes.get(lb.network);
		const made = this.#made.get(lb.network);
		if (sandbox === undefined || made === undefined || lb.vip === undefined) return undefined;
		return { sandbox, vip: lb.vip, made };
	}
}

/** One that winds down keeps its weight of 0 until it is gone. */
function add(sandbox: LoadBalancerSandbox, lb: LoadBalancer, ip: Ip4): void {
	attempt("EEXIST", () => sandbox.ns.ipvsadm(`-a ${server(lb, ip)} ${forwarding(sandbox)} -w 1`));
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
