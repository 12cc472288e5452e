export { Allocator } from "./allocator/allocator.ts";
export { type Clock, kernelClock, nanosecondsOf } from "./clock.ts";
export { ingressNetwork, predefinedNetwork } from "./defaults.ts";
export { LeaderLogic, type LeaderLogicOptions } from "./leader-logic.ts";
export { Manager, type ManagerOptions, type NewCluster } from "./manager.ts";
export { Peers } from "./peers.ts";
