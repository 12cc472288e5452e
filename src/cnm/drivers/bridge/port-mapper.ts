import { formatIp4, type Ip4 } from "../../../addr/index.ts";
import { NetError } from "../../../errors.ts";
import { failed } from "../../docker-error.ts";
import type { PortBinding, PortMapping } from "../../driver.ts";
import { undoing } from "../../undo.ts";
import type { Firewall, PortRule } from "./firewall.ts";
import type { PortAllocator } from "./port-allocator.ts";

/** Holds the host's end of a published port, as docker-proxy does. */
export interface PortProxy {
	/** Ends it and frees the port. */
	close(): void;
}

/** What a proxy is for. */
export interface ProxyRequest {
	readonly proto: "tcp" | "udp";
	/** "0.0.0.0", "::", "127.0.0.1". */
	readonly hostIp: string;
	readonly hostPort: number;
	readonly containerIp: string;
	readonly containerPort: number;
}

/** Starts what answers at the host's end of a port. Throws `NetError` EADDRINUSE where the port is taken. */
export type StartProxy = (request: ProxyRequest) => PortProxy;

interface Mapped {
	readonly rule: PortRule;
	readonly proxies: readonly PortProxy[];
}

/** Tries before the daemon gives up on ports of its own choice (`maxAllocatePortAttempts`). */
const ATTEMPTS = 10;
/** bind(2)'s errors as Go prints them. */
const WHY: Readonly<Record<string, string>> = {
	EADDRINUSE: "address already in use",
	EADDRNOTAVAIL: "cannot assign requested address",
};

/** Publishes ports of one host: reserves them, writes their rules, starts their proxies. Reference: libnetwork portmapper. */
export class PortMapper {
	readonly #firewall: Firewall;
	readonly #allocator: PortAllocator;
	readonly #startProxy: StartProxy;
	readonly #ipv6: boolean;
	readonly #mapped = new Map<string, Mapped>();

	/** `ipv6`: a port on all addresses is also on `::`, which only a proxy serves. */
	constructor(firewall: Firewall, allocator: PortAllocator, startProxy: StartProxy, ipv6: boolean) {
		this.#firewall = firewall;
		this.#allocator = allocator;
		this.#startProxy = startProxy;
		this.#ipv6 = ipv6;
	}

	/** Publishes ports, all or none. Throws `DockerError`. */
	map(bridge: string, containerIp: Ip4, hostBinding: Ip4, bindings: readonly PortBinding[]): PortMapping[] {
		return undoing((undo) =>
			bindings.flatMap((binding) => {
				const mapping = this.#mapOne(bridge, containerIp, hostBinding, binding);
				undo(() => {
					this.unmap([mapping]);
				});
				// What is on all addresses is on those of IPv6, too, if a proxy is there.
				return this.#ipv6 && mapping.hostIp === "0.0.0.0"
					? [mapping, { ...mapping, hostIp: "::" }]
					: [mapping];
			}),
		);
	}

	#mapOne(bridge: string, containerIp: Ip4, hostBinding: Ip4, binding: PortBinding): PortMapping {
		for (let attempt = 1; ; attempt++) {
			try {
				return this.#attempt(bridge, containerIp, binding.hostIp ?? hostBinding, binding);
			} catch (error) {
				// A port, or a range, of the user's choice is tried once.
				if (binding.hostPort !== 0 || attempt >= ATTEMPTS) throw error;
			}
		}
	}

	#attempt(bridge: string, containerIp: Ip4, hostIp: Ip4, binding: PortBinding): PortMapping {
		const { proto, port } = binding;
		return undoing((undo) => {
			const hostPort = this.#allocator.request(hostIp, proto, binding.hostPort, binding.hostPortEnd);
			undo(() => {
				this.#allocator.release(hostIp, proto, hostPort);
			});
			const rule = { bridge, proto, hostIp, hostPort, containerIp, containerPort: port };
			this.#firewall.addPort(rule);
			undo(() => {
				this.#firewall.removePort(rule);
			});
			const host = formatIp4(hostIp);
			const proxies = [host, ...(this.#ipv6 && hostIp === 0 ? ["::"] : [])].map((address) => {
				const proxy = this.#start({
					proto,
					hostIp: address,
					hostPort,
					containerIp: formatIp4(containerIp),
					containerPort: port,
				});
				undo(() => {
					proxy.close();
				});
				return proxy;
			});
			this.#mapped.set(key(host, hostPort, proto), { rule, proxies });
			return { proto, port, hostIp: host, hostPort };
		});
	}

	/** Starts what holds the port; where somebody else has it already, the daemon says so in Go's words. */
	#start(request: ProxyRequest): PortProxy {
		try {
			return this.#startProxy(request);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			const { proto, hostIp, hostPort } = request;
			const [family, at] = hostIp.includes(":") ? ["6", `[${hostIp}]`] : ["4", hostIp];
			const why = WHY[error.code] ?? error.message;
			const what = `listen ${proto}${family} ${at}:${String(hostPort)}: bind: ${why}`;
			throw failed(this.#ipv6 ? `Error starting userland proxy: ${what}` : what, {
				remedy: "Publish another port, or end the program on the host that has this one.",
				context: { hostIp, hostPort, proto },
			});
		}
	}

	/** Ports are no longer published. */
	unmap(mappings: readonly PortMapping[]): void {
		for (const { hostIp, hostPort, proto } of mappings) {
			const name = key(hostIp, hostPort, proto);
			const mapped = this.#mapped.get(name);
			if (mapped === undefined) continue;
			this.#mapped.delete(name);
			for (const proxy of mapped.proxies) proxy.close();
			this.#firewall.removePort(mapped.rule);
			this.#allocator.release(mapped.rule.hostIp, proto, hostPort);
		}
	}
}

const key = (ip: string, port: number, proto: string): string => `${ip}:${String(port)}/${proto}`;
