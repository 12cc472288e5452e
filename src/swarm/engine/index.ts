export { Engine, type EngineOptions } from "./engine.ts";
export { type JoinOptions, type SettleOptions, Swarm, type SwarmMachine } from "./swarm.ts";
export type { SwarmUpdateOptions } from "./update-options.ts";
