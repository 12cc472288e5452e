import { network, type Prefix4, toPrefix4 } from "../../addr/index.ts";

/** A block that networks' subnets are cut from: `--default-address-pool base=…,size=…`. */
export interface AddressPoolOptions {
	/** The block: 172.80.0.0/12. */
	readonly base: string | Prefix4;
	/** Prefix length of each subnet. */
	readonly size: number;
}

/** libnetwork/ipamutils: `localScopeDefaultNetworks`. */
const LOCAL: readonly AddressPoolOptions[] = [
	{ base: "172.17.0.0/16", size: 16 },
	{ base: "172.18.0.0/16", size: 16 },
	{ base: "172.19.0.0/16", size: 16 },
	{ base: "172.20.0.0/14", size: 16 },
	{ base: "172.24.0.0/14", size: 16 },
	{ base: "172.28.0.0/14", size: 16 },
	{ base: "192.168.0.0/16", size: 20 },
];
/** libnetwork/ipamutils: `globalScopeDefaultNetworks`, what swarm networks come from. */
const GLOBAL: readonly AddressPoolOptions[] = [{ base: "10.0.0.0/8", size: 24 }];

/** Cuts blocks into subnets, in their order. Throws RangeError for a size that does not fit. */
export function cutPools(blocks: readonly AddressPoolOptions[]): Prefix4[] {
	return blocks.flatMap(({ base, size }) => {
		const block = toPrefix4(base, "base");
		if (!Number.isInteger(size) || size < block.length || size > 32) {
			throw new RangeError(`size is ${String(size)}, expected ${String(block.length)} to 32`);
		}
		const first = network(block);
		return Array.from({ length: 2 ** (size - block.length) }, (_, i) => ({
			address: ((first + i * 2 ** (32 - size)) | 0) as Prefix4["address"],
			length: size,
		}));
	});
}

/** What networks of one host get: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 and on. */
export const localPools = (): readonly Prefix4[] => (local ??= cutPools(LOCAL));
/** One list for all engines. */
let local: readonly Prefix4[] | undefined;
/** What networks of a swarm get: 10.0.0.0/24 and on. */
export const globalPools = (): Prefix4[] => cutPools(GLOBAL);
