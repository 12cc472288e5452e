export { Manager, type ManagerOptions, type NewCluster } from "./manager.ts";
export { Peers } from "./peers.ts";
