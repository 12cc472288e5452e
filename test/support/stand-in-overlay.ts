import { formatPrefix4, type Prefix4 } from "../../src/addr/index.ts";
import type {
	ClusterNode,
	EndpointInfo,
	JoinInfo,
	NetworkDriver,
	NetworkInfo,
	TableChange,
} from "../../src/cnm/index.ts";
import { type Host, type Netns } from "../../src/index.ts";
import type { Veth, VxlanDevice } from "../../src/link/index.ts";
import { IpNamespace } from "../../src/stack/index.ts";
import { libnetwork } from "../../src/wire/index.ts";

const TABLE = libnetwork.TABLE.overlayPeer;

interface Joined {
	readonly ns: Netns;
	readonly vxlan: VxlanDevice;
	readonly endpoints: Map<string, { readonly address: Prefix4; outer?: Veth }>;
	ports: number;
}

/** What an overlay network is on one node, as far as services need it: br0, vxlan0, a veth per endpoint, peers by table. */
export class StandInOverlay implements NetworkDriver {
	readonly type = "overlay";
	readonly addresses = true;
	readonly dataScope = "global";
	readonly tables: readonly string[] = [TABLE];
	readonly #host: Host;
	#vtep = "";
	readonly #networks = new Map<string, Joined>();

	constructor(host: Host) {
		this.#host = host;
	}

	nodeJoined({ dataPathAddress }: ClusterNode): void {
		this.#vtep = dataPathAddress;
	}

	createNetwork({ id, options, ipv4: [data] }: NetworkInfo): void {
		if (data === undefined) throw new Error("an overlay has a subnet");
		const { netns } = this.#host;
		const ns = this.#host.addNetns(`1-${id.slice(0, 10)}`);
		const br0 = ns.addBridge("br0");
		br0.addAddress({ address: data.gateway, length: data.pool.length });
		const vni = Number(options["com.docker.network.driver.overlay.vxlanid_list"]);
		const about = { vni, proxy: true, l2miss: true, l3miss: true, mtu: 1450 };
		const vxlan = netns.addVxlan(`vx-${id.slice(0, 5)}`, about);
		netns.move(vxlan, ns, "vxlan0");
		br0.attach(vxlan);
		br0.up();
		vxlan.up();
		this.#networks.set(id, { ns, vxlan, endpoints: new Map(), ports: 0 });
	}

	deleteNetwork(id: string): void {
		this.#networks.delete(id);
		this.#host.delNetns(`1-${id.slice(0, 10)}`);
	}

	createEndpoint(network: string, { id, address }: EndpointInfo): void {
		if (address !== undefined) this.#find(network).endpoints.set(id, { address });
	}

	deleteEndpoint(network: string, id: string): void {
		this.#find(network).endpoints.delete(id);
	}

	macAddress(network: string, id: string): string {
		const ip = this.#find(network).endpoints.get(id)?.address.address ?? 0;
		return [0x02, 0x42, ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255]
			.map((octet) => octet.toString(16).padStart(2, "0"))
			.join(":");
	}

	join(network: string, id: string): JoinInfo {
		const joined = this.#find(network);
		const endpoint = joined.endpoints.get(id);
		if (endpoint === undefined) throw new Error(`no endpoint ${id}`);
		const { ns } = joined;
		const name = `veth${String(joined.ports++)}`;
		const [inner, outer] = IpNamespace.addVethPair({ ns, name: `t${name}` }, { ns, name });
		for (const end of [inner, outer]) {
			end.setMtu(1450);
			end.txQueueLength = 0;
		}
		ns.bridge("br0").attach(outer);
		outer.up();
		endpoint.outer = outer;
		const record = {
			endpointIp: formatPrefix4(endpoint.address),
			endpointMac: this.macAddress(network, id),
			tunnelEndpointIp: this.#vtep,
		};
		const value = libnetwork.peerRecord.write(record);
		return {
			device: inner,
			from: ns,
			mac: record.endpointMac,
			tableEntries: [{ table: TABLE, key: id, value }],
		};
	}

	leave(network: string, id: string): void {
		this.#find(network).endpoints.get(id)?.outer?.delete();
	}

	#find(network: string): Joined {
		const joined = this.#networks.get(network);
		if (joined === undefined) throw new Error(`no network ${network}`);
		return joined;
	}

	eventNotify({ network, kind, value }: TableChange): void {
		const peer = libnetwork.peerRecord.read(value);
		const joined = this.#networks.get(network);
		if (typeof peer === "string" || joined === undefined) return;
		const { ns, vxlan } = joined;
		const [ip = ""] = peer.endpointIp.split("/");
		if (kind === "delete") {
			ns.neigh.del(ip, { dev: vxlan });
			vxlan.delFdb(peer.endpointMac);
		} else {
			ns.neigh.replace(ip, { dev: vxlan, lladdr: peer.endpointMac });
			vxlan.addFdb(peer.endpointMac, { dst: peer.tunnelEndpointIp });
		}
	}
}
