import type { Lane, Nanoseconds, Sink } from "../sim/index.ts";
import { type Duration, parseDuration } from "../sim/index.ts";
import type { Frame } from "../wire/index.ts";
import type { NetemOptions } from "./qdisc/netem.ts";
import { makeQdisc, type QdiscOptions } from "./qdisc/make.ts";
import type { Qdisc } from "./qdisc/qdisc.ts";
import type { Place, World } from "./world.ts";

/** What a cable can be plugged into: a NIC, a port of a switch. */
export interface Plug extends Sink<Frame>, Place {
	/** The cable was plugged in (its near end), or pulled out. */
	plugged(end: CableEnd | null): void;
	/** The link came or went: the cable was mended or cut, the far plug switched on or off. */
	carrierChanged(carrier: boolean): void;
	/** True while a cable is in. */
	readonly hasCable: boolean;
}

/** Length and faults of a cable. */
export interface CableOptions {
	/** Time from end to end. The lab's `latency.cable` unless said. */
	readonly delay?: Duration;
	/** Faults, both ways. */
	readonly netem?: NetemOptions;
	/** Any queueing discipline, both ways; not together with `netem`. */
	readonly qdisc?: QdiscOptions;
}

/**
 * One end of a cable: where its plug puts frames in.
 *
 *     send → queueing discipline, if any → wire → far plug
 */
export class CableEnd implements Sink<Frame> {
	readonly #world: World;
	readonly #lane: Lane;
	readonly #far: Plug;
	readonly #place: Cable;
	#qdisc: Qdisc | null = null;
	#whole = true;
	/** True while the plug at this end is on: without its light there is no link at either end. */
	lit = false;

	constructor(world: World, far: Plug, place: Cable, wire: Nanoseconds) {
		this.#world = world;
		this.#far = far;
		this.#place = place;
		this.#lane = world.scheduler.lane(wire);
	}

	/** A frame enters the cable. Takes it. */
	send(frame: Frame): void {
		if (!this.#whole) return this.#world.drop(frame, "no-carrier", this.#place);
		this.#world.crossing(frame);
		if (this.#qdisc !== null) return this.#qdisc.send(frame);
		this.#lane.push(this.#far, frame);
	}

	/** A frame leaves the queue for the wire. Takes it. */
	deliver(frame: Frame): void {
		if (!this.#whole) return this.#world.drop(frame, "no-carrier", this.#place);
		this.#lane.push(this.#far, frame);
	}

	/** The queueing discipline of this direction, if any. */
	get qdisc(): Qdisc | null {
		return this.#qdisc;
	}

	/** The plug at this end was switched on or off. */
	light(on: boolean): void {
		this.lit = on;
		this.#place.refresh();
	}

	/** The cable that it is an end of. */
	get cable(): Cable {
		return this.#place;
	}

	/** Pulls both ends of the cable out. */
	unplug(): void {
		this.#place.unplug();
	}

	/** Sets the queueing discipline of this direction, or none; what waits in the old one still leaves in its time. */
	impair(options: QdiscOptions | undefined, stream: string): void {
		const rng = this.#world.rng.fork(`netem/${stream}`);
		this.#qdisc = options === undefined ? null : makeQdisc(this.#world, rng, this, this.#place, options);
	}

	set whole(whole: boolean) {
		this.#whole = whole;
	}
}

/**
 * A cable between two plugs, full duplex. Faults are those of tc-netem(8), each direction with chance of
 * its own.
 */
export class Cable implements Place {
	readonly place: string;
	readonly #ends: readonly [CableEnd, CableEnd];
	readonly #plugs: readonly [Plug, Plug];
	#whole = true;
	#carrier = false;

	/** Plugs the cable in at both ends. */
	constructor(world: World, a: Plug, b: Plug, options: CableOptions = {}) {
		this.place = `${a.place} -- ${b.place}`;
		const wire = options.delay === undefined ? world.latency.cable : parseDuration(options.delay, "delay");
		this.#ends = [new CableEnd(world, b, this, wire), new CableEnd(world, a, this, wire)];
		this.#plugs = [a, b];
		if (options.netem !== undefined && options.qdisc !== undefined)
			throw new RangeError("netem and qdisc are both given, expected one of them");
		this.impair(options.netem ?? options.qdisc);
		a.plugged(this.#ends[0]);
		b.plugged(this.#ends[1]);
	}

	/**
	 * Sets the faults of both directions, or of the one from plug 0 or 1: netem's options, or those of any queueing
	 * discipline by its kind; `undefined` heals it. Throws RangeError.
	 */
	impair(options: NetemOptions | QdiscOptions | undefined, from?: 0 | 1): void {
		const by: QdiscOptions | undefined =
			options === undefined || "kind" in options ? options : { kind: "netem", ...options };
		for (const direction of [0, 1] as const) {
			if (from === undefined || from === direction)
				this.#ends[direction].impair(by, `${this.place}/${String(direction)}`);
		}
	}

	/** The queueing discipline of the direction from plug 0 or 1, if any. */
	qdisc(from: 0 | 1): Qdisc | null {
		return this.#ends[from].qdisc;
	}

	/** Cuts the cable or mends it: both plugs lose or get their carrier. */
	setWhole(whole: boolean): void {
		this.#whole = whole;
		for (const end of this.#ends) end.whole = whole;
		this.refresh();
	}

	/** Whether there is a link: the cable is whole and both plugs are on. */
	get carrier(): boolean {
		return this.#carrier;
	}

	/** Tells both plugs when the link came or went. Called by the ends. */
	refresh(): void {
		const carrier = this.#whole && this.#ends[0].lit && this.#ends[1].lit;
		if (carrier === this.#carrier) return;
		this.#carrier = carrier;
		for (const plug of this.#plugs) plug.carrierChanged(carrier);
	}

	/** Pulls both ends out. */
	unplug(): void {
		for (const end of this.#ends) end.lit = false;
		this.#carrier = false;
		for (const plug of this.#plugs) plug.plugged(null);
	}
}
