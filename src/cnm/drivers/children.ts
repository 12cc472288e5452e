import { formatMac, type Ip4, toPrefix4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Device } from "../../link/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { failed, forbidden, invalid, notFound } from "../docker-error.ts";
import type { EndpointInfo, IpamData, JoinInfo, NetworkDriver, NetworkInfo } from "../driver.ts";
import { type Ids, macOf, shortId } from "../ids.ts";
import { errno } from "./errno.ts";
import { findParent, type Parent } from "./parent.ts";

interface ChildNetwork {
	readonly id: string;
	readonly parent: Parent;
	readonly mode: string;
	readonly flag: string;
	readonly ipv4: readonly IpamData[];
	readonly endpoints: Map<string, ChildEndpoint>;
}

interface ChildEndpoint {
	readonly address: Ip4;
	readonly mac: string;
	device: Device | undefined;
}

/** What `drivers/macvlan` and `drivers/ipvlan` differ in. */
interface Kind {
	readonly modes: readonly string[];
	readonly flags: readonly string[];
	/** In front of the network's id in the name of the dummy parent. */
	readonly dummy: "dm-" | "di-";
}

const KINDS: Readonly<Record<"macvlan" | "ipvlan", Kind>> = {
	macvlan: { modes: ["bridge", "private", "vepa", "passthru"], flags: [], dummy: "dm-" },
	ipvlan: { modes: ["l2", "l3", "l3s"], flags: ["bridge", "private", "vepa"], dummy: "di-" },
};

/**
 * The macvlan and ipvlan drivers: containers on the wire of one of the host's devices. The child is made when the
 * endpoint joins. A parent that the daemon made goes with its network.
 *
 * Reference: libnetwork drivers/macvlan, drivers/ipvlan.
 */
export class ChildDriver implements NetworkDriver {
	readonly type: "macvlan" | "ipvlan";
	readonly addresses = true;
	readonly #kind: Kind;
	readonly #ns: IpNamespace;
	readonly #ids: Ids;
	readonly #networks = new Map<string, ChildNetwork>();

	constructor(type: "macvlan" | "ipvlan", ns: IpNamespace, ids: Ids) {
		this.type = type;
		this.#kind = KINDS[type];
		this.#ns = ns;
		this.#ids = ids;
	}

	createNetwork({ id, options, ipv4 }: NetworkInfo): void {
		const { modes, flags, dummy } = this.#kind;
		const [first = "", firstFlag = ""] = [modes[0], flags[0]];
		const mode = options[`${this.type}_mode`] ?? first;
		if (!modes.includes(mode)) {
			throw invalid(
				`requested ${this.type} mode '${mode}' is not valid, '${first}' mode is the ${this.type} driver default`,
			);
		}
		const flag = (this.type === "ipvlan" ? options["ipvlan_flag"] : undefined) ?? firstFlag;
		if (flags.length > 0 && !flags.includes(flag)) {
			throw invalid(
				`requested ipvlan flag '${flag}' is not valid, '${firstFlag}' is the ipvlan driver default`,
			);
		}
		const wanted = options["parent"] ?? "";
		for (const other of this.#networks.values()) {
			if (other.parent.device.name !== wanted) continue;
			throw forbidden(`network ${dummy}${shortId(other.id)} is already using parent interface ${wanted}`, {
				remedy: "Each network has a parent of its own: a VLAN for instance.",
			});
		}
		const parent = findParent(this.#ns, wanted, `${dummy}${shortId(id)}`, this.type);
		this.#networks.set(id, { id, parent, mode, flag, ipv4, endpoints: new Map() });
	}

	deleteNetwork(networkId: string): void {
		const { parent } = this.#network(networkId);
		this.#networks.delete(networkId);
		if (parent.ours) parent.device.delete();
	}

	createEndpoint(networkId: string, { id, address, macAddress }: EndpointInfo): void {
		const { endpoints } = this.#network(networkId);
		if (address === undefined) throw invalid(`create endpoint was not passed interface IP address`);
		if (this.type === "ipvlan" && macAddress !== undefined)
			throw invalid("ipvlan driver does not support setting MAC addresses");
		const mac = macAddress ?? macOf(address.address);
		endpoints.set(id, { address: address.address, mac, device: undefined });
	}

	deleteEndpoint(networkId: string, endpointId: string): void {
		const { endpoints } = this.#network(networkId);
		endpoints.get(endpointId)?.device?.delete();
		endpoints.delete(endpointId);
	}

	macAddress(networkId: string, endpointId: string): string {
		const network = this.#network(networkId);
		const endpoint = this.#endpoint(network, endpointId);
		return this.type === "macvlan" ? endpoint.mac : formatMac(network.parent.device.mac);
	}

	join(networkId: string, endpointId: string): JoinInfo {
		const network = this.#network(networkId);
		const endpoint = this.#endpoint(network, endpointId);
		const { device: parent } = network.parent;
		if (parent.gone)
			throw notFound(`the requested parent interface ${parent.name} was not found on the Docker host`);
		const name = this.#ids.interfaceName((each) => this.#ns.hasDevice(each));
		const device = this.#child(network, parent, name);
		device.txQueueLength = 0;
		endpoint.device = device;
		const mac = this.type === "macvlan" ? { mac: endpoint.mac } : {};
		const base = { device, from: this.#ns, disableGatewayService: true, ...mac };
		if (this.type === "ipvlan" && network.mode !== "l2")
			return { ...base, routes: [{ destination: toPrefix4("0.0.0.0/0", "default") }] };
		const data = network.ipv4.find(
			({ pool }) => ((pool.address ^ endpoint.address) & (-1 << (32 - pool.length))) === 0,
		);
		return data === undefined ? base : { ...base, gateway: data.gateway };
	}

	#child({ mode, flag }: ChildNetwork, parent: Device, name: string): Device {
		try {
			if (this.type === "macvlan") return this.#ns.addMacvlan(parent, name, { mode: mode as "bridge" });
			return this.#ns.addIpvlan(parent, name, { mode: mode as "l2", flag: flag as "bridge" });
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			throw failed(`failed to create the ${this.type} port: ${errno(error)}`);
		}
	}

	leave(networkId: string, endpointId: string): void {
		const endpoint = this.#network(networkId).endpoints.get(endpointId);
		endpoint?.device?.delete();
		if (endpoint !== undefined) endpoint.device = undefined;
	}

	#network(id: string): ChildNetwork {
		const network = this.#networks.get(id);
		if (network === undefined) throw notFound(`network ${id} does not exist`);
		return network;
	}

	#endpoint(network: ChildNetwork, id: string): ChildEndpoint {
		const endpoint = network.endpoints.get(id);
		if (endpoint === undefined) throw notFound(`endpoint not found: ${id}`);
		return endpoint;
	}
}
