import { formatIp4, type Ip4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { iptablesTakes } from "../rules.ts";
import type { IngressPort } from "./binding.ts";

const CHAIN = "DOCKER-INGRESS";

/** Something that holds a port of the host. */
interface Reserved {
	close(): void;
}

/**
 * The host's side of the routing mesh: every published port leads to `ingress_sbox`, on every node, tasks here or not.
 *
 *     nat     PREROUTING, OUTPUT: to an address of the host → DOCKER-INGRESS: DNAT to 172.18.0.2, same port
 *             POSTROUTING: the host's own connections, 127.0.0.1's too → source 172.18.0.1
 *     filter  FORWARD, behind DOCKER-USER → DOCKER-INGRESS: the port there, its answers back
 *
 * Chains and jumps stay when the last port is withdrawn. Reference: libnetwork service_linux.go `programIngress`.
 */
export class IngressMesh {
	readonly #ns: IpNamespace;
	/** How many services publish a port. */
	readonly #published = new Map<string, number>();
	/** By port and protocol: what keeps other programs of the host from the port. It never accepts. */
	readonly #reserved = new Map<string, Reserved>();
	readonly #arrange: () => void;

	/** `ns` is the host's namespace; `arrange` puts the users' rules in front again. */
	constructor(ns: IpNamespace, arrange: () => void) {
		this.#ns = ns;
		this.#arrange = arrange;
	}

	/** Ports of a service lead to the address on docker_gwbridge from now on. */
	publish(ports: readonly IngressPort[], to: Ip4): void {
		this.#chains(to);
		for (const port of ports) {
			const count = this.#published.get(keyOf(port)) ?? 0;
			this.#published.set(keyOf(port), count + 1);
			if (count > 0) continue;
			for (const rule of portRules(port, to)) this.#ns.iptables(rule("-I"));
			this.#reserve(port);
		}
	}

	/** They do no longer. */
	withdraw(ports: readonly IngressPort[], to: Ip4): void {
		for (const port of ports) {
			const count = this.#published.get(keyOf(port)) ?? 0;
			if (count > 1) this.#published.set(keyOf(port), count - 1);
			else if (count === 1) {
				this.#published.delete(keyOf(port));
				for (const rule of portRules(port, to)) this.#ns.iptables(rule("-D"));
				this.#reserved.get(nameOf(port))?.close();
				this.#reserved.delete(nameOf(port));
			}
		}
	}

	#chains(to: Ip4): void {
		const ns = this.#ns;
		for (const table of ["nat", "filter"])
			if (!iptablesTakes(this.#ns, `-t ${table} -S ${CHAIN}`)) ns.iptables(`-t ${table} -N ${CHAIN}`);
		for (const table of ["nat", "filter"]) this.#once(table, "-A", CHAIN, "-j RETURN");
		for (const chain of ["OUTPUT", "PREROUTING"])
			this.#once("nat", "-I", chain, `-m addrtype --dst-type LOCAL -j ${CHAIN}`);
		if (this.#once("filter", "-I", "FORWARD", `-j ${CHAIN}`)) this.#arrange();
		const bridge = ns.route(to)?.device?.name;
		if (bridge === undefined) return;
		ns.sysctl.set(`net.ipv4.conf.${bridge}.route_localnet`, 1);
		this.#once("nat", "-I", "POSTROUTING", `-m addrtype --src-type LOCAL -o ${bridge} -j MASQUERADE`);
	}

	/** Puts a rule in where it is not yet; whether it was not. */
	#once(table: string, command: "-A" | "-I", chain: string, rule: string): boolean {
		if (iptablesTakes(this.#ns, `-t ${table} -C ${chain} ${rule}`)) return false;
		this.#ns.iptables(`-t ${table} ${command} ${chain} ${rule}`);
		return true;
	}

	/** The daemon's own socket on the port (`plumbProxy`). Where another has the port the mesh works all the same. */
	#reserve(port: IngressPort): void {
		const { publishedPort: number, protocol } = port;
		if (protocol === "sctp") return;
		try {
			const on = { port: number, family: "inet6" } as const;
			const held = protocol === "tcp" ? this.#ns.tcp.listen(on) : this.#ns.udp(on);
			this.#reserved.set(nameOf(port), held);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
		}
	}
}

type Rule = (command: "-I" | "-D") => string;

const portRules = ({ protocol, publishedPort }: IngressPort, to: Ip4): readonly Rule[] => {
	const port = String(publishedPort);
	return [
		(command) =>
			`-t nat ${command} ${CHAIN} -p ${protocol} --dport ${port} -j DNAT --to-destination ${formatIp4(to)}:${port}`,
		(command) =>
			`${command} ${CHAIN} -m state -p ${protocol} --sport ${port} --state ESTABLISHED,RELATED -j ACCEPT`,
		(command) => `${command} ${CHAIN} -p ${protocol} --dport ${port} -j ACCEPT`,
	];
};

const nameOf = ({ publishedPort, protocol }: IngressPort): string => `${String(publishedPort)}/${protocol}`;

/** Two services may publish one port; the daemon counts whole port configurations. */
const keyOf = (port: IngressPort): string => `${nameOf(port)} ${String(port.targetPort)} ${port.name}`;
