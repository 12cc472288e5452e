import { DestinationHash, SourceHash } from "./hash.ts";
import { leastConnection, neverQueue, shortestExpectedDelay, weightedLeastConnection } from "./least-load.ts";
import { RoundRobin, WeightedRoundRobin } from "./round-robin.ts";
import type { MakeScheduler } from "./scheduler.ts";

export type { MakeScheduler, Request, Scheduler } from "./scheduler.ts";

/** The schedulers by the names ipvsadm gives them. */
export const SCHEDULERS: ReadonlyMap<string, MakeScheduler> = new Map<string, MakeScheduler>([
	["rr", (service) => new RoundRobin(service)],
	["wrr", (service) => new WeightedRoundRobin(service)],
	["lc", leastConnection],
	["wlc", weightedLeastConnection],
	["sh", (service) => new SourceHash(service)],
	["dh", (service) => new DestinationHash(service)],
	["sed", shortestExpectedDelay],
	["nq", neverQueue],
]);
