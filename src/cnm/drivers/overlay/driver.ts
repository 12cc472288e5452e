import { formatPrefix4, type Ip4, parseIp4, type Prefix4, toMac } from "../../../addr/index.ts";
import { NetError } from "../../../errors.ts";
import type { Veth } from "../../../link/index.ts";
import { libnetwork } from "../../../wire/index.ts";
import { DockerError, failed, forbidden, invalid } from "../../docker-error.ts";
import type {
	ClusterNode,
	DriverKey,
	EndpointInfo,
	JoinInfo,
	NetworkDriver,
	NetworkInfo,
} from "../../driver.ts";
import { type Ids, macOf } from "../../ids.ts";
import type { Machine } from "../../machine.ts";
import type { SettledTable, TableChange } from "../../network-tables.ts";
import { undoing } from "../../undo.ts";
import { Encryption } from "./encryption.ts";
import { SubnetRules } from "./firewall.ts";
import { NetworkSandbox } from "./network-sandbox.ts";
import { type OverlayConfig, type OverlaySubnet, readOptions, subnetOf } from "./options.ts";
import { type Peer, readPeer, samePeer } from "./peer.ts";
import { PeerIndex } from "./peer-index.ts";
import { PeerDb } from "./peers.ts";

const { overlayPeer } = libnetwork.TABLE;
/** IANA's port; `--data-path-port` says another. */
const VXLAN_PORT = 4789;
/** Neighbours that the kernel keeps without asking, at most for a while, and at most (`ostweaks_linux.go`). */
const NEIGHBOURS = [
	["net.ipv4.neigh.default.gc_thresh1", 8192],
	["net.ipv4.neigh.default.gc_thresh2", 49_152],
	["net.ipv4.neigh.default.gc_thresh3", 65_536],
] as const;

interface OverlayEndpoint {
	readonly id: string;
	readonly address: Prefix4;
	readonly mac: string;
	/** What goes into the sandbox, once joined. */
	device: Veth | undefined;
}

interface OverlayNetwork {
	readonly config: OverlayConfig;
	readonly endpoints: Map<string, OverlayEndpoint>;
	readonly peers: PeerDb;
	sandbox: NetworkSandbox | undefined;
	/** How often there was a sandbox. */
	epoch: number;
	/** Endpoints in it. */
	joined: number;
	/** VNIs whose rules are in the host's iptables. */
	readonly ruled: Set<number>;
}

/** What the driver works with. */
export interface OverlayDriverOptions {
	readonly machine: Machine;
	readonly ids: Ids;
}

/**
 * The overlay driver: networks over several nodes by VXLAN. Where the endpoints of other nodes are it hears from their
 * entries in `overlay_peer_table`, and writes it into the network's sandbox: a permanent neighbour for its proxy, a
 * forwarding entry for the node. Own endpoints are told there when they join.
 *
 * Reference: libnetwork drivers/overlay (overlay.go, ov_endpoint.go, joinleave.go, peerdb.go), Docker 20.10.24.
 */
export class OverlayDriver implements NetworkDriver {
	readonly type = "overlay";
	readonly addresses = true;
	readonly dataScope = "global";
	readonly tables: readonly string[] = [overlayPeer];
	/** Records of other nodes that said nothing, by why. */
	readonly ignored: Map<string, number> = new Map();
	readonly #machine: Machine;
	readonly #ids: Ids;
	readonly #encryption: Encryption;
	readonly #networks = new Map<string, OverlayNetwork>();
	#tried = false;
	#node: ClusterNode = { dataPathAddress: "0.0.0.0", bindAddress: "0.0.0.0", dataPathPort: VXLAN_PORT };

	constructor({ machine, ids }: OverlayDriverOptions) {
		this.#machine = machine;
		this.#ids = ids;
		this.#encryption = new Encryption(machine.netns, () => this.#node);
	}

	nodeJoined(node: ClusterNode): void {
		this.#node = node;
	}

	setKeys(keys: readonly DriverKey[]): void {
		this.#encryption.setKeys(keys);
	}

	// ── networks and endpoints ────────────────────────────────────────────────────────────────────

	createNetwork(info: NetworkInfo): void {
		const config = readOptions(info);
		if (this.#networks.has(config.id))
			throw failed(`attempt to create overlay network ${config.id} that already exists`);
		const { sysctl } = this.#machine.netns;
		for (const [key, value] of NEIGHBOURS) {
			if (sysctl.get(key) < value) sysctl.set(key, value);
		}
		this.#networks.set(config.id, {
			config,
			endpoints: new Map(),
			peers: new PeerDb(),
			sandbox: undefined,
			epoch: 0,
			joined: 0,
			ruled: new Set(),
		});
	}

	deleteNetwork(networkId: string): void {
		const network = this.#network(networkId);
		for (const { device } of network.endpoints.values()) device?.delete();
		network.sandbox?.destroy();
		this.#networks.delete(networkId);
		this.#encryption.release(networkId);
		for (const vni of network.ruled) this.#rules(vni).remove();
	}

	createEndpoint(networkId: string, { id, address, macAddress }: EndpointInfo): void {
		const { config, endpoints } = this.#network(networkId);
		if (address === undefined) throw invalid("create endpoint was not passed interface IP address");
		if (subnetOf(config, address) === undefined) {
			const text = JSON.stringify(formatPrefix4(address));
			throw failed(`no matching subnet for IP ${text} in network ${JSON.stringify(networkId)}`);
		}
		endpoints.set(id, { id, address, mac: macAddress ?? macOf(address.address), device: undefined });
	}

	deleteEndpoint(networkId: string, endpointId: string): void {
		const { endpoints } = this.#network(networkId);
		endpoints.get(endpointId)?.device?.delete();
		endpoints.delete(endpointId);
	}

	macAddress(networkId: string, endpointId: string): string {
		return this.#endpoint(this.#network(networkId), endpointId).mac;
	}

	/** Once a daemon's life: whether the kernel has VXLAN (`networkOnceInit`). The device goes at once, its number is spent. */
	#tryVxlan(): void {
		if (this.#tried) return;
		this.#tried = true;
		try {
			this.#machine.netns.addVxlan("testvxlan", { vni: 1, port: this.#node.dataPathPort }).delete();
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
		}
	}

	// ── join and leave ────────────────────────────────────────────────────────────────────────────

	join(networkId: string, endpointId: string): JoinInfo {
		const network = this.#network(networkId);
		const endpoint = this.#endpoint(network, endpointId);
		const { config, peers } = network;
		if (config.secure && !this.#encryption.ready)
			throw failed("cannot join secure network: encryption keys not present");
		const subnet = subnetOf(config, endpoint.address);
		if (subnet === undefined) throw failed(`could not find subnet for endpoint ${endpointId}`);
		return undoing((undo) => {
			this.#tryVxlan();
			const came = network.sandbox === undefined;
			network.sandbox ??= new NetworkSandbox(this.#machine, config, ++network.epoch);
			network.joined++;
			undo(() => {
				this.#leaveSandbox(network);
				if (came) network.epoch--;
			});
			this.#setup(network, network.sandbox, subnet);
			endpoint.device = network.sandbox.addVeth(subnet, endpoint.mac, this.#ids);
			peers.add(this.#localPeer(endpoint));
			// What was heard before there was a sandbox is written now.
			if (came) {
				this.#promise(network);
				for (const peer of peers.remote()) this.#program(network, peer);
			}
			return {
				device: endpoint.device,
				from: this.#machine.netns,
				prefix: "eth",
				mac: endpoint.mac,
				routes: config.subnets
					.filter((each) => each !== subnet)
					.map(({ pool }) => ({ destination: pool, nextHop: subnet.gateway })),
				tableEntries: [{ table: overlayPeer, key: endpointId, value: this.#record(endpoint) }],
			};
		});
	}

	/** A subnet's devices, and its rules before them (`initSubnetSandbox`). */
	#setup(network: OverlayNetwork, sandbox: NetworkSandbox, subnet: OverlaySubnet): void {
		if (sandbox.has(subnet)) return;
		const { vni, pool } = subnet;
		if (vni === 0) {
			throw failed(
				`couldn't get vxlan id for ${JSON.stringify(formatPrefix4(pool))}: no valid vxlan id and no datastore configured, cannot obtain vxlan id`,
			);
		}
		const rules = this.#rules(vni);
		undoing((undo) => {
			if (network.config.secure && !network.ruled.has(vni)) {
				network.ruled.add(vni);
				rules.add();
				undo(() => {
					network.ruled.delete(vni);
					rules.remove();
				});
			}
			sandbox.setup(subnet, this.#node.dataPathPort);
		});
	}

	#rules(vni: number): SubnetRules {
		return new SubnetRules(this.#machine.netns, vni, this.#node.dataPathPort);
	}

	#record({ address, mac }: OverlayEndpoint): Uint8Array {
		return libnetwork.peerRecord.write({
			endpointIp: formatPrefix4(address),
			endpointMac: mac,
			tunnelEndpointIp: this.#node.dataPathAddress,
		});
	}

	#localPeer({ id, address, mac }: OverlayEndpoint): Peer {
		return { endpointId: id, address, mac: toMac(mac, "mac"), vtep: this.#vtep, local: true };
	}

	leave(networkId: string, endpointId: string): void {
		const network = this.#network(networkId);
		const endpoint = network.endpoints.get(endpointId);
		if (endpoint?.device === undefined) return;
		this.#forget(network, this.#localPeer(endpoint));
		endpoint.device.delete();
		endpoint.device = undefined;
		this.#leaveSandbox(network);
	}

	#leaveSandbox(network: OverlayNetwork): void {
		if (--network.joined > 0) return;
		network.sandbox?.destroy();
		network.sandbox = undefined;
		this.#encryption.release(network.config.id);
	}

	// ── peers ─────────────────────────────────────────────────────────────────────────────────────

	eventNotify({ network: id, table, key, kind, value, previous }: TableChange): void {
		const network = this.#networks.get(id);
		if (table !== overlayPeer || network === undefined) return;
		const old = previous === undefined ? undefined : this.#read(key, previous);
		const peer = this.#read(key, value);
		if (old !== undefined && (peer === undefined || !samePeer(old, peer))) this.#forget(network, old);
		if (peer === undefined) return;
		if (kind === "delete") return this.#forget(network, peer);
		network.peers.add(peer);
		this.#program(network, peer);
	}

	/** A whole table that this node has in common with others (`SettledTable`). */
	eventSettled(settled: SettledTable): void {
		const network = this.#networks.get(settled.network);
		if (settled.table !== overlayPeer || network === undefined) return;
		const index = settled.derived(PeerIndex.of);
		for (const why of index.unread) this.#ignore(why);
		network.peers.settle(index, this.#vtep);
		for (const peer of index.others) if (peer.vtep !== this.#vtep) network.peers.add(peer);
		this.#promise(network);
		for (const peer of network.peers.remote()) this.#program(network, peer);
	}

	/** A record as a peer; undefined for this node's own and for what cannot be read. */
	#read(endpointId: string, value: Uint8Array): Peer | undefined {
		const peer = readPeer(endpointId, value);
		if (typeof peer === "string") return this.#ignore(peer);
		return peer.vtep === this.#vtep ? undefined : peer;
	}

	/** This node's address, as others tunnel to it. */
	get #vtep(): Ip4 {
		return parseIp4(this.#node.dataPathAddress) ?? (0 as Ip4);
	}

	#ignore(why: string): undefined {
		this.ignored.set(why, (this.ignored.get(why) ?? 0) + 1);
	}

	/** Promises the sandbox, if there is one, the peers that many nodes know alike. */
	#promise(network: OverlayNetwork): void {
		const { sandbox, config, peers } = network;
		if (sandbox === undefined) return;
		const { index, over } = peers;
		const self = this.#vtep;
		if (config.secure)
			for (const vtep of index.vteps)
				if (vtep !== self && peers.areOn(vtep)) this.#encryption.protect(vtep, config.id);
		for (const [prefix, known] of index.subnets) {
			if ([...known.byAddress.values()].every(({ vtep }) => vtep === self)) continue;
			const subnet = config.subnets.find(({ pool }) => formatPrefix4(pool) === prefix);
			if (subnet === undefined) {
				this.#ignore("no subnet");
				continue;
			}
			if (this.#isSetUp(network, sandbox, subnet))
				sandbox.peers.promise(subnet, { peers: known, self, over });
		}
	}

	/** Sets a subnet's devices up, unless they cannot be. */
	#isSetUp(network: OverlayNetwork, sandbox: NetworkSandbox, subnet: OverlaySubnet): boolean {
		try {
			this.#setup(network, sandbox, subnet);
			return true;
		} catch (error) {
			if (!(error instanceof DockerError)) throw error;
			this.#ignore(error.daemonMessage);
			return false;
		}
	}

	/** Writes a remote peer into the sandbox, if there is one (`peerAddOp`); a second claim on its address waits. */
	#program(network: OverlayNetwork, peer: Peer): void {
		const { sandbox, config } = network;
		if (sandbox === undefined) return;
		const subnet = subnetOf(config, peer.address);
		if (subnet === undefined) return this.#ignore("no subnet");
		if (!this.#isSetUp(network, sandbox, subnet)) return;
		if (config.secure) this.#encryption.protect(peer.vtep, config.id);
		sandbox.peers.add(subnet, peer.address.address, peer.mac, peer.vtep);
	}

	/** A claim goes; the next one on its address counts (`peerDeleteOp`). */
	#forget(network: OverlayNetwork, peer: Peer): void {
		const { config, peers, sandbox } = network;
		peers.delete(peer);
		if (config.secure && !peer.local && !peers.areOn(peer.vtep))
			this.#encryption.unprotect(peer.vtep, config.id);
		const subnet = subnetOf(config, peer.address);
		if (sandbox === undefined || subnet === undefined || !sandbox.has(subnet)) return;
		const ip = peer.address.address;
		if (!peer.local) sandbox.peers.remove(subnet, ip, peer.mac, peer.vtep);
		const next = peers.search(ip);
		if (next !== undefined) this.#program(network, next);
	}

	#network(id: string): OverlayNetwork {
		const network = this.#networks.get(id);
		if (network === undefined) throw failed(`could not find network with id ${id}`);
		return network;
	}

	#endpoint(network: OverlayNetwork, id: string): OverlayEndpoint {
		const endpoint = network.endpoints.get(id);
		if (endpoint === undefined) throw forbidden(`could not find endpoint with id ${id}`);
		return endpoint;
	}
}
