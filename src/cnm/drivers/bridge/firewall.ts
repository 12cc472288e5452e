import { formatIp4, formatPrefix4, type Ip4, network, type Prefix4 } from "../../../addr/index.ts";
import type { IpNamespace } from "../../../stack/index.ts";
import { iptablesTakes } from "../../rules.ts";
import type { BridgeConfig } from "./options.ts";

type Table = "filter" | "nat";

/** A published port as its rules see it. */
export interface PortRule {
	readonly bridge: string;
	readonly proto: "tcp" | "udp";
	/** 0.0.0.0 for all. */
	readonly hostIp: Ip4;
	readonly hostPort: number;
	readonly containerIp: Ip4;
	readonly containerPort: number;
}

/** A container may reach another's port, on a bridge that keeps them apart. */
export interface LinkRule {
	readonly bridge: string;
	readonly proto: "tcp" | "udp";
	readonly parent: Ip4;
	readonly child: Ip4;
	readonly port: number;
}

const ISOLATION_1 = "DOCKER-ISOLATION-STAGE-1";
const ISOLATION_2 = "DOCKER-ISOLATION-STAGE-2";
const USER = "DOCKER-USER";
const INGRESS = "DOCKER-INGRESS";

/**
 * The rules that Docker 20.10 keeps on a host, in the order in which it makes them: new networks in front of old ones.
 *
 *     FORWARD  DOCKER-USER, [DOCKER-INGRESS,] ISOLATION-STAGE-1, then per bridge: established, DOCKER, out, within
 *     nat      PREROUTING, OUTPUT → DOCKER: RETURN per bridge, then DNAT per port; POSTROUTING: MASQUERADE
 *
 * Reference: libnetwork iptables/iptables.go, drivers/bridge/setup_ip_tables.go, firewall_linux.go.
 */
export class Firewall {
	readonly #ns: IpNamespace;
	readonly #userlandProxy: boolean;

	constructor(ns: IpNamespace, userlandProxy: boolean) {
		this.#ns = ns;
		this.#userlandProxy = userlandProxy;
	}

	/** The chains, and forwarding: where the daemon switches it on, nothing passes that no rule accepts. */
	start(): void {
		this.#newChain("nat", "DOCKER");
		this.#newChain("filter", "DOCKER");
		for (const chain of [ISOLATION_1, ISOLATION_2]) {
			this.#newChain("filter", chain);
			this.#append("filter", chain, "-j RETURN");
		}
		const { sysctl } = this.#ns;
		if (sysctl.get("net.ipv4.ip_forward") !== 0) return;
		sysctl.set("net.ipv4.ip_forward", 1);
		this.#ns.iptables("-P FORWARD DROP");
	}

	/** `arrangeUserFilterRule`: what users put in is asked first. */
	arrange(): void {
		if (this.#hasChain("filter", INGRESS)) this.#onTop(`-j ${INGRESS}`);
		this.#newChain("filter", USER);
		this.#append("filter", USER, "-j RETURN");
		this.#onTop(`-j ${USER}`);
	}

	/** The rules of a network's bridge. */
	addNetwork(config: BridgeConfig, subnet: Prefix4, internal: boolean): void {
		const { name } = config;
		if (!internal) {
			this.#insert("filter", ISOLATION_1, `-i ${name} ! -o ${name} -j ${ISOLATION_2}`);
			this.#insert("filter", ISOLATION_2, `-o ${name} -j DROP`);
		}
		if (internal) {
			for (const rule of internalRules(name, subnet)) this.#insert("filter", ISOLATION_1, rule);
			this.#setIcc(config);
		} else {
			if (config.enableIpMasquerade) {
				this.#insert("nat", "POSTROUTING", natRule(config, subnet));
				if (this.#userlandProxy) this.#insert("nat", "DOCKER", `-i ${name} -j RETURN`);
			}
			if (!this.#userlandProxy)
				this.#insert("nat", "POSTROUTING", `-o ${name} -m addrtype --src-type LOCAL -j MASQUERADE`);
			this.#setIcc(config);
			this.#insert("filter", "FORWARD", `-i ${name} ! -o ${name} -j ACCEPT`);
			const local = "-m addrtype --dst-type LOCAL -j DOCKER";
			this.#append("nat", "PREROUTING", local);
			this.#append("nat", "OUTPUT", this.#userlandProxy ? `! -d 127.0.0.0/8 ${local}` : local);
			this.#insert("filter", "FORWARD", `-o ${name} -j DOCKER`);
			this.#insert("filter", "FORWARD", `-o ${name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`);
		}
		this.#onTop(`-j ${ISOLATION_1}`);
		this.arrange();
	}

	#setIcc({ name, enableIcc }: BridgeConfig): void {
		const within = `-i ${name} -o ${name} -j`;
		if (enableIcc) {
			this.#delete("filter", "FORWARD", `${within} DROP`);
			this.#insert("filter", "FORWARD", `${within} ACCEPT`);
		} else {
			this.#delete("filter", "FORWARD", `${within} ACCEPT`);
			this.#append("filter", "FORWARD", `${within} DROP`);
		}
	}

	/** All rules of a network's bridge go. */
	removeNetwork(config: BridgeConfig, subnet: Prefix4): void {
		const { name } = config;
		this.#delete("filter", ISOLATION_1, `-i ${name} ! -o ${name} -j ${ISOLATION_2}`);
		this.#delete("filter", ISOLATION_2, `-o ${name} -j DROP`);
		for (const rule of internalRules(name, subnet)) this.#delete("filter", ISOLATION_1, rule);
		this.#delete("nat", "POSTROUTING", natRule(config, subnet));
		this.#delete("nat", "POSTROUTING", `-o ${name} -m addrtype --src-type LOCAL -j MASQUERADE`);
		this.#delete("nat", "DOCKER", `-i ${name} -j RETURN`);
		for (const rule of [
			`-i ${name} -o ${name} -j ACCEPT`,
			`-i ${name} -o ${name} -j DROP`,
			`-i ${name} ! -o ${name} -j ACCEPT`,
			`-o ${name} -j DOCKER`,
			`-o ${name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
		])
			this.#delete("filter", "FORWARD", rule);
	}

	/** The rules of one published port (`ChainInfo.Forward`). */
	addPort(port: PortRule): void {
		for (const [table, chain, rule] of this.#portRules(port)) this.#append(table, chain, rule);
	}

	/** They go. */
	removePort(port: PortRule): void {
		for (const [table, chain, rule] of this.#portRules(port)) this.#delete(table, chain, rule);
	}

	#portRules({
		bridge,
		proto,
		hostIp,
		hostPort,
		containerIp,
		containerPort,
	}: PortRule): readonly (readonly [Table, string, string])[] {
		const to = formatIp4(containerIp);
		const host = hostIp === 0 ? "" : `-d ${formatIp4(hostIp)}/32 `;
		const outside = this.#userlandProxy ? `! -i ${bridge} ` : "";
		const port = String(containerPort);
		return [
			[
				"nat",
				"DOCKER",
				`${host}${outside}-p ${proto} -m ${proto} --dport ${String(hostPort)} -j DNAT --to-destination ${to}:${port}`,
			],
			[
				"filter",
				"DOCKER",
				`-d ${to}/32 ! -i ${bridge} -o ${bridge} -p ${proto} -m ${proto} --dport ${port} -j ACCEPT`,
			],
			["nat", "POSTROUTING", `-s ${to}/32 -d ${to}/32 -p ${proto} -m ${proto} --dport ${port} -j MASQUERADE`],
		];
	}

	/** The rules of a `--link`, there and back (`ChainInfo.Link`). */
	addLink(link: LinkRule): void {
		for (const rule of linkRules(link)) this.#append("filter", "DOCKER", rule);
	}

	/** They go. */
	removeLink(link: LinkRule): void {
		for (const rule of linkRules(link)) this.#delete("filter", "DOCKER", rule);
	}

	// ── commands: each does nothing when it is done already ───────────────────────────────────────

	#has(table: Table, chain: string, rule: string): boolean {
		return iptablesTakes(this.#ns, `-t ${table} -C ${chain} ${rule}`);
	}

	#hasChain(table: Table, chain: string): boolean {
		return iptablesTakes(this.#ns, `-t ${table} -S ${chain}`);
	}

	#newChain(table: Table, chain: string): void {
		if (!this.#hasChain(table, chain)) this.#ns.iptables(`-t ${table} -N ${chain}`);
	}

	#append(table: Table, chain: string, rule: string): void {
		if (!this.#has(table, chain, rule)) this.#ns.iptables(`-t ${table} -A ${chain} ${rule}`);
	}

	#insert(table: Table, chain: string, rule: string): void {
		if (!this.#has(table, chain, rule)) this.#ns.iptables(`-t ${table} -I ${chain} ${rule}`);
	}

	#delete(table: Table, chain: string, rule: string): void {
		if (this.#has(table, chain, rule)) this.#ns.iptables(`-t ${table} -D ${chain} ${rule}`);
	}

	/** `EnsureJumpRule`: to the top of FORWARD, wherever it was. */
	#onTop(rule: string): void {
		this.#delete("filter", "FORWARD", rule);
		this.#ns.iptables(`-I FORWARD ${rule}`);
	}
}

function linkRules({ bridge, proto, parent, child, port }: LinkRule): readonly string[] {
	const rule = (from: Ip4, to: Ip4, side: "dport" | "sport"): string =>
		`-s ${formatIp4(from)}/32 -d ${formatIp4(to)}/32 -i ${bridge} -o ${bridge}` +
		` -p ${proto} -m ${proto} --${side} ${String(port)} -j ACCEPT`;
	return [rule(parent, child, "dport"), rule(child, parent, "sport")];
}

function natRule({ name, hostIpv4 }: BridgeConfig, subnet: Prefix4): string {
	const target = hostIpv4 === 0 ? "MASQUERADE" : `SNAT --to-source ${formatIp4(hostIpv4)}`;
	return `-s ${net(subnet)} ! -o ${name} -j ${target}`;
}

const internalRules = (bridge: string, subnet: Prefix4): readonly string[] => [
	`! -d ${net(subnet)} -i ${bridge} -j DROP`,
	`! -s ${net(subnet)} -o ${bridge} -j DROP`,
];

const net = (subnet: Prefix4): string => formatPrefix4({ address: network(subnet), length: subnet.length });
