import { type Frame, ipv4 } from "../../../../wire/index.ts";
import type { Match, Predicates, RuleHost } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { formatPortRange, parseNumber, quoted, turned } from "../values.ts";

/** `-m comment`: means every packet. */
export class CommentMatch implements Match {
	readonly name = "comment";
	readonly ofFlow = true;
	readonly options = { comment: 1 };
	#text: string | null = null;

	set(_option: string, _inverted: boolean, [text = ""]: readonly string[]): void {
		if (text.length > 255) throw badParameter('comment: bad value for option "--comment"');
		this.#text = text;
	}

	finish(): void {
		if (this.#text === null) throw badParameter('comment: option "--comment" must be specified');
	}

	test(): boolean {
		return true;
	}

	save(): string {
		return ` --comment ${quoted(this.#text ?? "")}`;
	}

	show(): string {
		return ` /* ${this.#text ?? ""} */`;
	}
}

/** `-m length`: octets of the packet, IPv4 header included. */
export class LengthMatch implements Match {
	readonly name = "length";
	readonly options = { length: 1 };
	#range: readonly [number, number] | null = null;
	#inverted = false;

	set(_option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		const [low = "", high] = text.split(":");
		const first = low === "" ? 0 : parseNumber(low);
		const last = high === undefined ? first : high === "" ? 0xffff : parseNumber(high);
		if (first === undefined || last === undefined || first > last || last > 0xffff)
			throw badParameter(`length: bad value for option "--length": "${text}"`);
		this.#range = [first, last];
		this.#inverted = inverted;
	}

	finish(): void {
		if (this.#range === null) throw badParameter('length: option "--length" must be specified');
	}

	test(frame: Frame): boolean {
		const octets = ipv4.totalLength(frame.view, frame.start);
		const range = this.#range!;
		return (octets >= range[0] && octets <= range[1]) !== this.#inverted;
	}

	save(): string {
		return `${turned(this.#inverted)}--length ${formatPortRange(this.#range ?? [0, 0])}`;
	}

	show(): string {
		return ` length ${this.#inverted ? "!" : ""}${formatPortRange(this.#range ?? [0, 0])}`;
	}
}

/** `-m ipvs --ipvs`: what IPVS takes for its own, which IPVS says. */
export class IpvsMatch implements Match {
	readonly name = "ipvs";
	readonly options = { ipvs: 0 };
	#given = false;
	#inverted = false;
	#predicates: Predicates | null = null;

	set(_option: string, inverted: boolean): void {
		this.#given = true;
		this.#inverted = inverted;
	}

	finish(): void {
		if (!this.#given) throw badParameter("IPVS: At least one option is required");
	}

	bind(host: RuleHost): void {
		this.#predicates = host.predicates;
	}

	test(frame: Frame): boolean {
		return this.#predicates!.ipvs(frame) !== this.#inverted;
	}

	save(): string {
		return `${turned(this.#inverted)}--ipvs`;
	}

	show(): string {
		return `${turned(this.#inverted)}ipvs`;
	}
}

/** `-m policy --dir … --pol …`: whether IPsec transforms it, which IPsec says. */
export class PolicyMatch implements Match {
	readonly name = "policy";
	readonly options = { dir: 1, pol: 1 };
	#direction: "in" | "out" | null = null;
	#policy: "none" | "ipsec" | null = null;
	#predicates: Predicates | null = null;

	set(option: string, _inverted: boolean, [text = ""]: readonly string[]): void {
		if (option === "dir") {
			if (text !== "in" && text !== "out") throw badParameter(`policy_match: invalid dir "${text}"`);
			this.#direction = text;
		} else {
			if (text !== "none" && text !== "ipsec") throw badParameter(`policy match: invalid policy "${text}"`);
			this.#policy = text;
		}
	}

	finish(): void {
		if (this.#direction === null)
			throw badParameter("policy match: neither --dir in nor --dir out specified");
	}

	bind(host: RuleHost): void {
		this.#predicates = host.predicates;
	}

	test(frame: Frame): boolean {
		return this.#predicates!.ipsec(frame, this.#direction!) === (this.#policy !== "none");
	}

	save(): string {
		return ` --dir ${this.#direction ?? ""}${this.#policy === null ? "" : ` --pol ${this.#policy}`}`;
	}

	show(): string {
		return ` policy match dir ${this.#direction ?? ""}${this.#policy === null ? "" : ` pol ${this.#policy}`}`;
	}
}
