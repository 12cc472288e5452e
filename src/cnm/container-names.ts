import type { Ids } from "./ids.ts";

const LEFT = [
	"brave",
	"calm",
	"eager",
	"gentle",
	"happy",
	"keen",
	"lucid",
	"noble",
	"quiet",
	"swift",
	"vivid",
	"witty",
];
const RIGHT = [
	"bell",
	"cerf",
	"clark",
	"dijkstra",
	"hopper",
	"lamport",
	"liskov",
	"metcalfe",
	"perlman",
	"postel",
	"shannon",
	"turing",
];

/** A name for a container that got none: two words (`namesgenerator`), and where many have such a name, the id's beginning. */
export function drawName(ids: Ids, id: string, others: readonly string[]): string {
	for (;;) {
		const name = `${String(LEFT[ids.below(LEFT.length)])}_${String(RIGHT[ids.below(RIGHT.length)])}`;
		const numbered = others.length > 60 ? `${name}${id.slice(0, 6)}` : name;
		if (!others.includes(numbered)) return numbered;
	}
}
