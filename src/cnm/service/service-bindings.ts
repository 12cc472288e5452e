import type { Ip4 } from "../../addr/index.ts";
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
	/** By endpoint, in the order they came. */
	readonly backends: Map<string, { readonly ip: Ip4; disabled: boolean }>;
}

/** What balances: the sandboxes of this node. */
export interface Balancing {
	/** A task takes new connections; the service is made with its first. */
	addBackend(lb: LoadBalancer, ip: Ip4): void;
	/** A task takes none any more. */
	disableBackend(lb: LoadBalancer, ip: Ip4): void;
	/** A task is gone; with the last one the service goes (`last`). */
	removeBackend(lb: LoadBalancer, ip: Ip4, about: { readonly last: boolean }): void;
}

interface Service {
	readonly loadBalancers: Map<string, LoadBalancer>;
	/** Who has an address: while a task is replaced two may. */
	readonly ipToEndpoint: Map<Ip4, readonly string[]>;
}

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
			.flatMap(({ loadBalancers }) => loadBalancers.get(network) ?? [])
			.sort((a, b) => a.fwMark - b.fwMark);
	}

	/** The service's mark on a network; 0 for one that is not known (`getLBIndex`). */
	fwMark(service: Pick<ServiceOfTask, "id" | "ingressPorts">, network: string): number {
		return this.#services.get(keyOf(service))?.loadBalancers.get(network)?.fwMark ?? 0;
	}

	/** An endpoint is there: its names, and its service's share (`addServiceBinding`, `addContainerNameResolution`). */
	add(network: string, names: SvcRecords | undefined, endpoint: BoundEndpoint): void {
		const { service, endpointId, ip } = endpoint;
		if (service === undefined) {
			addOwnNames(names, endpoint);
			return;
		}
		const key = keyOf(service);
		const known: Service = this.#services.get(key) ?? { loadBalancers: new Map(), ipToEndpoint: new Map() };
		this.#services.set(key, known);
		let lb = known.loadBalancers.get(network);
		const first = lb === undefined;
		if (lb === undefined) {
			const { virtualIp: vip, ingressPorts } = service;
			lb = { network, vip, fwMark: this.#nextMark++, ingressPorts, backends: new Map() };
			known.loadBalancers.set(network, lb);
		}
		lb.backends.set(endpointId, { ip, disabled: false });
		const here = known.ipToEndpoint.get(ip) ?? [];
		if (!here.includes(endpointId)) known.ipToEndpoint.set(ip, here.concat(endpointId));
		this.#balancing.addBackend(lb, ip);

		addOwnNames(names, endpoint);
		const serviceNames = [service.name, ...service.aliases];
		for (const name of serviceNames) names?.add(`tasks.${name}`, service.id, ip, { reverse: false });
		// Names of a virtual address come with the service's first task, those of dnsrr with each.
		const address = service.virtualIp ?? ip;
		if (service.virtualIp !== undefined && !first) return;
		for (const name of serviceNames) names?.add(name, service.id, address, { reverse: false });
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
		const lb = known?.loadBalancers.get(network);
		const backend = lb?.backends.get(endpointId);
		if (known === undefined || lb === undefined || backend === undefined) return;
		if (full) lb.backends.delete(endpointId);
		else backend.disabled = true;
		const last = lb.backends.size === 0;
		if (last) known.loadBalancers.delete(network);
		const others = (known.ipToEndpoint.get(ip) ?? []).filter((each) => each !== endpointId);
		if (others.length > 0) known.ipToEndpoint.set(ip, others);
		else known.ipToEndpoint.delete(ip);
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
		if (known.loadBalancers.size === 0) this.#services.delete(key);
	}

	/** All endpoints of a network are gone for good; their names are the caller's to clear (`cleanupServiceBindings`). */
	clear(network: string): void {
		for (const [key, { loadBalancers, ipToEndpoint }] of this.#services) {
			const lb = loadBalancers.get(network);
			if (lb === undefined) continue;
			for (const [id, { ip }] of lb.backends) {
				lb.backends.delete(id);
				ipToEndpoint.delete(ip);
				this.#balancing.removeBackend(lb, ip, { last: lb.backends.size === 0 });
			}
			loadBalancers.delete(network);
			if (loadBalancers.size === 0) this.#services.delete(key);
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
