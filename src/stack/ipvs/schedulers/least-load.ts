import type { Destination, Service } from "../service.ts";
import type { Scheduler } from "./scheduler.ts";

/** Load of a real server as `lc` and `wlc` see it: an active connection weighs 256 others (`ip_vs_dest_conn_overhead`). */
const connections = ({ active, inactive }: Destination): number => active * 256 + inactive;
/** Load as `sed` and `nq` see it: with the new connection already there. */
const expected = ({ active }: Destination): number => active + 1;

/** Chooses the least loaded; of equals the first in the list, which has the newest first. */
export class LeastLoad implements Scheduler {
	readonly name: string;
	readonly #service: Service;
	readonly #load: (destination: Destination) => number;
	readonly #weighted: boolean;
	/** An idle one is taken at once, whatever its weight (`nq`). */
	readonly #idleFirst: boolean;

	constructor(
		service: Service,
		kind: {
			readonly name: string;
			readonly load: (destination: Destination) => number;
			readonly weighted: boolean;
			readonly idleFirst?: boolean;
		},
	) {
		this.name = kind.name;
		this.#service = service;
		this.#load = kind.load;
		this.#weighted = kind.weighted;
		this.#idleFirst = kind.idleFirst ?? false;
	}

	schedule(): Destination | undefined {
		let least: Destination | undefined;
		let leastLoad = 0;
		for (const destination of this.#service.destinations) {
			if (!destination.eligible) continue;
			if (this.#idleFirst && destination.active === 0) return destination;
			const load = this.#load(destination);
			const lighter =
				least === undefined ||
				(this.#weighted ? leastLoad * destination.weight > load * least.weight : leastLoad > load);
			if (!lighter) continue;
			least = destination;
			leastLoad = load;
		}
		return least;
	}

	changed(): void {
		// Loads are read when they are needed.
	}

	removed(): void {
		// As above.
	}
}

/** `lc`: net/netfilter/ipvs/ip_vs_lc.c. */
export const leastConnection = (service: Service): Scheduler =>
	new LeastLoad(service, { name: "lc", load: connections, weighted: false });
/** `wlc`, the default: net/netfilter/ipvs/ip_vs_wlc.c. */
export const weightedLeastConnection = (service: Service): Scheduler =>
	new LeastLoad(service, { name: "wlc", load: connections, weighted: true });
/** `sed`, shortest expected delay: net/netfilter/ipvs/ip_vs_sed.c. */
export const shortestExpectedDelay = (service: Service): Scheduler =>
	new LeastLoad(service, { name: "sed", load: expected, weighted: true });
/** `nq`, never queue: net/netfilter/ipvs/ip_vs_nq.c. */
export const neverQueue = (service: Service): Scheduler =>
	new LeastLoad(service, { name: "nq", load: expected, weighted: true, idleFirst: true });
