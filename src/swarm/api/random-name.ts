import type { Rng } from "../../sim/index.ts";

const LEFT = ["brave", "clever", "dreamy", "epic", "festive", "jolly", "nifty", "serene", "tender", "zen"];
const RIGHT = [
	"babbage",
	"curie",
	"euler",
	"fermat",
	"gauss",
	"hamilton",
	"knuth",
	"noether",
	"shannon",
	"turing",
];

/** A name for a service that was given none: two words, and a digit when those are taken. */
export function randomName(rng: Rng, taken: (name: string) => boolean): string {
	for (let tries = 0; ; tries++) {
		const words = `${String(LEFT[rng.below(LEFT.length)])}_${String(RIGHT[rng.below(RIGHT.length)])}`;
		const name = tries < 10 ? words : `${words}${String(rng.below(tries))}`;
		if (!taken(name)) return name;
	}
}
