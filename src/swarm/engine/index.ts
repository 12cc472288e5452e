export { Engine, type EngineOptions } from "./engine.ts";
export { type JoinOptions, Swarm, type SwarmMachine } from "./swarm.ts";
export type { SwarmUpdateOptions } from "./update-options.ts";
