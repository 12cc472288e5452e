import { type Ip4, type Prefix4 } from "../../../addr/index.ts";
import { NetError } from "../../../errors.ts";
import type { Bridge, Veth } from "../../../link/index.ts";
import { IpNamespace } from "../../../stack/index.ts";
import { DockerError, failed, forbidden, invalid } from "../../docker-error.ts";
import type {
	EndpointInfo,
	JoinInfo,
	LinkOptions,
	NetworkDriver,
	NetworkInfo,
	PortBinding,
	PortMapping,
} from "../../driver.ts";
import { type Ids, macOf } from "../../ids.ts";
import { overlap } from "../../ipam/index.ts";
import { undoing } from "../../undo.ts";
import { errno } from "../errno.ts";
import type { Firewall, LinkRule } from "./firewall.ts";
import { type BridgeConfig, readOptions } from "./options.ts";
import type { PortMapper } from "./port-mapper.ts";

interface BridgeEndpoint {
	readonly ip: Ip4;
	readonly mac: string;
	/** What goes into the sandbox. */
	readonly inner: Veth;
	readonly outer: Veth;
	mappings: readonly PortMapping[];
	/** `--link`, while it is joined. */
	links: LinkOptions | undefined;
}

interface BridgeNetwork {
	readonly id: string;
	readonly config: BridgeConfig;
	readonly device: Bridge;
	/** The bridge's own address and its subnet. */
	readonly address: Prefix4;
	readonly gateway: Ip4;
	readonly internal: boolean;
	/** The daemon made the device: it goes with the network. */
	readonly ours: boolean;
	readonly endpoints: Map<string, BridgeEndpoint>;
}

/** What the driver works with. */
export interface BridgeDriverOptions {
	readonly ns: IpNamespace;
	readonly ids: Ids;
	readonly firewall: Firewall;
	readonly ports: PortMapper;
	readonly userlandProxy: boolean;
}

/**
 * The bridge driver: a Linux bridge per network, a veth pair per endpoint, rules in the host's iptables.
 *
 *     container eth0 ── vethXXXXXXX ─ br-0123456789ab ─ host's stack ─ NAT ─ outside
 *
 * Reference: libnetwork drivers/bridge/bridge.go.
 */
export class BridgeDriver implements NetworkDriver {
	readonly type = "bridge";
	readonly addresses = true;
	readonly #ns: IpNamespace;
	readonly #ids: Ids;
	readonly #firewall: Firewall;
	readonly #ports: PortMapper;
	readonly #userlandProxy: boolean;
	readonly #networks = new Map<string, BridgeNetwork>();

	constructor({ ns, ids, firewall, ports, userlandProxy }: BridgeDriverOptions) {
		this.#ns = ns;
		this.#ids = ids;
		this.#firewall = firewall;
		this.#ports = ports;
		this.#userlandProxy = userlandProxy;
		// `modprobe -va bridge br_netfilter`, when the daemon starts.
		ns.kernel.modprobe("br_netfilter");
	}

	createNetwork(network: NetworkInfo): void {
		const config = readOptions(network.id, network.options);
		const [data, second] = network.ipv4;
		if (data === undefined || second !== undefined)
			throw forbidden("bridge driver doesn't support multiple subnets");
		const address = { address: data.gateway, length: data.pool.length };
		this.#checkConflicts(network.id, config, address);
		const aux = data.auxAddresses["DefaultGatewayIPv4"];
		undoing((undo) => {
			const [device, ours] = this.#device(config);
			undo(() => {
				if (ours) device.delete();
			});
			if (config.mtu > 0) setMtu(device, config.mtu);
			if (!config.inhibitIpv4) setAddress(this.#ns, device, address);
			if (!this.#userlandProxy) this.#ns.sysctl.set(`net.ipv4.conf.${config.name}.route_localnet`, 1);
			// Without it, rules about what stays on a bridge would see nothing (`setupBridgeNetFiltering`).
			if (!config.enableIcc || !this.#userlandProxy)
				this.#ns.sysctl.set("net.bridge.bridge-nf-call-iptables", 1);
			this.#firewall.addNetwork(config, address, network.internal);
			device.up();
			this.#networks.set(network.id, {
				id: network.id,
				config,
				device,
				address,
				gateway: aux ?? data.gateway,
				internal: network.internal,
				ours,
				endpoints: new Map(),
			});
		});
	}

	/** `Conflicts`: two networks have neither one bridge nor overlapping subnets. */
	#checkConflicts(id: string, config: BridgeConfig, address: Prefix4): void {
		for (const other of this.#networks.values()) {
			const why =
				other.config.name === config.name
					? "networks have same bridge name"
					: overlap(other.address, address)
						? "networks have overlapping IPv4"
						: undefined;
			if (why === undefined) continue;
			throw forbidden(
				`cannot create network ${id} (${config.name}): conflicts with network ${other.id} (${other.config.name}): ${why}`,
			);
		}
	}

	/** The device that is there already by that name, or a new one. */
	#device(config: BridgeConfig): readonly [device: Bridge, ours: boolean] {
		if (this.#ns.hasDevice(config.name)) {
			const device = this.#ns.device(config.name);
			if (device.kind === "bridge") return [this.#ns.bridge(config.name), false];
			throw failed(`bridge setup failed: failed to create bridge ${config.name} via netlink: file exists`);
		}
		// One that says it is docker0 under another name is somebody else's to make (`setupDevice`).
		if (config.defaultBridge && config.name !== "docker0")
			throw forbidden(`bridge device with non default name ${config.name} must be created manually`);
		try {
			const device = this.#ns.addBridge(config.name, { mac: this.#ids.bridgeMac() });
			device.txQueueLength = 0; // as netlink has it when nobody says
			return [device, true];
		} catch (error) {
			if (!(error instanceof RangeError || error instanceof NetError)) throw error;
			throw failed(`failed to create bridge ${config.name} via netlink: numerical result out of range`, {
				remedy: "The name of a device has at most 15 characters.",
			});
		}
	}

	deleteNetwork(networkId: string): void {
		const network = this.#network(networkId);
		this.#networks.delete(networkId);
		this.#firewall.removeNetwork(network.config, network.address);
		if (network.ours) network.device.delete();
	}

	createEndpoint(networkId: string, endpoint: EndpointInfo): void {
		const { config, device, endpoints } = this.#network(networkId);
		const { address, macAddress } = endpoint;
		if (address === undefined) throw invalid("bridge endpoints have an IPv4 address");
		const taken = (name: string): boolean => this.#ns.hasDevice(name);
		const hostName = this.#ids.interfaceName(taken);
		const innerName = this.#ids.interfaceName((name) => name === hostName || taken(name));
		undoing((undo) => {
			const [inner, outer] = IpNamespace.addVethPair(
				{ ns: this.#ns, name: innerName },
				{ ns: this.#ns, name: hostName },
			);
			undo(() => {
				outer.delete();
			});
			for (const end of [inner, outer]) {
				end.txQueueLength = 0;
				if (config.mtu > 0) end.setMtu(config.mtu);
			}
			try {
				const port = device.attach(outer);
				if (!this.#userlandProxy) port.set({ hairpin: true });
			} catch (error) {
				if (!(error instanceof NetError)) throw error;
				throw failed(`adding interface ${hostName} to bridge ${config.name} failed: ${errno(error)}`);
			}
			outer.up();
			const mac = macAddress ?? macOf(address.address);
			endpoints.set(endpoint.id, { ip: address.address, mac, inner, outer, mappings: [], links: undefined });
		});
	}

	deleteEndpoint(networkId: string, endpointId: string): void {
		const { endpoints } = this.#network(networkId);
		endpoints.get(endpointId)?.outer.delete();
		endpoints.delete(endpointId);
	}

	macAddress(networkId: string, endpointId: string): string {
		return this.#endpoint(networkId, endpointId).mac;
	}

	join(networkId: string, endpointId: string): JoinInfo {
		const { config, gateway } = this.#network(networkId);
		const { inner, mac } = this.#endpoint(networkId, endpointId);
		return { device: inner, from: this.#ns, prefix: config.ifacePrefix, mac, gateway };
	}

	leave(networkId: string, endpointId: string): void {
		const network = this.#network(networkId);
		const endpoint = network.endpoints.get(endpointId);
		if (endpoint === undefined) return;
		for (const rule of linkRules(network, endpoint)) this.#firewall.removeLink(rule);
		endpoint.links = undefined;
		// Both ends go: what is in a sandbox is not used again.
		endpoint.outer.delete();
	}

	programExternalConnectivity(
		networkId: string,
		endpointId: string,
		ports: readonly PortBinding[],
		links?: LinkOptions,
	): readonly PortMapping[] {
		const network = this.#network(networkId);
		const { config, internal } = network;
		if (internal) return [];
		const endpoint = this.#endpoint(networkId, endpointId);
		endpoint.mappings = this.#ports.map(config.name, endpoint.ip, config.hostBinding, ports);
		endpoint.links = links;
		for (const rule of linkRules(network, endpoint)) this.#firewall.addLink(rule);
		return endpoint.mappings;
	}

	revokeExternalConnectivity(networkId: string, endpointId: string): void {
		const endpoint = this.#endpoint(networkId, endpointId);
		this.#ports.unmap(endpoint.mappings);
		endpoint.mappings = [];
		// Flows that were led to it, or to its proxy, must not outlive the rules (`clearEndpointConnections`).
		const { ip } = endpoint;
		this.#ns.netfilter.trackedBy?.forgetAll(({ reply }) => reply.source === ip || reply.destination === ip);
	}

	#network(id: string): BridgeNetwork {
		const network = this.#networks.get(id);
		if (network === undefined) throw new DockerError(404, `network ${id} does not exist`);
		return network;
	}

	#endpoint(networkId: string, id: string): BridgeEndpoint {
		const endpoint = this.#network(networkId).endpoints.get(id);
		if (endpoint === undefined) throw new DockerError(404, `endpoint not found: ${id}`);
		return endpoint;
	}
}

/** Where containers are kept apart: an endpoint to the exposed ports of those it is linked to. */
function linkRules({ config, endpoints }: BridgeNetwork, { ip, links }: BridgeEndpoint): LinkRule[] {
	if (config.enableIcc) return [];
	const found: LinkRule[] = [];
	for (const id of links?.children ?? []) {
		const child = endpoints.get(id);
		// libnetwork gives up here, so that rules to a container that went first stay until the host starts anew.
		if (child === undefined) return found;
		for (const { proto, port } of child.links?.exposed ?? [])
			found.push({ bridge: config.name, proto, parent: ip, child: child.ip, port });
	}
	return found;
}

function setMtu(device: Bridge, mtu: number): void {
	try {
		device.setMtu(mtu);
	} catch (error) {
		if (!(error instanceof NetError)) throw error;
		throw failed(`failed to set bridge MTU: invalid argument`, { context: { mtu } });
	}
}

function setAddress(ns: IpNamespace, device: Bridge, address: Prefix4): void {
	const own = ns.inDevice(device)?.addresses ?? [];
	if (own.some(({ prefix }) => prefix.address === address.address && prefix.length === address.length))
		return;
	device.addAddress(address);
}
