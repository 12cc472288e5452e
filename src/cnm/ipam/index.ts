export { AddressPool } from "./address-pool.ts";
export { type AddressPoolOptions, cutPools, globalPools, localPools } from "./default-pools.ts";
export { Ipam, overlap, type PoolRequest } from "./ipam.ts";
