import type { Ip4 } from "../../addr/index.ts";
import { LayeredMap } from "../../layered-map.ts";
import type { BoundEndpoint, IngressPort, ServiceOfTask } from "./binding.ts";
import type { SvcRecords } from "./svc-records.ts";

/** The first mark: each service on each network gets the next (`fwMarkCtr`). */
const FIRST_MARK = 256;

/** A service on one network: its address, its mark, and the tasks behind it. */
export interface LoadBalancer {
	readonly network: string;
	/** Undefined for dnsrr: a mark is taken, nothing is balanced. */
	readonly vip: Ip4 | undefined;
	/** By what order this node saw it: other nodes have other marks. */
	readonly fwMark: number;
	readonly ingressPorts: readonly IngressPort[];
	/** By endpoint, in the order they came; what many nodes know alike they have in common. */
	readonly backends: LayeredMap<string, Backend>;
	/** Who has an address: while a task is replaced two may. */
	readonly endpoints: LayeredMap<Ip4, readonly string[]>;
}

/** A task behind a service. */
export interface Backend {
	readonly ip: Ip4;
	/** It winds down: it gets nothing new. */
	readonly disabled: boolean;
}

/** What balances: the sandboxes of this node. */
export interface Balancing {
	/** A task takes new connections; the service is made with its first. */
	addBackend(lb: LoadBalancer, ip: Ip4): void;
	/** All tasks that many nodes know of alike take new connections: they may wait until there is one. */
	addCommonBackends(lb: LoadBalancer): void;
	/** A task takes none any more. */
	disableBackend(lb: LoadBalancer, ip: Ip4): void;
	/** A task is gone; with the last one the service goes (`last`). */
	removeBackend(lb: LoadBalancer, ip: Ip4, about: { readonly last: boolean }): void;
}

/** The load balancers of one service, by network. */
type Service = Map<string, LoadBalancer>;

/**
 * Which tasks stand behind which services, as this node knows from its own and from others, and what follows for names
 * and load balancers. One service is counted once with its published ports, on ingress, and once without.
 *
 * Reference: libnetwork service_common.go, Docker 20.10.
 */
export class ServiceBindings {
	readonly #balancing: Balancing;
	readonly #services = new Map<string, Service>();
	#nextMark = FIRST_MARK;

	constructor(balancing: Balancing) {
		this.#balancing = balancing;
	}

	/** The services on a network, in the order of their marks. */
	loadBalancers(network: string): readonly LoadBalancer[] {
		return [...this.#services.values()]
			.flatMap((service) => service.get(network) ?? [])
			.sort((a, b) => a.fwMark - b.fwMark);
	}

	/** The service's mark on a network; 0 for one that is not known (`getLBIndex`). */
	fwMark(service: Pick<ServiceOfTask, "id" | "ingressPorts">, network: string): number {
		return this.#services.get(keyOf(service))?.get(network)?.fwMark ?? 0;
	}

	/** An endpoint is there: its names, and its service's share (`addServiceBinding`, `addContainerNameResolution`). */
	add(network: string, names: SvcRecords | undefined, endpoint: BoundEndpoint): void {
		const { service, endpointId, ip } = endpoint;
		if (service === undefined) {
			addOwnNames(names, endpoint);
			return;
		}
		const { virtualIp: vip, ingressPorts } = service;
		const { lb, first } = this.#loadBalancer(keyOf(service), network, { vip, ingressPorts });
		lb.backends.set(endpointId, { ip, disabled: false });
		const here = lb.endpoints.get(ip) ?? [];
		if (!here.includes(endpointId)) lb.endpoints.set(ip, here.concat(endpointId));
		this.#balancing.addBackend(lb, ip);

		addOwnNames(names, endpoint);
		const serviceNames = [service.name, ...service.aliases];
		for (const name of serviceNames) names?.add(`tasks.${name}`, service.id, ip, { reverse: false });
		// Names of a virtual address come with the service's first task, those of dnsrr with each.
		const address = service.virtualIp ?? ip;
		if (service.virtualIp !== undefined && !first) return;
		for (const name of serviceNames) names?.add(name, service.id, address, { reverse: false });
	}

	#loadBalancer(
		key: string,
		network: string,
		{ vip, ingressPorts }: Pick<LoadBalancer, "vip" | "ingressPorts">,
	): { readonly lb: LoadBalancer; readonly first: boolean } {
		const service: Service = this.#services.get(key) ?? new Map<string, LoadBalancer>();
		this.#services.set(key, service);
		const known = service.get(network);
		if (known !== undefined) return { lb: known, first: false };
		const fwMark = this.#nextMark++;
		const [backends, endpoints] = [
			new LayeredMap<string, Backend>(),
			new LayeredMap<Ip4, readonly string[]>(),
		];
		const lb = { network, vip, fwMark, ingressPorts, backends, endpoints };
		service.set(network, lb);
		return { lb, first: true };
	}

	/**
	 * All endpoints of a network that many nodes know of alike are there, as bindings of their own say, which must not change
	 * any more. Nothing that is known here is missing there.
	 */
	lay(network: string, common: ServiceBindings): void {
		for (const [key, service] of common.#services) {
			const there = service.get(network);
			if (there === undefined) continue;
			const { lb } = this.#loadBalancer(key, network, there);
			lb.backends.lay(there.backends.own);
			lb.endpoints.lay(there.endpoints.own);
			this.#balancing.addCommonBackends(lb);
		}
	}

	/**
	 * An endpoint winds down, or is gone for good with `full`: its names end, its service sends it nothing new
	 * (`rmServiceBinding`, `delContainerNameResolution`).
	 */
	remove(
		network: string,
		names: SvcRecords | undefined,
		endpoint: BoundEndpoint,
		{ full }: { readonly full: boolean },
	): void {
		const { service, endpointId, ip } = endpoint;
		if (service === undefined) {
			deleteOwnNames(names, endpoint);
			return;
		}
		const key = keyOf(service);
		const known = this.#services.get(key);
		const lb = known?.get(network);
		const backend = lb?.backends.get(endpointId);
		if (known === undefined || lb === undefined || backend === undefined) return;
		if (full) lb.backends.delete(endpointId);
		else lb.backends.set(endpointId, { ip: backend.ip, disabled: true });
		const last = lb.backends.size === 0;
		if (last) known.delete(network);
		const others = (lb.endpoints.get(ip) ?? []).filter((each) => each !== endpointId);
		if (others.length > 0) lb.endpoints.set(ip, others);
		else lb.endpoints.delete(ip);
		// Another endpoint has the address by now: what it balances and is called stays.
		const shared = others.length > 0;
		if (!shared && full) this.#balancing.removeBackend(lb, ip, { last });
		else if (!shared) this.#balancing.disableBackend(lb, ip);

		deleteOwnNames(names, endpoint);
		if (!shared) {
			const serviceNames = [service.name, ...service.aliases];
			for (const name of serviceNames) names?.delete(`tasks.${name}`, service.id, ip, { reverse: false });
			const address = service.virtualIp ?? ip;
			if (service.virtualIp === undefined || last)
				for (const name of serviceNames) names?.delete(name, service.id, address, { reverse: false });
		}
		if (known.size === 0) this.#services.delete(key);
	}

	/** All endpoints of a network are gone for good; their names are the caller's to clear (`cleanupServiceBindings`). */
	clear(network: string): void {
		for (const [key, service] of this.#services) {
			const lb = service.get(network);
			if (lb === undefined) continue;
			let left = lb.backends.size;
			for (const { ip } of lb.backends.values())
				this.#balancing.removeBackend(lb, ip, { last: --left === 0 });
			service.delete(network);
			if (service.size === 0) this.#services.delete(key);
		}
	}
}

/** A service is another one with other ports (`serviceKey`). */
const keyOf = ({ id, ingressPorts }: Pick<ServiceOfTask, "id" | "ingressPorts">): string =>
	[
		id,
		...ingressPorts.map(
			(port) => `${port.name} ${port.protocol} ${String(port.publishedPort)} ${String(port.targetPort)}`,
		),
	].join("\n");

function addOwnNames(names: SvcRecords | undefined, { name, aliases, endpointId, ip }: BoundEndpoint): void {
	for (const each of [name, ...aliases]) names?.add(each, endpointId, ip, { reverse: true });
}

function deleteOwnNames(
	names: SvcRecords | undefined,
	{ name, aliases, endpointId, ip }: BoundEndpoint,
): void {
	for (const each of [name, ...aliases]) names?.delete(each, endpointId, ip, { reverse: true });
}
