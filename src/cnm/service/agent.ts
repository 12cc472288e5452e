import type { IpNamespace } from "../../stack/index.ts";
import { libnetwork } from "../../wire/index.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Network } from "../network.ts";
import type { NetworkTables, TableChange } from "../network-tables.ts";
import { type BoundEndpoint, type EndpointBinding, readRecord, recordOf } from "./binding.ts";
import { IngressMesh } from "./ingress.ts";
import { applyTweaks, LoadBalancers, type LoadBalancerSandbox } from "./load-balancer.ts";
import { ServiceBindings } from "./service-bindings.ts";
import { servicesJson, type ServiceJson } from "./services-json.ts";
import { NO_NAMES, SvcRecords } from "./svc-records.ts";

const TABLE = libnetwork.TABLE.endpoint;

/** A network of the cluster's that is on this node. */
interface Joined {
	readonly network: Network;
	/** Undefined for ingress, which has no names. */
	readonly names: SvcRecords | undefined;
	/** Endpoints of this node that others know of. */
	readonly own: Map<string, { readonly endpoint: BoundEndpoint; enabled: boolean }>;
}

/** What an agent works with. */
export interface ServiceAgentOptions {
	/** The host's namespace. */
	readonly ns: IpNamespace;
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
 * Reference: libnetwork agent.go, Docker 20.10.
 */
export class ServiceAgent {
	readonly #ns: IpNamespace;
	readonly #loadBalancers: LoadBalancers;
	readonly #bindings: ServiceBindings;
	readonly #networks = new Map<string, Joined>();
	#tables: NetworkTables | undefined;
	#unwatch: (() => void) | undefined;

	constructor({ ns, arrange }: ServiceAgentOptions) {
		this.#ns = ns;
		this.#loadBalancers = new LoadBalancers(new IngressMesh(ns, arrange));
		this.#bindings = new ServiceBindings(this.#loadBalancers);
	}

	/** The node is in a cluster: entries of its nodes count from now on. */
	start(tables: NetworkTables): void {
		this.#tables = tables;
		this.#unwatch = tables.watch(TABLE, (change) => {
			this.#heard(change);
		});
	}

	/** It leaves the cluster: no name and no service is left; call it while the networks still are (`agentClose`). */
	stop(): void {
		this.#unwatch?.();
		this.#unwatch = undefined;
		this.#tables = undefined;
		for (const { network, names, own } of this.#networks.values()) {
			this.#bindings.clear(network.id);
			names?.clear();
			own.clear();
		}
	}

	// ── networks ──────────────────────────────────────────────────────────────────────────────────

	/**
	 * A network of the cluster's came to this node, and its gossip was joined. `ingress` has no names: it is there for
	 * ports alone.
	 */
	addNetwork(network: Network, { ingress }: { readonly ingress: boolean }): void {
		const names = ingress ? undefined : new SvcRecords();
		network.names = names ?? NO_NAMES;
		this.#networks.set(network.id, { network, names, own: new Map() });
		for (const { key, value, owner } of this.#tables?.entries(TABLE, network.id) ?? []) {
			if (owner === this.#tables?.nodeName) continue;
			const told = readRecord(key, value);
			if (told !== undefined && !told.disabled) this.#bindings.add(network.id, names, told.endpoint);
		}
	}

	/** The node's load balancer on a network is there: `lb_…`, or `ingress_sbox`. */
	openLoadBalancer(network: Network, sandbox: LoadBalancerSandbox): void {
		// The daemon sets them a second time, by then in the host's namespace.
		for (const ns of [sandbox.ns, this.#ns]) applyTweaks(ns);
		this.#loadBalancers.open(network.id, sandbox, this.#bindings.loadBalancers(network.id));
	}

	/** It is there no longer; its namespace goes with all that is in it. */
	closeLoadBalancer(network: Network): void {
		this.#loadBalancers.close(network.id);
	}

	/** A network left this node. */
	removeNetwork(network: Network): void {
		const joined = this.#networks.get(network.id);
		this.#loadBalancers.close(network.id);
		this.#bindings.clear(network.id);
		joined?.names?.clear();
		this.#networks.delete(network.id);
	}

	// ── endpoints of this node ────────────────────────────────────────────────────────────────────

	/**
	 * An endpoint in its sandbox takes part from now on: its task is healthy, or its container was connected. Nothing for
	 * endpoints of networks that are not the cluster's, for those without an address, and for one that took part already
	 * (`addServiceInfoToCluster`).
	 */
	activateService(endpoint: Endpoint, binding: EndpointBinding): void {
		const joined = this.#networks.get(endpoint.network.id);
		const ip = endpoint.address?.address;
		if (joined === undefined || ip === undefined || joined.own.has(endpoint.id)) return;
		const bound: BoundEndpoint = {
			...binding,
			endpointId: endpoint.id,
			ip,
			...(binding.service === undefined || joined.names === undefined
				? {}
				: { service: { ...binding.service, ingressPorts: [] } }),
		};
		this.#bindings.add(endpoint.network.id, joined.names, bound);
		joined.own.set(endpoint.id, { endpoint: bound, enabled: true });
		this.#tables?.create(TABLE, endpoint.network.id, endpoint.id, recordOf(bound, false));
	}

	/**
	 * A task winds down: its service sends it nothing new, its names end, what it has begun goes on; the container is to
	 * be stopped two seconds later, when all nodes know. Nothing for endpoints that take no part
	 * (`deleteServiceInfoFromCluster`, not full).
	 */
	deactivateService(endpoint: Endpoint): void {
		const joined = this.#networks.get(endpoint.network.id);
		const known = joined?.own.get(endpoint.id);
		if (joined === undefined || known?.enabled !== true) return;
		known.enabled = false;
		this.#tables?.update(TABLE, endpoint.network.id, endpoint.id, recordOf(known.endpoint, true));
		this.#bindings.remove(endpoint.network.id, joined.names, known.endpoint, { full: false });
	}

	/** An endpoint leaves its sandbox: nobody hears of it any more. Nothing for one that took no part. */
	removeService(endpoint: Endpoint): void {
		const joined = this.#networks.get(endpoint.network.id);
		const known = joined?.own.get(endpoint.id);
		if (joined === undefined || known === undefined) return;
		joined.own.delete(endpoint.id);
		this.#tables?.delete(TABLE, endpoint.network.id, endpoint.id);
		this.#bindings.remove(endpoint.network.id, joined.names, known.endpoint, { full: true });
	}

	// ── endpoints of others ───────────────────────────────────────────────────────────────────────

	/** What the gossip tells (`handleEpTableEvent`). Entries that name no endpoint are passed over. */
	#heard(change: TableChange): void {
		const joined = this.#networks.get(change.network);
		const told = readRecord(change.key, change.value);
		if (joined === undefined || told === undefined) return;
		const { endpoint, disabled } = told;
		const { id } = joined.network;
		if (change.kind === "create") {
			// One that this node hears of late may wind down already.
			if (!disabled) this.#bindings.add(id, joined.names, endpoint);
		} else if (change.kind === "delete") this.#bindings.remove(id, joined.names, endpoint, { full: true });
		else if (disabled && endpoint.service !== undefined)
			this.#bindings.remove(id, joined.names, endpoint, { full: false });
	}

	/** `Services` of `docker network inspect --verbose`; empty for networks that are not the cluster's. */
	services(network: Network): Readonly<Record<string, ServiceJson>> {
		if (this.#tables === undefined || !this.#networks.has(network.id)) return {};
		return servicesJson(this.#tables, network.id, (service) => this.#bindings.fwMark(service, network.id));
	}
}
