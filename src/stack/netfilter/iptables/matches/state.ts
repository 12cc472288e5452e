import type { Frame } from "../../../../wire/index.ts";
import type { Flow } from "../../conntrack/flow.ts";
import { directionOf, INFO, ORIGINAL, STATUS } from "../../conntrack/flow.ts";
import type { Match, RuleHost } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { hex, parseMasked, turned, words } from "../values.ts";

/** What a packet may be to its flow, in the order in which they are printed. */
const STATES = ["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"] as const;
const bit = (state: (typeof STATES)[number]): number => 1 << STATES.indexOf(state);
const INVALID = bit("INVALID");
const UNTRACKED = bit("UNTRACKED");
const SNAT = bit("SNAT");
const DNAT = bit("DNAT");
/** Bits by `INFO`. */
const BY_INFO: readonly number[] = (() => {
	const bits = new Array<number>(8).fill(INVALID);
	bits[INFO.established] = bit("ESTABLISHED");
	bits[INFO.establishedReply] = bit("ESTABLISHED");
	bits[INFO.related] = bit("RELATED");
	bits[INFO.relatedReply] = bit("RELATED");
	bits[INFO.new] = bit("NEW");
	return bits;
})();

function stateOf(frame: Frame): number {
	const flow = frame.flow as Flow | null;
	if (flow === null) return frame.flowInfo === INFO.untracked ? UNTRACKED : INVALID;
	let state = BY_INFO[frame.flowInfo]!;
	if ((flow.status & STATUS.sourceNat) !== 0) state |= SNAT;
	if ((flow.status & STATUS.destinationNat) !== 0) state |= DNAT;
	return state;
}

const STATE_OPTIONS = { state: 1 };
const CONNTRACK_OPTIONS = { ctstate: 1, ctdir: 1 };

/** `-m conntrack --ctstate`, `--ctdir`, and its older sister `-m state --state`. */
export class StateMatch implements Match {
	readonly name: string;
	readonly ofFlow = true;
	readonly options: Readonly<Record<string, number>>;
	#wanted = 0;
	#inverted = false;
	#direction: "ORIGINAL" | "REPLY" | null = null;

	constructor(name: "conntrack" | "state") {
		this.name = name;
		this.options = name === "state" ? STATE_OPTIONS : CONNTRACK_OPTIONS;
	}

	set(option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		if (option === "ctdir") {
			const direction = text.toUpperCase();
			if (direction !== "ORIGINAL" && direction !== "REPLY")
				throw badParameter(`conntrack: Bad value for "--ctdir" option: "${text}"`);
			this.#direction = direction;
			return;
		}
		this.#inverted = inverted;
		const known: readonly string[] = this.name === "state" ? STATES.slice(0, 5) : STATES;
		for (const word of words(text)) {
			const index = known.indexOf(word.toUpperCase());
			if (index < 0)
				throw badParameter(this.name === "state" ? `Bad state "${word}"` : `Bad ctstate "${word}"`);
			this.#wanted |= 1 << index;
		}
		if (this.#wanted === 0) throw badParameter(`Bad ctstate "${text}"`);
	}

	finish(): void {
		if (this.#wanted === 0 && this.#direction === null)
			throw badParameter(
				this.name === "state" ? 'You must specify "--state"' : "conntrack: At least one option is required",
			);
	}

	bind(host: RuleHost): void {
		// To ask for the state of connections is to track them.
		void host.conntrack;
	}

	test(frame: Frame): boolean {
		if (this.#wanted !== 0 && ((stateOf(frame) & this.#wanted) !== 0) === this.#inverted) return false;
		if (this.#direction === null) return true;
		return (
			frame.flow !== null && (directionOf(frame.flowInfo) === ORIGINAL) === (this.#direction === "ORIGINAL")
		);
	}

	get #states(): string {
		return STATES.filter((_, index) => (this.#wanted & (1 << index)) !== 0).join(",");
	}

	save(): string {
		const state =
			this.#wanted === 0
				? ""
				: `${turned(this.#inverted)}--${this.name === "state" ? "" : "ct"}state ${this.#states}`;
		return this.#direction === null ? state : `${state} --ctdir ${this.#direction}`;
	}

	show(): string {
		const state =
			this.#wanted === 0
				? ""
				: `${turned(this.#inverted)}${this.name === "state" ? "" : "ct"}state ${this.#states}`;
		return this.#direction === null ? state : `${state} ctdir ${this.#direction}`;
	}
}

/** `-m mark` looks at the packet's mark, `-m connmark` at the flow's. */
export class MarkMatch implements Match {
	readonly name: "mark" | "connmark";
	readonly options = { mark: 1 };
	/** A flow's mark may be set by the packets of the other direction. */
	readonly ofFlow: boolean;
	#value = -1;
	#mask = 0;
	#inverted = false;

	constructor(name: "mark" | "connmark") {
		this.name = name;
		this.ofFlow = name === "mark";
	}

	set(_option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		const [value, mask] = parseMasked("mark", text);
		this.#value = value;
		this.#mask = mask;
		this.#inverted = inverted;
	}

	finish(): void {
		if (this.#value < 0) throw badParameter(`${this.name}: option "--mark" must be specified`);
	}

	bind(host: RuleHost): void {
		if (this.name === "connmark") void host.conntrack;
	}

	test(frame: Frame): boolean {
		let mark = frame.mark;
		if (this.name === "connmark") {
			const flow = frame.flow as Flow | null;
			if (flow === null) return false;
			mark = flow.mark;
		}
		return ((mark & this.#mask) >>> 0 === this.#value) !== this.#inverted;
	}

	get #text(): string {
		return this.#mask === 0xffff_ffff ? hex(this.#value) : `${hex(this.#value)}/${hex(this.#mask)}`;
	}

	save(): string {
		return `${turned(this.#inverted)}--mark ${this.#text}`;
	}

	show(): string {
		return ` ${this.name} match${turned(this.#inverted)}${this.#text}`;
	}
}
