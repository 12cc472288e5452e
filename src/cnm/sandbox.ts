import type { IpNamespace } from "../stack/index.ts";
import { DockerError } from "./docker-error.ts";
import type { JoinInfo, PortBinding, PortMapping } from "./driver.ts";
import type { Endpoint } from "./endpoint.ts";
import { undoing } from "./undo.ts";

/**
 * A container's share of the network: a namespace, the endpoints in it, and which of them has the default route.
 *
 * Interfaces are eth0, eth1 …, in the order in which they come; a number is not used again while the container
 * runs. The default route is the first endpoint's that has a gateway, in the order of `compare`.
 */
export class Sandbox {
	readonly id: string;
	readonly ns: IpNamespace;
	/** False for the host's namespace: nothing in it is the sandbox's own. */
	readonly own: boolean;
	readonly #ports: readonly PortBinding[];
	readonly #endpoints: Endpoint[] = [];
	readonly #next = new Map<string, number>();
	#gateway: Endpoint | undefined;

	constructor(id: string, ns: IpNamespace, own: boolean, ports: readonly PortBinding[]) {
		this.id = id;
		this.ns = ns;
		this.own = own;
		this.#ports = ports;
	}

	/** Its endpoints, the first choice for the default route first. */
	get endpoints(): readonly Endpoint[] {
		return [...this.#endpoints].sort(compare);
	}

	/** The endpoint with the default route. */
	get gateway(): Endpoint | undefined {
		return this.#gateway;
	}

	/** A container starts: all its endpoints join, in the order of their claim to the default route. Throws `DockerError`, nothing changed. */
	joinAll(endpoints: readonly Endpoint[]): void {
		undoing((undo) => {
			for (const endpoint of [...endpoints].sort(compare)) {
				this.join(endpoint);
				undo(() => {
					this.leave(endpoint);
				});
			}
		});
	}

	/** An endpoint joins. Throws `DockerError`, nothing changed. */
	join(endpoint: Endpoint): void {
		const { network } = endpoint;
		undoing((undo) => {
			const info = network.driver.join(network.id, endpoint.id);
			endpoint.sandbox = this;
			endpoint.gateway = info.gateway;
			this.#endpoints.push(endpoint);
			undo(() => {
				this.#forget(endpoint);
				network.driver.leave(network.id, endpoint.id);
			});
			if (this.own) {
				const numbers = new Map(this.#next);
				undo(() => {
					this.#next.clear();
					for (const [prefix, number] of numbers) this.#next.set(prefix, number);
				});
				this.#populate(endpoint, info);
			}
			const old = this.#gateway;
			undo(() => {
				this.#moveGateway(old);
			});
			this.#moveGateway(this.#choice());
		});
	}

	/** Moves the device in and sets it up (`AddInterface`, `configureInterface`). */
	#populate(endpoint: Endpoint, info: JoinInfo): void {
		const { device, prefix = "eth" } = info;
		if (device === undefined || info.from === undefined) return;
		const number = this.#next.get(prefix) ?? 0;
		this.#next.set(prefix, number + 1);
		info.from.move(device, this.ns, `${prefix}${String(number)}`);
		endpoint.device = device;
		if (info.mac !== undefined) device.setMac(info.mac);
		if (endpoint.address !== undefined) device.addAddress(endpoint.address);
		device.up();
		for (const { destination, nextHop } of info.routes ?? [])
			this.ns.routes.add(destination, { dev: device, ...(nextHop === undefined ? {} : { via: nextHop }) });
	}

	/** An endpoint leaves; its interface goes with it. */
	leave(endpoint: Endpoint): void {
		const { network } = endpoint;
		if (this.#gateway === endpoint) this.#revoke(endpoint);
		this.#forget(endpoint);
		network.driver.leave(network.id, endpoint.id);
		if (this.#gateway === endpoint) this.#gateway = undefined;
		this.#moveGateway(this.#choice());
	}

	#forget(endpoint: Endpoint): void {
		const at = this.#endpoints.indexOf(endpoint);
		if (at >= 0) this.#endpoints.splice(at, 1);
		endpoint.sandbox = null;
		endpoint.gateway = undefined;
		endpoint.device = null;
	}

	/** All leave: the container stops. */
	clear(): void {
		// The one with the default route last: nothing moves to another that goes next.
		for (const endpoint of this.endpoints.toReversed()) this.leave(endpoint);
	}

	/** `getGatewayEndpoint`. */
	#choice(): Endpoint | undefined {
		return this.endpoints.find(({ gateway }) => gateway !== undefined);
	}

	#moveGateway(to: Endpoint | undefined): void {
		const from = this.#gateway;
		if (from === to) return;
		if (from !== undefined && from.sandbox === this) {
			this.#revoke(from);
			if (this.own && from.device !== null && from.gateway !== undefined)
				this.ns.routes.del("default", { dev: from.device });
		}
		this.#gateway = undefined;
		if (to === undefined) return;
		undoing((undo) => {
			if (this.own && to.device !== null && to.gateway !== undefined) {
				const { device } = to;
				this.ns.routes.add("default", { via: to.gateway, dev: device });
				undo(() => {
					this.ns.routes.del("default", { dev: device });
				});
			}
			to.mappings = this.#program(to);
			this.#gateway = to;
		});
	}

	#program(endpoint: Endpoint): readonly PortMapping[] {
		const { network, id, name } = endpoint;
		try {
			return network.driver.programExternalConnectivity?.(network.id, id, this.#ports) ?? [];
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

/** Which of two is rather the way out (`epHeap.Less`): internal networks last, then by the networks' names. */
function compare(a: Endpoint, b: Endpoint): number {
	const gwbridge = Number(a.network.name === GWBRIDGE) - Number(b.network.name === GWBRIDGE);
	if (gwbridge !== 0) return gwbridge;
	const internal = Number(a.network.internal) - Number(b.network.internal);
	if (internal !== 0) return internal;
	return a.network.name < b.network.name ? -1 : a.network.name > b.network.name ? 1 : 0;
}

const GWBRIDGE = "docker_gwbridge";
