import { type Ip4, toIp4 } from "../../addr/index.ts";
import type { Rng } from "../../sim/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { libnetwork } from "../../wire/index.ts";
import { EmbeddedDns } from "../dns/embedded-dns.ts";
import { serversOf } from "../dns/files.ts";
import { SandboxNames } from "../dns/names.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Network, NetworkListener } from "../network.ts";
import type { NetworkServiceJson } from "../network-json.ts";
import type { NetworkTables, SettledTable, TableChange } from "../network-tables.ts";
import type { Sandbox } from "../sandbox.ts";
import { undoing } from "../undo.ts";
import { type BoundEndpoint, readRecord, recordOf } from "./binding.ts";
import { IngressMesh } from "./ingress.ts";
import { applyTweaks, LoadBalancers } from "./load-balancer.ts";
import { ownVirtualIp, redirectPorts } from "./task.ts";
import { ServiceBindings } from "./service-bindings.ts";
import { SettledEndpoints } from "./settled-endpoints.ts";
import { servicesJson } from "./services-json.ts";
import { NO_NAMES, SvcRecords } from "./svc-records.ts";

const TABLE = libnetwork.TABLE.endpoint;

/** A network of the cluster's that is on this node. */
interface Joined {
	readonly network: Network;
	/** Undefined for ingress, which has no names. */
	readonly names: SvcRecords | undefined;
	/** Endpoints of this node; `told`: others were told of it, for there was an agent to tell. */
	readonly own: Map<string, { readonly bound: BoundEndpoint; readonly told: boolean; enabled: boolean }>;
	/** Where this node balances it. */
	balancer: { readonly sandbox: Sandbox; readonly dns: EmbeddedDns } | undefined;
}

/** Makes sandboxes that are no container's. Implemented by the engine's controller. */
export interface SandboxMaker {
	/** A namespace of its own; with `gateway` it gets a way out by docker_gwbridge. Throws `DockerError` 409. */
	newSandbox(options: {
		readonly id: string;
		readonly containerId: string;
		readonly gateway: boolean;
	}): Sandbox;
	/** Its endpoints leave, its namespace goes. */
	deleteSandbox(sandbox: Sandbox): void;
	/** An id for an endpoint. */
	newId(): string;
}

/** What an agent works with. */
export interface ServiceAgentOptions {
	/** The host's namespace. */
	readonly ns: IpNamespace;
	readonly rng: Rng;
	readonly sandboxes: SandboxMaker;
	/** Puts the users' rules in front of the mesh's (`arrangeUserFilterRule`). */
	readonly arrange: () => void;
}

/**
 * One node's part in the cluster's services: it tells the others which endpoints are here and what they are called, and
 * makes of what all say names, load balancers and published ports.
 *
 *     activateService ─→ endpoint_table ─→ other nodes' agents
 *                  └──→ names (127.0.0.11), IPVS of `lb_…` and `ingress_sbox`, DOCKER-INGRESS ←── entries of others
 *
 * Containers that are no task take part while they are on a network. Reference: libnetwork agent.go, Docker 20.10.
 */
export class ServiceAgent implements NetworkListener {
	readonly #options: ServiceAgentOptions;
	readonly #loadBalancers: LoadBalancers;
	readonly #bindings: ServiceBindings;
	readonly #networks = new Map<string, Joined>();
	#unwatch: (() => void) | undefined;

	constructor(options: ServiceAgentOptions) {
		this.#options = options;
		this.#loadBalancers = new LoadBalancers(new IngressMesh(options.ns, options.arrange));
		this.#bindings = new ServiceBindings(this.#loadBalancers);
	}

	// ── tasks ─────────────────────────────────────────────────────────────────────────────────────

	/**
	 * A task is healthy, or runs and nobody asks how it is: the endpoints of its sandbox take part in its service from now
	 * on. Nothing for those that did already (`EnableService`, `ActivateServiceBinding`).
	 */
	activateService(sandbox: Sandbox): void {
		for (const endpoint of sandbox.endpoints) this.#enable(endpoint);
	}

	/**
	 * A task winds down: its service sends it nothing new, its names end, what it has begun goes on. Its container is to be
	 * stopped two seconds later, when all nodes know (`DisableService`, `DeactivateServiceBinding`).
	 */
	deactivateService(sandbox: Sandbox): void {
		for (const endpoint of sandbox.endpoints) {
			const joined = this.#networks.get(endpoint.network.id);
			const known = joined?.own.get(endpoint.id);
			if (joined === undefined || known?.enabled !== true) continue;
			known.enabled = false;
			const { network, names } = joined;
			if (known.told) network.tables?.update(TABLE, network.id, endpoint.id, recordOf(known.bound, true));
			this.#bindings.remove(network.id, names, known.bound, { full: false });
		}
	}

	/** Tells of an endpoint (`addServiceInfoToCluster`); of one without a name or an address nobody hears. */
	#enable(endpoint: Endpoint): void {
		const joined = this.#networks.get(endpoint.network.id);
		const bound = joined === undefined ? undefined : boundOf(endpoint, joined);
		if (joined === undefined || bound === undefined || joined.own.has(endpoint.id)) return;
		const { network, names, own } = joined;
		own.set(endpoint.id, { bound, enabled: true, told: network.tables !== undefined });
		this.#bindings.add(network.id, names, bound);
		network.tables?.create(TABLE, network.id, endpoint.id, recordOf(bound, false));
	}

	// ── load balancers ────────────────────────────────────────────────────────────────────────────

	/**
	 * The node has an address for its load balancer on a network: `lb_…`, or `ingress_sbox` with a way out, to which
	 * published ports lead (`createLoadBalancerSandbox`). Nothing when it is there. Throws `DockerError`, nothing changed.
	 */
	createLoadBalancer(network: Network, address: Ip4 | string): void {
		const joined = this.#networks.get(network.id);
		if (joined === undefined || joined.balancer !== undefined) return;
		const { sandboxes, ns, rng } = this.#options;
		const { id, name } = network;
		const { ingress } = network.about;
		undoing((undo) => {
			const sandbox = sandboxes.newSandbox({
				id: ingress ? "ingress_sbox" : `lb_${id}`,
				containerId: ingress ? "ingress-sbox" : `lb-${name}`,
				gateway: ingress,
			});
			undo(() => {
				sandboxes.deleteSandbox(sandbox);
			});
			const endpoint = network.createEndpoint({
				id: sandboxes.newId(),
				name: `${name}-endpoint`,
				ip: toIp4(address, "address"),
				// Others hear of ingress' alone.
				dnsNames: ingress ? [`${name}-endpoint`] : [],
				loadBalancer: true,
			});
			sandbox.join(endpoint);
			// The daemon sets them a second time, by then in the host's namespace.
			for (const each of [sandbox.ns, ns]) applyTweaks(each);
			const dns = new EmbeddedDns(sandbox.ns, {
				names: new SandboxNames(
					() => sandbox.endpoints,
					() => new Map(),
				),
				servers: () => serversOf({ host: ns.files.get("/etc/resolv.conf") ?? "" }),
				rng: rng.fork(`dns/${sandbox.id}`),
			});
			joined.balancer = { sandbox, dns };
			if (endpoint.device !== null && endpoint.address !== undefined) {
				const way = sandbox.gateway?.address;
				const where = {
					ns: sandbox.ns,
					device: endpoint.device,
					address: endpoint.address,
					directReturn: returnsDirectly(network),
				};
				this.#loadBalancers.open(
					id,
					way === undefined ? where : { ...where, gatewayAddress: way.address },
					this.#bindings.loadBalancers(id),
				);
			}
			this.#enable(endpoint);
		});
	}

	/** The node has none there any more; nothing when there is none (`deleteLoadBalancerSandbox`). */
	deleteLoadBalancer(network: Network): void {
		const joined = this.#networks.get(network.id);
		if (joined?.balancer === undefined) return;
		const { sandbox, dns } = joined.balancer;
		joined.balancer = undefined;
		this.#loadBalancers.close(network.id);
		dns.close();
		this.#options.sandboxes.deleteSandbox(sandbox);
	}

	// ── what the engine tells ─────────────────────────────────────────────────────────────────────

	agentStarted(tables: NetworkTables): void {
		this.#unwatch?.();
		this.#unwatch = tables.watch(
			TABLE,
			(change) => {
				this.#heard(change);
			},
			(settled) => {
				this.#settled(settled);
			},
		);
	}

	agentStopping(): void {
		this.#unwatch?.();
		this.#unwatch = undefined;
		for (const joined of this.#networks.values()) this.#clear(joined);
	}

	/** No name and no service of a network is left; what balances it stays (`cleanupServiceBindings`). */
	#clear({ network, names, own }: Joined): void {
		this.#bindings.clear(network.id);
		names?.clear();
		own.clear();
	}

	networkCreated(network: Network): void {
		if (network.about.scope !== "swarm") return;
		const names = network.about.ingress ? undefined : new SvcRecords();
		network.names = names ?? NO_NAMES;
		this.#networks.set(network.id, { network, names, own: new Map(), balancer: undefined });
		const { tables } = network;
		for (const { key, value, owner } of tables?.entries(TABLE, network.id) ?? []) {
			if (owner !== tables?.nodeName)
				this.#heard({ table: TABLE, network: network.id, key, kind: "create", value, owner });
		}
	}

	networkRemoving(network: Network): void {
		const joined = this.#networks.get(network.id);
		if (joined === undefined) return;
		this.#clear(joined);
		this.deleteLoadBalancer(network);
		this.#networks.delete(network.id);
	}

	endpointJoined(endpoint: Endpoint, sandbox: Sandbox): void {
		const { network, service, managed, loadBalancer, address, device } = endpoint;
		if (network.about.ingress && service !== undefined && address !== undefined)
			redirectPorts(sandbox.ns, address.address, service.ingressPorts);
		if (returnsDirectly(network) && service?.virtualIp !== undefined && device !== null)
			ownVirtualIp(sandbox.ns, device, service.virtualIp);
		if (!managed && !loadBalancer) this.#enable(endpoint);
	}

	/** `deleteServiceInfoFromCluster`, full. */
	endpointLeft(endpoint: Endpoint): void {
		const joined = this.#networks.get(endpoint.network.id);
		const known = joined?.own.get(endpoint.id);
		if (joined === undefined || known === undefined) return;
		const { network, names, own } = joined;
		own.delete(endpoint.id);
		if (known.told) network.tables?.delete(TABLE, network.id, endpoint.id);
		this.#bindings.remove(network.id, names, known.bound, { full: true });
	}

	// ── what other nodes tell ─────────────────────────────────────────────────────────────────────

	/** `handleEpTableEvent`. Entries that name no endpoint are passed over. */
	#heard({ network, key, kind, value }: TableChange): void {
		const joined = this.#networks.get(network);
		const told = readRecord(key, value);
		if (joined === undefined || told === undefined) return;
		const { endpoint, disabled } = told;
		const { names } = joined;
		if (kind === "delete") this.#bindings.remove(network, names, endpoint, { full: true });
		// One that this node hears of late may wind down already.
		else if (kind === "create" && !disabled) this.#bindings.add(network, names, endpoint);
		else if (disabled && endpoint.service !== undefined)
			this.#bindings.remove(network, names, endpoint, { full: false });
	}

	/** What all nodes of a network say is known to all of them. */
	#settled(settled: SettledTable): void {
		const joined = this.#networks.get(settled.network);
		if (joined === undefined) return;
		const { bindings, names } = settled.derived(SettledEndpoints.of);
		joined.names?.lay(names);
		this.#bindings.lay(settled.network, bindings);
	}

	/** `Services` of `docker network inspect --verbose`; empty for networks that are not the cluster's or not here. */
	inspect(network: Network): Readonly<Record<string, NetworkServiceJson>> {
		if (network.tables === undefined) return {};
		return servicesJson(network.tables, network.id, (service) => this.#bindings.fwMark(service, network.id));
	}
}

/** The driver option `dsr` of overlays: direct server return. */
const returnsDirectly = ({ driver, about }: Network): boolean =>
	driver.type === "overlay" && about.options["dsr"] !== undefined;

/** What others are to know of an endpoint. Its service's published ports are told on ingress alone. */
function boundOf(endpoint: Endpoint, { names }: Joined): BoundEndpoint | undefined {
	const { id, name, dnsNames, service, address } = endpoint;
	if (address === undefined || dnsNames.length === 0) return undefined;
	return {
		endpointId: id,
		ip: address.address,
		name,
		aliases: dnsNames.filter((each) => each !== name),
		...(service === undefined
			? {}
			: { service: { ...service, ingressPorts: names === undefined ? service.ingressPorts : [] } }),
	};
}
