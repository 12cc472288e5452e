import type { Rng, Sink } from "../../sim/index.ts";
import type { Frame } from "../../wire/index.ts";
import { Fifo, type FifoOptions } from "./fifo.ts";
import { Netem, type NetemOptions } from "./netem.ts";
import type { Qdisc } from "./qdisc.ts";
import { Tbf, type TbfOptions } from "./tbf.ts";
import type { Place, World } from "../world.ts";

/** A queueing discipline by its kind and the options of that kind. */
export type QdiscOptions =
	| ({ readonly kind: "netem" } & NetemOptions)
	| ({ readonly kind: "tbf" } & TbfOptions)
	| ({ readonly kind: "pfifo" } & FifoOptions)
	| ({ readonly kind: "bfifo" } & FifoOptions);

/** Makes the queueing discipline that options ask for, in front of `target`. Throws RangeError. */
export function makeQdisc(
	world: World,
	rng: Rng,
	target: Sink<Frame>,
	place: Place,
	options: QdiscOptions,
): Qdisc {
	switch (options.kind) {
		case "netem":
			return new Netem(world, rng, target, place, options);
		case "tbf":
			return new Tbf(world, target, place, options);
		case "pfifo":
		case "bfifo":
			return new Fifo(world, target, place, options.kind, options);
	}
}

/** Gives a queueing discipline other options of its own kind. Throws RangeError, and changes nothing then. */
export function changeQdisc(qdisc: Qdisc, options: QdiscOptions): void {
	if (qdisc instanceof Netem && options.kind === "netem") qdisc.change(options);
	else if (qdisc instanceof Tbf && options.kind === "tbf") qdisc.change(options);
	else if (qdisc instanceof Fifo && options.kind === qdisc.kind) qdisc.change(options);
	else throw new RangeError(`kind is "${options.kind}", expected "${qdisc.kind}"`);
}
