import { NetError } from "../../../errors.ts";
import { type Jiffies, KernelTimer, type Scheduler } from "../../../sim/index.ts";
import type { OwnQuery } from "./querier.ts";

/** `mcast_router` of a port: never a router's, one's while it is heard asking, always, one's for a while. */
export type McastRouter = 0 | 1 | 2 | 3;

const NEVER = 0;
const WHILE_HEARD = 1;
const ALWAYS = 2;
const FOR_A_WHILE = 3;

/** What snooping keeps of one port (`struct net_bridge_mcast_port`); the timers with their first use. */
export class McastPort {
	/** A router is behind the port: it gets every group. */
	isRouter = false;
	#router: McastRouter = WHILE_HEARD;
	readonly #makeQuery: () => OwnQuery;
	readonly #scheduler: Scheduler;
	readonly #jiffies: Jiffies;
	#query: OwnQuery | undefined;
	#routerTimer: KernelTimer | undefined;

	constructor(makeQuery: () => OwnQuery, scheduler: Scheduler, jiffies: Jiffies) {
		this.#makeQuery = makeQuery;
		this.#scheduler = scheduler;
		this.#jiffies = jiffies;
	}

	/** Queries that go out here. */
	get query(): OwnQuery {
		return (this.#query ??= this.#makeQuery());
	}

	/** The router is believed in until it fires. */
	get routerTimer(): KernelTimer {
		return (this.#routerTimer ??= new KernelTimer(this.#scheduler, this.#jiffies, () => {
			if (this.#router === NEVER || this.#router === ALWAYS) return;
			this.isRouter = false;
			if (this.#router === FOR_A_WHILE) this.#router = WHILE_HEARD;
		}));
	}

	/** `mcast_router`. */
	get router(): McastRouter {
		return this.#router;
	}

	/** `bridge link set dev … mcast_router …`; `interval` in ticks (`br_multicast_set_port_router`). */
	setRouter(value: McastRouter, interval: number): void {
		if (value === this.#router) {
			if (value === FOR_A_WHILE) this.routerTimer.after(interval);
			return;
		}
		this.#router = value;
		this.#routerTimer?.cancel();
		this.isRouter = value === ALWAYS;
		if (value === FOR_A_WHILE) this.mark(interval);
	}

	/** A router was heard (`br_multicast_mark_router`). */
	mark(interval: number): void {
		if (this.#router === NEVER || this.#router === ALWAYS) return;
		this.isRouter = true;
		this.routerTimer.after(interval);
	}

	/** The port works (`br_multicast_enable_port`). */
	enable(): void {
		if (this.#router === ALWAYS) this.isRouter = true;
	}

	/** The port stops working (`br_multicast_disable_port`). */
	disable(): void {
		this.isRouter = false;
		this.#routerTimer?.cancel();
		this.#query?.timer.cancel();
	}
}

/** Throws `NetError` EINVAL for what is no `mcast_router` of a port. */
export function checkPortRouter(value: number, place: string): void {
	if ([NEVER, WHILE_HEARD, ALWAYS, FOR_A_WHILE].includes(value)) return;
	throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
		remedy: "0 for never, 1 while a router is heard, 2 for always, 3 for now.",
		context: { device: place, mcastRouter: value },
	});
}
