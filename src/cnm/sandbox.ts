import type { IpNamespace } from "../stack/index.ts";
import { DockerError } from "./docker-error.ts";
import type { LinkOptions, PortBinding, PortMapping } from "./driver.ts";
import type { Endpoint } from "./endpoint.ts";
import { EndpointHeap } from "./endpoint-heap.ts";
import { type GatewayService, gatewayName, isGatewayEndpoint, needsGateway } from "./gateway.ts";
import { undoing } from "./undo.ts";

/** What a sandbox is made of. */
export interface SandboxOptions {
	/** 64 digits; `ingress_sbox`, `lb_` and a network's id. */
	readonly id: string;
	/** The container's id; `ingress-sbox`, `lb-` and a network's name. */
	readonly containerId: string;
	readonly ns: IpNamespace;
	/** False for the host's namespace: nothing in it is the sandbox's own. */
	readonly own: boolean;
	/** What is to be published. */
	readonly ports?: readonly PortBinding[];
	/** Who is linked to whom on docker0. */
	readonly links?: LinkOptions;
	/** It stands for a network's load balancer: no endpoint of it has or changes the way out. */
	readonly loadBalancer?: boolean;
	/** Where the way out comes from when its networks have none; none then unless said. */
	readonly gateway?: GatewayService;
}

/**
 * A container's share of the network, or a load balancer's: a namespace, the endpoints in it, and which of them has the
 * default route.
 *
 * Interfaces are eth0, eth1 …, in the order in which they come; a number is not used again while the container
 * runs. The default route is that of the first endpoint that has a gateway, in the order of `EndpointHeap`. When none
 * has and one should, the sandbox gets an endpoint on docker_gwbridge, and loses it again with the need.
 */
export class Sandbox {
	readonly id: string;
	/** Whose it is: the key in `docker network inspect`. */
	readonly containerId: string;
	readonly ns: IpNamespace;
	/** False for the host's namespace: nothing in it is the sandbox's own. */
	readonly own: boolean;
	readonly #ports: readonly PortBinding[];
	readonly #links: LinkOptions | undefined;
	readonly #loadBalancer: boolean;
	readonly #gatewayService: GatewayService | undefined;
	readonly #endpoints = new EndpointHeap();
	readonly #next = new Map<string, number>();
	#gateway: Endpoint | undefined;
	/** Where the default route leads. */
	#routed: Endpoint | undefined;
	/** Its processes have ended: commands show it no longer. */
	leaving = false;
	/** It goes, and wants no way out any more. */
	#ending = false;

	constructor({
		id,
		containerId,
		ns,
		own,
		ports = [],
		links,
		loadBalancer = false,
		gateway,
	}: SandboxOptions) {
		this.id = id;
		this.containerId = containerId;
		this.ns = ns;
		this.own = own;
		this.#ports = ports;
		this.#links = links;
		this.#loadBalancer = loadBalancer;
		this.#gatewayService = gateway;
	}

	/** Its endpoints, the first choice for the default route first. */
	get endpoints(): readonly Endpoint[] {
		return this.#endpoints.all;
	}

	/** The endpoint with the default route. */
	get gateway(): Endpoint | undefined {
		return this.#gateway;
	}

	/** A container starts: all its endpoints join, then interfaces are made. Throws `DockerError`, nothing changed. */
	joinAll(endpoints: readonly Endpoint[]): void {
		undoing((undo) => {
			for (const endpoint of endpoints) {
				this.#enter(endpoint);
				undo(() => {
					this.leave(endpoint);
				});
			}
			for (const endpoint of this.endpoints) this.#populate(endpoint);
			this.#route();
			for (const endpoint of this.endpoints) endpoint.network.publish(endpoint, this);
		});
	}

	/** An endpoint joins. Throws `DockerError`, nothing changed. */
	join(endpoint: Endpoint): void {
		undoing((undo) => {
			const numbers = new Map(this.#next);
			const entered = this.#enter(endpoint);
			undo(() => {
				this.leave(endpoint);
				this.#next.clear();
				for (const [prefix, number] of numbers) this.#next.set(prefix, number);
			});
			for (const each of entered) this.#populate(each);
			this.#route();
			for (const each of entered) each.network.publish(each, this);
		});
	}

	/** Joins by the driver and sees to the way out; says who came, a new endpoint on docker_gwbridge too (`sbJoin`). */
	#enter(endpoint: Endpoint): readonly Endpoint[] {
		const { network } = endpoint;
		return undoing((undo) => {
			endpoint.joinInfo = network.driver.join(network.id, endpoint.id);
			endpoint.sandbox = this;
			endpoint.gateway = endpoint.joinInfo.gateway;
			this.#endpoints.push(endpoint);
			undo(() => {
				this.#forget(endpoint);
				network.driver.leave(network.id, endpoint.id);
			});
			if (this.#loadBalancer) return [endpoint];
			const came = this.#setupGateway();
			if (came.length > 0) return [endpoint, ...came];
			const old = this.#gateway;
			undo(() => {
				this.#moveGateway(old);
			});
			this.#moveGateway(this.#choice());
			if (!needsGateway(this.endpoints)) this.#clearGateway();
			return [endpoint];
		});
	}

	/** Moves the device in and sets it up (`AddInterface`, `configureInterface`). */
	#populate(endpoint: Endpoint): void {
		const { joinInfo } = endpoint;
		if (!this.own || joinInfo?.device === undefined || joinInfo.from === undefined) return;
		const { device, prefix = "eth" } = joinInfo;
		const number = this.#next.get(prefix) ?? 0;
		this.#next.set(prefix, number + 1);
		joinInfo.from.move(device, this.ns, `${prefix}${String(number)}`);
		endpoint.device = device;
		if (joinInfo.mac !== undefined) device.setMac(joinInfo.mac);
		if (endpoint.address !== undefined) device.addAddress(endpoint.address);
		device.up();
		for (const { destination, nextHop } of joinInfo.routes ?? [])
			this.ns.routes.add(destination, { dev: device, ...(nextHop === undefined ? {} : { via: nextHop }) });
	}

	/** An endpoint leaves; its interface goes with it (`sbLeave`). */
	leave(endpoint: Endpoint): void {
		const { network } = endpoint;
		const moves = this.#gateway === endpoint;
		if (moves) {
			this.#revoke(endpoint);
			this.#gateway = undefined;
		}
		this.#forget(endpoint);
		network.driver.leave(network.id, endpoint.id);
		network.withdraw(endpoint, this);
		if (this.#loadBalancer) return;
		const came = this.#ending ? [] : this.#trySetupGateway();
		for (const each of came) {
			this.#populate(each);
			each.network.publish(each, this);
		}
		if (came.length === 0) {
			this.#moveGateway(this.#choice());
			if (!needsGateway(this.endpoints)) this.#clearGateway();
		}
		this.#route();
	}

	#forget(endpoint: Endpoint): void {
		this.#endpoints.remove(endpoint);
		if (this.#routed === endpoint) this.#routed = undefined;
		endpoint.sandbox = null;
		endpoint.gateway = undefined;
		endpoint.joinInfo = undefined;
		endpoint.device = null;
	}

	/** All leave: the container stops. */
	clear(): void {
		this.#ending = true;
		// The one with the default route last: nothing moves to another that goes next.
		for (const endpoint of this.endpoints.toReversed()) {
			// The one on docker_gwbridge goes by itself when nobody needs it.
			if (!isGatewayEndpoint(endpoint)) this.leave(endpoint);
		}
		this.#clearGateway();
		this.#ending = false;
	}

	// ── the way out ───────────────────────────────────────────────────────────────────────────────

	/** An endpoint on docker_gwbridge when one is needed and not there (`setupDefaultGW`); says what came. */
	#setupGateway(): readonly Endpoint[] {
		const service = this.#gatewayService;
		if (service === undefined || !this.own || !needsGateway(this.endpoints)) return [];
		if (this.endpoints.some(isGatewayEndpoint)) return [];
		return undoing((undo) => {
			const network = service.network();
			const endpoint = network.createEndpoint({
				id: service.endpointId(),
				name: gatewayName(this),
				dnsNames: [],
			});
			undo(() => {
				network.deleteEndpoint(endpoint);
			});
			return this.#enter(endpoint);
		});
	}

	/** Leaving does not fail for want of another way out: the sandbox has none then. */
	#trySetupGateway(): readonly Endpoint[] {
		try {
			return this.#setupGateway();
		} catch (error) {
			if (error instanceof DockerError) return [];
			throw error;
		}
	}

	/** The endpoint on docker_gwbridge goes, if there is one (`clearDefaultGW`). */
	#clearGateway(): void {
		const endpoint = this.endpoints.find(isGatewayEndpoint);
		if (endpoint !== undefined) endpoint.network.deleteEndpoint(endpoint);
	}

	/** `getGatewayEndpoint`. */
	#choice(): Endpoint | undefined {
		return this.endpoints.find(({ gateway }) => gateway !== undefined);
	}

	/** Published ports move with the way out. */
	#moveGateway(to: Endpoint | undefined): void {
		const from = this.#gateway;
		if (from === to) return;
		if (from !== undefined && from.sandbox === this) this.#revoke(from);
		this.#gateway = undefined;
		if (to === undefined) return;
		to.mappings = this.#program(to);
		this.#gateway = to;
		this.#route();
	}

	/** The default route follows, once the device is here. */
	#route(): void {
		const [from, to] = [this.#routed, this.#gateway];
		if (!this.own || from === to) return;
		if (from?.device !== undefined && from.device !== null)
			this.ns.routes.del("default", { dev: from.device });
		this.#routed = undefined;
		if (to?.gateway === undefined || to.device === null) return;
		this.ns.routes.add("default", { via: to.gateway, dev: to.device });
		this.#routed = to;
	}

	#program(endpoint: Endpoint): readonly PortMapping[] {
		const { network, id, name } = endpoint;
		try {
			return network.driver.programExternalConnectivity?.(network.id, id, this.#ports, this.#links) ?? [];
		} catch (error) {
			if (!(error instanceof DockerError)) throw error;
			const why = `driver failed programming external connectivity on endpoint ${name} (${id}): ${error.daemonMessage}`;
			throw new DockerError(error.status, why, {
				context: error.context,
				...(error.remedy === undefined ? {} : { remedy: error.remedy }),
			});
		}
	}

	#revoke(endpoint: Endpoint): void {
		const { network } = endpoint;
		network.driver.revokeExternalConnectivity?.(network.id, endpoint.id);
		endpoint.mappings = [];
	}
}
