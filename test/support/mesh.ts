import { parseIp4, parsePrefix4, type Prefix4 } from "../../src/addr/index.ts";
import {
	type Endpoint,
	type EndpointBinding,
	Ipam,
	Network,
	redirectPorts,
	Sandbox,
	ServiceAgent,
} from "../../src/cnm/index.ts";
import { EmbeddedDns } from "../../src/cnm/dns/embedded-dns.ts";
import { SandboxNames } from "../../src/cnm/dns/names.ts";
import { type Host, Lab, type Netns } from "../../src/index.ts";
import type { PhysicalSwitch } from "../../src/link/index.ts";
import { gwbridge } from "./docker-state.ts";
import { StandInOverlay } from "./stand-in-overlay.ts";
import { SharedTables } from "./tables.ts";

/** A network of the cluster's. */
export interface MeshNetwork {
	readonly id: string;
	readonly name: string;
	readonly subnet: string;
	readonly vni: number;
	readonly ingress?: boolean;
}

/** A container on networks of the cluster's. */
export interface MeshContainer {
	readonly id: string;
	/** By network: its address, and what it is there. */
	readonly on: Readonly<Record<string, { readonly ip: string; readonly binding: EndpointBinding }>>;
}

/** A running one. */
export interface Running {
	readonly about: MeshContainer;
	readonly ns: Netns;
	readonly sandbox: Sandbox;
	readonly endpoints: readonly Endpoint[];
}

/** One node of a cluster: an engine with its agent, and overlays. */
export class MeshNode {
	readonly host: Host;
	readonly agent: ServiceAgent;
	/** Of the cluster's networks that are here, by name. */
	readonly networks = new Map<string, Network>();
	readonly sandboxes = new Map<string, { readonly ns: Netns; readonly sandbox: Sandbox }>();
	readonly #driver: StandInOverlay;
	readonly #gwbridge: Network;
	#ids = 0;

	constructor(host: Host, ip: string, tables: ReturnType<SharedTables["node"]>) {
		this.host = host;
		this.#gwbridge = gwbridge(host.docker);
		this.#driver = new StandInOverlay(host, ip, tables);
		this.agent = new ServiceAgent({
			ns: host.netns,
			arrange: () => {
				host.netns.iptables("-D FORWARD -j DOCKER-USER");
				host.netns.iptables("-I FORWARD -j DOCKER-USER");
			},
		});
		this.agent.start(tables);
	}

	#id(): string {
		return `${this.host.name}-${String(this.#ids++)}`.padEnd(64, "0");
	}

	/** A network comes to the node, with a load balancer of that address. */
	addNetwork(about: MeshNetwork, balancer: string): Network {
		const subnet = parsed(about.subnet);
		const pool = new Ipam([]).requestPool({ subnet });
		const gateway = pool.request();
		const options = { "com.docker.network.driver.overlay.vxlanid_list": String(about.vni) };
		const data = { pool: subnet, gateway, auxAddresses: {} };
		this.#driver.createNetwork({ id: about.id, name: about.name, options, internal: false, ipv4: [data] });
		const network = new Network({
			id: about.id,
			name: about.name,
			driver: this.#driver,
			options,
			labels: {},
			internal: false,
			attachable: true,
			ipamOptions: null,
			ipamConfig: [],
			userSubnets: true,
			pools: [pool],
			created: "",
			predefined: false,
		});
		this.networks.set(about.name, network);
		this.agent.addNetwork(network, { ingress: about.ingress === true });
		const name = about.ingress === true ? "ingress_sbox" : `lb_${about.id.slice(0, 9)}`;
		const ns = this.host.addNetns(name);
		ns.named = false;
		const sandbox = new Sandbox(name, ns, true, []);
		this.sandboxes.set(name, { ns, sandbox });
		const endpoint = network.createEndpoint({
			id: this.#id(),
			name: `${about.name}-endpoint`,
			ip: parseIp4(balancer),
		});
		sandbox.join(endpoint);
		const way =
			about.ingress === true ? this.#wayOut(sandbox, "gateway_ingress-sbox", "172.18.0.2") : undefined;
		this.#dns(sandbox, ns);
		const { device, address } = endpoint;
		if (device === null || address === undefined) throw new Error("it has no device");
		this.agent.openLoadBalancer(network, {
			ns,
			device,
			address,
			...(way?.address === undefined ? {} : { gatewayAddress: way.address.address }),
		});
		if (about.ingress === true) this.agent.activateService(endpoint, { name: endpoint.name, aliases: [] });
		return network;
	}

	#wayOut(sandbox: Sandbox, name: string, ip?: string): Endpoint {
		const endpoint = this.#gwbridge.createEndpoint({
			id: this.#id(),
			name,
			dnsNames: [],
			...(ip === undefined ? {} : { ip: parseIp4(ip) }),
		});
		sandbox.join(endpoint);
		return endpoint;
	}

	#dns(sandbox: Sandbox, ns: Netns): EmbeddedDns {
		const { rng } = this.host;
		return new EmbeddedDns(ns, {
			names: new SandboxNames(
				() => sandbox.endpoints,
				() => new Map(),
			),
			servers: () => ["172.31.1.1"],
			rng: rng.fork(`dns/${sandbox.id}`),
		});
	}

	/** A container runs; its services are told later (`activate`). */
	run(about: MeshContainer, gatewayIp?: string): Running {
		const ns = this.host.addNetns(about.id.slice(0, 12));
		const sandbox = new Sandbox(about.id, ns, true, []);
		const endpoints = Object.entries(about.on).map(([name, { ip, binding }]) => {
			const network = this.networks.get(name);
			if (network === undefined) throw new Error(`${name} is not here`);
			const endpoint = network.createEndpoint({ id: this.#id(), name: binding.name, ip: parseIp4(ip) });
			return [endpoint, binding] as const;
		});
		for (const [endpoint, binding] of endpoints) {
			sandbox.join(endpoint);
			if (endpoint.network.name === "ingress" && endpoint.address !== undefined)
				redirectPorts(ns, endpoint.address.address, binding.service?.ingressPorts ?? []);
		}
		this.#wayOut(sandbox, `gateway_${about.id.slice(0, 12)}`, gatewayIp);
		this.#dns(sandbox, ns);
		ns.files.set("/etc/resolv.conf", "search lab.example\nnameserver 127.0.0.11\noptions ndots:0\n");
		return { about, ns, sandbox, endpoints: endpoints.map(([endpoint]) => endpoint) };
	}

	/** Its task is healthy. */
	activate({ about, endpoints }: Running): void {
		for (const endpoint of endpoints) {
			const binding = about.on[endpoint.network.name]?.binding;
			if (binding !== undefined) this.agent.activateService(endpoint, binding);
		}
	}

	/** Its task winds down. */
	deactivate({ endpoints }: Running): void {
		for (const endpoint of endpoints) this.agent.deactivateService(endpoint);
	}

	/** The container is gone. */
	stop({ about, sandbox, endpoints }: Running): void {
		for (const endpoint of endpoints) this.agent.removeService(endpoint);
		sandbox.clear();
		for (const endpoint of endpoints) endpoint.network.deleteEndpoint(endpoint);
		this.host.delNetns(about.id.slice(0, 12));
	}
}

/** Three nodes of a swarm on one LAN, 172.31.1.5 and on, without tasks. */
export function mesh({
	seed = 1,
	cable = "50us",
}: {
	readonly seed?: number;
	/** How long a frame takes from a card to the switch. */
	readonly cable?: string;
} = {}): {
	readonly lab: Lab;
	readonly lan: PhysicalSwitch;
	readonly tables: SharedTables;
	readonly nodes: readonly [MeshNode, MeshNode, MeshNode];
} {
	const lab = new Lab({ seed, epoch: "2026-11-23T17:20:00Z", latency: { cable } });
	const lan = lab.switch("underlay");
	const tables = new SharedTables();
	const node = (n: number): MeshNode => {
		const ip = `172.31.1.${String(4 + n)}`;
		const name = `node${String(n)}`;
		const mac = `52:54:00:00:0${String(n)}:00`;
		const eth0 = { address: `${ip}/24`, gateway: "172.31.1.1", mac, attach: lan };
		return new MeshNode(lab.host(name, { nics: { eth0 } }), ip, tables.node(name, ip));
	};
	return { lab, lan, tables, nodes: [node(1), node(2), node(3)] };
}

function parsed(text: string): Prefix4 {
	const prefix = parsePrefix4(text);
	if (prefix === undefined) throw new Error(`${text} is no prefix`);
	return prefix;
}
