import { ANY_IP4, compareIp4, type Ip4, type Mac } from "../../../addr/index.ts";
import { type Jiffies, KernelTimer, type Scheduler } from "../../../sim/index.ts";
import type { Frame, FramePool } from "../../../wire/index.ts";
import type { BridgePort } from "../port.ts";
import type { McastConfig } from "./options.ts";
import { type HeardQuery, queryFrame } from "./queries.ts";

/** What snooping needs of its bridge. */
export interface McastBridge {
	/** `ip link set … up` was said. */
	readonly isUp: boolean;
	readonly mac: Mac;
	readonly place: string;
	/** Newest first. */
	readonly newestPorts: readonly BridgePort[];
	/** Where frames are made. */
	readonly frames: FramePool;
	/** An address of the bridge's own, or of its namespace; 0.0.0.0 without one. */
	readonly address: Ip4;
	/** A frame made here comes up to the bridge's own stack. Takes it. */
	receiveLater(frame: Frame): void;
	/** Snooping began or ended: the bridge listens to the snoopers' groups, or does not. */
	snoopingChanged(on: boolean): void;
}

/** Queries out of one port, or to the bridge's own stack (`struct bridge_mcast_own_query`). */
export interface OwnQuery {
	readonly timer: KernelTimer;
	/** Queries of the quicker pace already sent. */
	startupSent: number;
}

/**
 * Who asks for members: this bridge when it is told to and hears nobody else, or another one. While nobody does,
 * groups are flooded. Reference: `br_multicast_send_query`, `br_multicast_select_querier` in net/bridge/br_multicast.c.
 */
export class Querier {
	readonly #bridge: McastBridge;
	readonly #config: McastConfig;
	readonly #scheduler: Scheduler;
	readonly #jiffies: Jiffies;
	readonly #own: OwnQuery;
	/** Another querier is believed in until it fires. */
	readonly #other: KernelTimer;
	/** The tick before which members have not had the time to answer: groups are still flooded. */
	#delayUntil = 0;
	/** Whose queries count: the lowest address heard, this bridge's own while it asks. */
	#address: Ip4 = ANY_IP4;

	constructor(bridge: McastBridge, config: McastConfig, scheduler: Scheduler, jiffies: Jiffies) {
		this.#bridge = bridge;
		this.#config = config;
		this.#scheduler = scheduler;
		this.#jiffies = jiffies;
		this.#own = this.query(null);
		this.#other = new KernelTimer(scheduler, jiffies, () => {
			this.start();
		});
	}

	/** The queries of a port, or of the bridge itself. */
	query(port: BridgePort | null): OwnQuery {
		const query: OwnQuery = {
			timer: new KernelTimer(this.#scheduler, this.#jiffies, () => {
				if (port !== null && (port.state === "disabled" || port.state === "blocking")) return;
				if (query.startupSent < this.#config.startupQueryCount) query.startupSent++;
				this.#ask(port, query);
			}),
			startupSent: 0,
		};
		return query;
	}

	/** Whether somebody asks, and members had the time to answer (`br_multicast_querier_exists`). */
	get exists(): boolean {
		if (!this.#config.querier && !this.#other.pending) return false;
		return this.#jiffies.jiffiesAt(this.#scheduler.now) >= this.#delayUntil;
	}

	/** Whether another querier is heard. */
	get isOther(): boolean {
		return this.#other.pending;
	}

	/** `mcast_querier`. */
	set(on: boolean): void {
		if (on === this.#config.querier) return;
		this.#config.querier = on;
		if (!on) return;
		if (!this.#other.pending) this.#delay(this.#config.queryResponseInterval);
		this.start();
	}

	#delay(ticks: number): void {
		this.#delayUntil = this.#jiffies.jiffiesAt(this.#scheduler.now) + ticks;
	}

	/** Begins to ask, by the bridge and by all its ports (`br_multicast_start_querier`). */
	start(): void {
		this.open();
		for (const port of this.#bridge.newestPorts) {
			if (port.state !== "disabled" && port.state !== "blocking") this.enable(port.mcast.query);
		}
	}

	/** The bridge is up (`br_multicast_open`). */
	open(): void {
		this.enable(this.#own);
	}

	/** Queries begin anew, at once. Without `mcast_querier` the kernel's timers fire and ask nobody: they are left out here. */
	enable(query: OwnQuery): void {
		query.startupSent = 0;
		const { snooping, querier } = this.#config;
		if (snooping && querier && this.#bridge.isUp) query.timer.after(0);
	}

	/** The bridge is down (`br_multicast_stop`). */
	stop(): void {
		this.#own.timer.cancel();
		this.#other.cancel();
	}

	#ask(port: BridgePort | null, query: OwnQuery): void {
		const { snooping, querier, startupQueryCount, startupQueryInterval, queryInterval } = this.#config;
		if (!this.#bridge.isUp || !snooping || !querier || this.#other.pending) return;
		this.send(port, ANY_IP4);
		query.timer.after(query.startupSent < startupQueryCount ? startupQueryInterval : queryInterval);
	}

	/** A query out of a port, or to the bridge's own stack (`__br_multicast_send_query`). */
	send(port: BridgePort | null, group: Ip4): void {
		const { lastMemberInterval, queryResponseInterval, queryInterval, igmpVersion, queryUseIfaddr } =
			this.#config;
		const within = group === ANY_IP4 ? queryResponseInterval : lastMemberInterval;
		const source = queryUseIfaddr ? this.#bridge.address : ANY_IP4;
		const frame = queryFrame(this.#bridge.frames, {
			mac: this.#bridge.mac,
			source,
			group,
			version: igmpVersion,
			code: Math.floor(this.#jiffies.nanoseconds(within) / 1e8),
			interval: Math.floor(this.#jiffies.nanoseconds(queryInterval) / 1e9),
		});
		if (port !== null) return port.send(frame);
		this.#address = source;
		this.#bridge.receiveLater(frame);
	}

	/** Somebody else's general query came in; says whether it is the one that counts (`br_multicast_select_querier`). */
	heard(query: HeardQuery): boolean {
		const lower = this.#address === ANY_IP4 || compareIp4(query.source, this.#address) <= 0;
		if (!lower && (this.#own.timer.pending || this.#other.pending)) return false;
		this.#address = query.source;
		if (!this.#other.pending) this.#delay(this.#jiffies.ticks(query.delay));
		this.#other.after(this.#config.querierInterval);
		return true;
	}
}
