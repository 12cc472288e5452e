import type { EndpointSpec, ServiceEndpoint, ServiceObject, ServicePort } from "../../objects.ts";
import type { Reader } from "../../store/tables.ts";
import { same } from "../same.ts";
import { AllocationError } from "./allocation-error.ts";
import type { NetworkPools } from "./network-pools.ts";
import { type PortSpaces, stickyPorts } from "./port-spaces.ts";

/** Whether any port is published by the cluster's load balancers. */
export const needsIngress = ({ ports }: EndpointSpec): boolean =>
	ports.some(({ publishMode }) => publishMode === "ingress");

/** The ingress network's id, if there is one. */
export const ingressOf = (reader: Reader): string | undefined =>
	reader.all("network").find(({ spec }) => spec.ingress)?.id;

/** Gives services their ports and virtual IPs. */
export class Endpoints {
	readonly #pools: NetworkPools;
	readonly #ports: PortSpaces;

	constructor(pools: NetworkPools, ports: PortSpaces) {
		this.#pools = pools;
		this.#ports = ports;
	}

	/** Networks a service has a virtual IP on, ingress first. */
	#networks({ spec }: ServiceObject, ingress: string | undefined): readonly string[] {
		if (spec.endpoint.mode === "dnsrr") return [];
		const own = spec.task.networks
			.map(({ target }) => target)
			.filter((target) => !this.#pools.has(target) || this.#pools.gives(target));
		// One that the service is on twice is one virtual IP.
		return [...new Set(needsIngress(spec.endpoint) && ingress !== undefined ? [ingress, ...own] : own)];
	}

	/** Whether a service has all that its spec asks for (swarmkit `IsServiceAllocated`). */
	complete(service: ServiceObject, ingress: string | undefined): boolean {
		const { spec, endpoint } = service;
		const networks = this.#networks(service, ingress);
		if (endpoint === undefined) return networks.length === 0 && spec.endpoint.ports.length === 0;
		if (needsIngress(spec.endpoint) && ingress === undefined) return false;
		const { virtualIps } = endpoint;
		return (
			same(endpoint.spec, spec.endpoint) &&
			virtualIps.length === networks.length &&
			networks.every((id) => virtualIps.some(({ networkId }) => networkId === id))
		);
	}

	/** What a service gets. What it has it keeps. Throws AllocationError, and nothing is taken then. */
	allocate(service: ServiceObject, ingress: string | undefined): ServiceEndpoint {
		const { spec, endpoint: had } = service;
		if (needsIngress(spec.endpoint) && ingress === undefined)
			throw new AllocationError("ingress network is missing");
		const undo: (() => void)[] = [];
		try {
			const ports = this.#takePorts(spec.endpoint.ports, had?.ports ?? [], undo);
			const networks = this.#networks(service, ingress);
			const kept = (had?.virtualIps ?? []).filter(({ networkId }) => networks.includes(networkId));
			const virtualIps = networks.map((networkId) => {
				const old = kept.find((each) => each.networkId === networkId);
				if (old !== undefined) return old;
				const addr = this.#takeVip(networkId);
				undo.push(() => {
					this.#pools.release(networkId, addr);
				});
				return { networkId, addr };
			});
			for (const vip of had?.virtualIps ?? []) {
				if (!kept.includes(vip)) this.#pools.release(vip.networkId, vip.addr);
			}
			return { spec: spec.endpoint, mode: spec.endpoint.mode, ports, virtualIps };
		} catch (error) {
			for (const step of undo.reverse()) step();
			throw error;
		}
	}

	#takePorts(
		wanted: readonly ServicePort[],
		had: readonly ServicePort[],
		undo: (() => void)[],
	): readonly ServicePort[] {
		// The old ones are given back first: the same service may have them again in another place.
		for (const port of had) this.#ports.release(port);
		const taken: ServicePort[] = [];
		undo.push(() => {
			for (const port of taken) this.#ports.release(port);
			for (const port of had) this.#ports.take(port);
		});
		for (const port of stickyPorts(wanted, had)) taken.push(this.#ports.take(port));
		return taken;
	}

	#takeVip(networkId: string): string {
		try {
			return this.#pools.take(networkId);
		} catch (error) {
			if (error instanceof AllocationError && error.message === "could not find an available IP")
				throw new AllocationError("could not find an available IP while allocating VIP");
			throw error;
		}
	}

	/** Takes what a service is known to have. */
	restore({ endpoint }: ServiceObject): void {
		for (const port of endpoint?.ports ?? []) this.#ports.take(port);
		for (const { networkId, addr } of endpoint?.virtualIps ?? []) this.#pools.take(networkId, addr);
	}

	/** Gives all of a service's back. */
	release({ endpoint }: ServiceObject): void {
		for (const port of endpoint?.ports ?? []) this.#ports.release(port);
		for (const { networkId, addr } of endpoint?.virtualIps ?? []) this.#pools.release(networkId, addr);
	}
}
