import type { Instant } from "../../sim/index.ts";
import type { Jiffies } from "../../sim/index.ts";

/** What IPVS counts of a service or a destination: `ipvsadm -L --stats`. */
export interface Counters {
	conns: number;
	inPackets: number;
	outPackets: number;
	inOctets: number;
	outOctets: number;
}

/** `ipvsadm -L --rate`: per second, averaged over some ticks of the estimator. */
export interface Rates {
	readonly cps: number;
	readonly inPps: number;
	readonly outPps: number;
	readonly inBps: number;
	readonly outBps: number;
}

const none = (): Counters => ({ conns: 0, inPackets: 0, outPackets: 0, inOctets: 0, outOctets: 0 });
/** What nobody counted; never written to. */
const NOTHING = none();
const NAMES = ["conns", "inPackets", "outPackets", "inOctets", "outOctets"] as const;
/** Ticks of silence after which every rate is 0. */
const FORGOTTEN = 200;
/** The estimator asks for two seconds; its timer lies in a slot of eight jiffies and so fires every 504. */
const ASKED = 500;
const PERIOD = 504;

/**
 * The timer that publishes the counters every two seconds (`estimation_timer` of net/netfilter/ipvs/ip_vs_est.c),
 * as arithmetic: it costs nothing while nobody asks. What ipvsadm prints is as old as the last tick.
 */
export class Estimator {
	readonly #jiffies: Jiffies;
	readonly #clock: { readonly now: Instant };
	readonly #first: Instant;
	readonly #period: number;
	#tick = 0;
	/** When the next tick comes. */
	#next: Instant;

	constructor(jiffies: Jiffies, clock: { readonly now: Instant }) {
		this.#jiffies = jiffies;
		this.#clock = clock;
		this.#first = jiffies.fires(clock.now, jiffies.jiffiesAt(clock.now) + ASKED);
		this.#period = this.#jiffies.nanoseconds(PERIOD);
		this.#next = this.#first;
	}

	/** Ticks so far. */
	get tick(): number {
		const { now } = this.#clock;
		if (now >= this.#next) {
			this.#tick = Math.floor((now - this.#first) / this.#period) + 1;
			this.#next = this.#first + this.#tick * this.#period;
		}
		return this.#tick;
	}
}

/** Counters of one service or destination: what is counted, and what was published of it. */
export class Stats {
	readonly #estimator: Estimator;
	// Until something is counted all share their zeros: a cluster has as many destinations as tasks, on each node.
	#counted: Counters = NOTHING;
	#published: Counters = NOTHING;
	#zero: Counters = NOTHING;
	/** Averages as the kernel keeps them: packets scaled by 2^10, octets by 2^5. */
	#averages: Counters = NOTHING;
	#tick: number;
	#running = true;

	constructor(estimator: Estimator) {
		this.#estimator = estimator;
		this.#tick = estimator.tick;
	}

	/** Something is about to be counted. */
	#begin(): void {
		this.#catchUp();
		if (this.#counted !== NOTHING) return;
		this.#counted = none();
		this.#published = none();
		this.#zero = none();
		this.#averages = none();
	}

	/** A connection was made (`ip_vs_conn_stats`). */
	connection(): void {
		this.#begin();
		this.#counted.conns++;
	}

	/** A packet came from the client (`ip_vs_in_stats`). */
	in(octets: number): void {
		this.#begin();
		this.#counted.inPackets++;
		this.#counted.inOctets += octets;
	}

	/** A packet went to the client (`ip_vs_out_stats`). */
	out(octets: number): void {
		this.#begin();
		this.#counted.outPackets++;
		this.#counted.outOctets += octets;
	}

	/** `ipvsadm -Z`: counts from what was last published (`ip_vs_zero_stats`). */
	clear(): void {
		this.#catchUp();
		if (this.#counted === NOTHING) return;
		Object.assign(this.#zero, this.#published);
		Object.assign(this.#averages, none());
	}

	/** The estimator no longer publishes this one (`ip_vs_stop_estimator`). */
	stop(): void {
		this.#catchUp();
		this.#running = false;
	}

	/** It does again (`ip_vs_start_estimator`). */
	start(): void {
		this.#running = true;
		this.#tick = this.#estimator.tick;
	}

	/** As published at the last tick. */
	get counters(): Readonly<Counters> {
		this.#catchUp();
		const shown = none();
		for (const name of NAMES) shown[name] = this.#published[name] - this.#zero[name];
		return shown;
	}

	/** As published at the last tick (`ip_vs_read_estimator`). */
	get rates(): Rates {
		this.#catchUp();
		const { conns, inPackets, outPackets, inOctets, outOctets } = this.#averages;
		const perSecond = (value: number): number => Math.floor((value + 0x1ff) / 1024);
		const octets = (value: number): number => Math.floor((value + 0xf) / 32);
		return {
			cps: perSecond(conns),
			inPps: perSecond(inPackets),
			outPps: perSecond(outPackets),
			inBps: octets(inOctets),
			outBps: octets(outOctets),
		};
	}

	/** Does what the estimator did since the last look. */
	#catchUp(): void {
		const { tick } = this.#estimator;
		if (tick === this.#tick || !this.#running) return;
		const ticks = Math.min(tick - this.#tick, FORGOTTEN);
		this.#tick = tick;
		if (this.#counted === NOTHING) return;
		for (const name of NAMES) {
			const scale = name === "inOctets" || name === "outOctets" ? 16 : 512;
			let rate = (this.#counted[name] - this.#published[name]) * scale;
			this.#published[name] = this.#counted[name];
			let average = this.#averages[name];
			for (let i = 0; i < ticks; i++) {
				average += Math.floor((rate - average) / 4);
				rate = 0;
			}
			this.#averages[name] = average;
		}
	}
}
