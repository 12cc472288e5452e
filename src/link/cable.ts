import type { Lane, Nanoseconds, Sink } from "../sim/index.ts";
import { type Duration, parseDuration } from "../sim/index.ts";
import type { Frame } from "../wire/index.ts";
import { Netem, type NetemOptions } from "./netem.ts";
import type { Place, World } from "./world.ts";

/** What a cable can be plugged into: a NIC, a port of a switch. */
export interface Plug extends Sink<Frame>, Place {
	/** The cable was plugged in (its near end), or pulled out. */
	plugged(end: CableEnd | null): void;
	/** The far end came up or went down. */
	carrierChanged(carrier: boolean): void;
}

/** Length and faults of a cable. */
export interface CableOptions {
	/** Time from end to end. The lab's `latency.cable` unless said. */
	readonly delay?: Duration;
	/** Faults, both ways. */
	readonly netem?: NetemOptions;
}

/** One end of a cable: where its plug puts frames in. */
export class CableEnd {
	readonly #world: World;
	readonly #lane: Lane;
	readonly #wire: Nanoseconds;
	readonly #far: Plug;
	readonly #place: Place;
	#netem: Netem | null = null;
	#whole = true;

	constructor(world: World, far: Plug, place: Place, wire: Nanoseconds) {
		this.#world = world;
		this.#far = far;
		this.#place = place;
		this.#wire = wire;
		this.#lane = world.scheduler.lane(wire);
	}

	/** A frame enters the cable. Takes it. */
	send(frame: Frame): void {
		if (!this.#whole) return this.#world.drop(frame, "no-carrier", this.#place);
		this.#world.crossing(frame);
		if (this.#netem !== null) return this.#netem.send(frame);
		this.#lane.push(this.#far, frame);
	}

	/** Sets the faults of this direction, or none. */
	impair(options: NetemOptions | undefined, stream: string): void {
		const rng = this.#world.rng.fork(`netem/${stream}`);
		this.#netem =
			options === undefined ? null : new Netem(this.#world, rng, this.#far, this.#place, this.#wire, options);
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

	/** Plugs the cable in at both ends. */
	constructor(world: World, a: Plug, b: Plug, options: CableOptions = {}) {
		this.place = `${a.place} -- ${b.place}`;
		const wire = options.delay === undefined ? world.latency.cable : parseDuration(options.delay, "delay");
		this.#ends = [new CableEnd(world, b, this, wire), new CableEnd(world, a, this, wire)];
		this.#plugs = [a, b];
		this.impair(options.netem);
		a.plugged(this.#ends[0]);
		b.plugged(this.#ends[1]);
	}

	/** Sets the faults of both directions, or of the one from plug 0 or 1; `undefined` heals it. Throws RangeError. */
	impair(options: NetemOptions | undefined, from?: 0 | 1): void {
		for (const direction of [0, 1] as const) {
			if (from === undefined || from === direction)
				this.#ends[direction].impair(options, `${this.place}/${String(direction)}`);
		}
	}

	/** Cuts the cable or mends it: both plugs lose or get their carrier. */
	setWhole(whole: boolean): void {
		for (const end of this.#ends) end.whole = whole;
		for (const plug of this.#plugs) plug.carrierChanged(whole);
	}

	/** Pulls both ends out. */
	unplug(): void {
		for (const plug of this.#plugs) plug.plugged(null);
	}
}
