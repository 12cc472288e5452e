import {
	contains,
	formatIp4,
	formatPrefix4,
	type Ip4,
	network as netOf,
	parseIp4,
	parsePrefix4,
	type Prefix4,
} from "../../../addr/index.ts";
import { AddressPool, DockerError, overlap } from "../../../cnm/index.ts";
import type { NetworkObject } from "../../objects.ts";
import { VXLAN_IDS } from "../labels.ts";
import { AllocationError } from "./allocation-error.ts";
import { IdSpace } from "./id-space.ts";

/** libnetwork drivers/overlay/ovmanager: `vxlanIDStart`, `vxlanIDEnd`. */
const FIRST_VNI = 4096;
const LAST_VNI = 2 ** 24 - 1;
const DEFAULT_POOL = "10.0.0.0/8";
const DEFAULT_SIZE = 24;

interface Allocated {
	readonly pools: readonly AddressPool[];
	readonly vnis: readonly number[];
}

/** Where the cluster's networks get their subnets from: `--default-addr-pool`. */
export interface DefaultPools {
	readonly blocks: readonly string[];
	/** Prefix length of each subnet. */
	readonly size: number;
}

/** Drivers whose networks are the cluster's; all others have their addresses on each node. */
const clusterWide = (network: NetworkObject): boolean =>
	!network.predefined && network.spec.driver === "overlay";

/** Subnets, VNIs and addresses of the cluster's networks (swarmkit cnmallocator, libnetwork's IPAM, ovmanager). */
export class NetworkPools {
	readonly #blocks: readonly Prefix4[];
	readonly #size: number;
	readonly #networks = new Map<string, Allocated>();
	readonly #vnis = new IdSpace(FIRST_VNI, LAST_VNI);
	/** The subnet among those of the blocks where the search goes on. */
	#start = 0;

	constructor({ blocks, size }: DefaultPools = { blocks: [DEFAULT_POOL], size: DEFAULT_SIZE }) {
		this.#blocks = blocks.map((text) => {
			const block = parsePrefix4(text);
			if (block === undefined) throw new RangeError(`default address pool is ${text}, expected a subnet`);
			return block;
		});
		this.#size = size;
	}

	/** VNIs in use. */
	get vnis(): readonly number[] {
		return this.#vnis.taken;
	}

	/** Whether a network has its subnets, or needs none. */
	has(networkId: string): boolean {
		return this.#networks.has(networkId);
	}

	/** Whether addresses on the network are the cluster's to give. */
	gives(networkId: string): boolean {
		return (this.#networks.get(networkId)?.pools.length ?? 0) > 0;
	}

	/** Addresses in use on a network, those of the net, the gateway and for everyone among them. */
	taken(networkId: string): readonly string[] {
		return (this.#networks.get(networkId)?.pools ?? []).flatMap((pool) => pool.taken.map(formatIp4));
	}

	/** Gives a network its subnets, gateways and VNIs, the same again when it has them. Throws AllocationError. */
	allocate(network: NetworkObject): NonNullable<NetworkObject["allocated"]> {
		const { id, spec, allocated } = network;
		if (!clusterWide(network)) {
			this.#networks.set(id, { pools: [], vnis: [] });
			return { options: spec.options, configs: [] };
		}
		const failed = (why: string): AllocationError =>
			new AllocationError(`failed during network allocation for network ${id}: ${why}`);
		const wanted = allocated?.configs ?? (spec.ipam.configs.length > 0 ? spec.ipam.configs : [undefined]);
		const configs: { readonly subnet: string; readonly gateway: string }[] = [];
		const pools: AddressPool[] = [];
		for (const [i, config] of wanted.entries()) {
			try {
				const pool = this.#pool(config?.subnet, spec.ipam.configs[i]?.range, pools);
				const gateway = parseIp4(config?.gateway ?? "");
				pools.push(pool);
				configs.push({
					subnet: formatPrefix4(pool.subnet),
					gateway: formatIp4(gateway === undefined ? pool.request(undefined, true) : pool.request(gateway)),
				});
				for (const reserved of Object.values(spec.ipam.configs[i]?.reserved ?? {})) {
					const address = parseIp4(reserved);
					if (address !== undefined) pool.request(address);
				}
			} catch (error) {
				throw failed(`failed allocating pools and gateway IP for network ${id}: ${reason(error)}`);
			}
		}
		const options = { ...spec.options, ...allocated?.options };
		const vnis = this.#takeVnis(options[VXLAN_IDS], pools, failed);
		this.#networks.set(id, { pools, vnis });
		return { options: { ...options, [VXLAN_IDS]: vnis.join(",") }, configs };
	}

	#pool(subnet: string | undefined, range: string | undefined, own: readonly AddressPool[]): AddressPool {
		if (subnet === undefined || subnet === "") return new AddressPool(this.#nextSubnet());
		const wanted = parsePrefix4(subnet);
		if (wanted === undefined) throw new AllocationError(`invalid CIDR address: ${subnet}`);
		if (this.#inUse(wanted) || own.some((pool) => overlap(pool.subnet, wanted)))
			throw new AllocationError("Pool overlaps with other one on this address space");
		return new AddressPool(wanted, range === undefined ? undefined : parsePrefix4(range));
	}

	#inUse(subnet: Prefix4): boolean {
		for (const { pools } of this.#networks.values())
			if (pools.some((pool) => overlap(pool.subnet, subnet))) return true;
		return false;
	}

	/** The default pools are gone through in a circle, as an engine's own are. */
	#nextSubnet(): Prefix4 {
		const counts = this.#blocks.map(({ length }) => 2 ** (this.#size - length));
		const count = counts.reduce((sum, each) => sum + each, 0);
		for (let i = 0; i < count; i++) {
			const at = (this.#start + i) % count;
			const subnet = this.#subnet(at, counts);
			if (this.#inUse(subnet)) continue;
			this.#start = (at + 1) % count;
			return subnet;
		}
		throw new AllocationError(
			"could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
		);
	}

	#subnet(index: number, counts: readonly number[]): Prefix4 {
		let left = index;
		for (const [i, block] of this.#blocks.entries()) {
			const count = counts[i] ?? 0;
			if (left < count) {
				const address = ((netOf(block) + left * 2 ** (32 - this.#size)) | 0) as Ip4;
				return { address, length: this.#size };
			}
			left -= count;
		}
		throw new RangeError(`no default subnet ${String(index)}`);
	}

	#takeVnis(
		list: string | undefined,
		pools: readonly AddressPool[],
		failed: (why: string) => AllocationError,
	): readonly number[] {
		const asked = list === undefined || list === "" ? [] : list.split(",").map(Number);
		const taken: number[] = [];
		const giveBack = (why: string): AllocationError => {
			for (const vni of taken) this.#vnis.release(vni);
			return failed(why);
		};
		for (const [i, pool] of pools.entries()) {
			const want = asked[i];
			if (want !== undefined && (!Number.isInteger(want) || want < 0 || want > LAST_VNI))
				throw giveBack(`error parsing vxlan id option ${String(list)}`);
			if (want !== undefined && !this.#vnis.take(want)) {
				const subnet = formatPrefix4(pool.subnet);
				throw giveBack(
					`could not assign vxlan id ${String(want)} to pool ${subnet}: requested bit is already allocated`,
				);
			}
			const vni = want ?? this.#vnis.next();
			if (vni === undefined) throw giveBack("no bit available");
			taken.push(vni);
		}
		return taken;
	}

	/** Gives back all of a network's. */
	free(networkId: string): void {
		for (const vni of this.#networks.get(networkId)?.vnis ?? []) this.#vnis.release(vni);
		this.#networks.delete(networkId);
	}

	/** Takes an address: the wanted one, or the next; `10.0.1.6/24`. Throws AllocationError. */
	take(networkId: string, wanted?: string): string {
		const found = this.#networks.get(networkId);
		if (found === undefined)
			throw new AllocationError(`could not find network allocator state for network ${networkId}`);
		const ip = wanted === undefined || wanted === "" ? undefined : parsePrefix4(wanted)?.address;
		if (wanted !== undefined && wanted !== "" && ip === undefined)
			throw new AllocationError(`could not parse address string ${wanted}`);
		for (const pool of found.pools) {
			if (ip === undefined) {
				const next = pool.next(true);
				if (next !== undefined) return cidr(next, pool);
			} else if (contains(pool.subnet, ip)) {
				try {
					return cidr(pool.request(ip), pool);
				} catch (error) {
					throw new AllocationError(`could not allocate IP from IPAM: ${reason(error)}`);
				}
			}
		}
		throw new AllocationError("could not find an available IP");
	}

	/** Gives an address back; none is left of a network that is gone. */
	release(networkId: string, address: string): void {
		const ip = parsePrefix4(address)?.address;
		if (ip === undefined) return;
		for (const pool of this.#networks.get(networkId)?.pools ?? []) {
			if (pool.contains(ip)) pool.release(ip);
		}
	}
}

const cidr = (ip: Ip4, pool: AddressPool): string => `${formatIp4(ip)}/${String(pool.subnet.length)}`;

const reason = (error: unknown): string =>
	error instanceof DockerError ? error.daemonMessage : error instanceof Error ? error.message : String(error);
