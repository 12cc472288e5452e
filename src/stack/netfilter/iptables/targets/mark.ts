import type { Frame } from "../../../../wire/index.ts";
import { type Flow, INFO } from "../../conntrack/flow.ts";
import { NEXT_RULE, type Outcome, type RuleHost, type Target } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { hex, parseMasked, parseNumber } from "../values.ts";

const ALL = 0xffff_ffff;

/** What `--set-mark`, `--and-mark` … come to: the bits of the mask go, then those of the value are turned. */
function operation(option: string, text: string): [value: number, mask: number] {
	const bits = (): number => {
		const value = parseNumber(text);
		if (value === undefined || value > ALL) throw badParameter(`MARK: bad value for option "--${option}"`);
		return value;
	};
	switch (option) {
		case "and-mark":
			return [0, ~bits() >>> 0];
		case "or-mark":
			return [bits(), bits()];
		case "xor-mark":
			return [bits(), 0];
		case "set-mark": {
			const [value, mask] = parseMasked(option, text);
			return [value, (value | mask) >>> 0];
		}
		default:
			return parseMasked(option, text);
	}
}

function shown(value: number, mask: number): string {
	if (value === 0) return `and ${hex(~mask)}`;
	if (value === mask) return `or ${hex(value)}`;
	if (mask === 0) return `xor ${hex(value)}`;
	return mask === ALL ? `set ${hex(value)}` : `xset ${hex(value)}/${hex(mask)}`;
}

/** `-j MARK`: the packet's mark. */
export class MarkTarget implements Target {
	readonly name = "MARK";
	readonly ofFlow = true;
	readonly options = { "set-mark": 1, "set-xmark": 1, "and-mark": 1, "or-mark": 1, "xor-mark": 1 };
	#value = 0;
	#mask = 0;
	#given = false;

	set(option: string, _inverted: boolean, [text = ""]: readonly string[]): void {
		[this.#value, this.#mask] = operation(option, text);
		this.#given = true;
	}

	finish(): void {
		if (!this.#given)
			throw badParameter("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required");
	}

	run(frame: Frame): Outcome {
		frame.mark = ((frame.mark & ~this.#mask) ^ this.#value) >>> 0;
		return NEXT_RULE;
	}

	save(): string {
		return ` --set-xmark ${hex(this.#value)}/${hex(this.#mask)}`;
	}

	show(): string {
		return ` MARK ${shown(this.#value, this.#mask)}`;
	}
}

/** `-j CONNMARK`: the flow's mark, also from and to the packet's. */
export class ConnmarkTarget implements Target {
	readonly name = "CONNMARK";
	readonly options = {
		"set-mark": 1,
		"set-xmark": 1,
		"and-mark": 1,
		"or-mark": 1,
		"xor-mark": 1,
		"save-mark": 0,
		"restore-mark": 0,
		mask: 1,
		nfmask: 1,
		ctmask: 1,
	};
	#mode: "set" | "save" | "restore" | null = null;
	#value = 0;
	#flowMask = ALL;
	#packetMask = ALL;

	set(option: string, _inverted: boolean, [text = ""]: readonly string[]): void {
		if (option.endsWith("mask")) {
			const mask = parseNumber(text);
			if (mask === undefined || mask > ALL)
				throw badParameter(`CONNMARK: bad value for option "--${option}"`);
			if (option !== "ctmask") this.#packetMask = mask;
			if (option !== "nfmask") this.#flowMask = mask;
			return;
		}
		if (option === "save-mark") this.#mode = "save";
		else if (option === "restore-mark") this.#mode = "restore";
		else {
			this.#mode = "set";
			[this.#value, this.#flowMask] = operation(option, text);
		}
	}

	finish(): void {
		if (this.#mode === null) throw badParameter("CONNMARK: No operation specified");
	}

	bind(host: RuleHost): void {
		void host.conntrack;
	}

	run(frame: Frame): Outcome {
		const flow = frame.flow as Flow | null;
		if (flow === null) return NEXT_RULE;
		if (this.#mode === "set") flow.mark = ((flow.mark & ~this.#flowMask) ^ this.#value) >>> 0;
		else if (this.#mode === "save")
			flow.mark = ((flow.mark & ~this.#flowMask) ^ (frame.mark & this.#packetMask)) >>> 0;
		else frame.mark = ((frame.mark & ~this.#packetMask) ^ (flow.mark & this.#flowMask)) >>> 0;
		return NEXT_RULE;
	}

	save(): string {
		if (this.#mode === "set") return ` --set-xmark ${hex(this.#value)}/${hex(this.#flowMask)}`;
		return ` --${this.#mode ?? ""}-mark --nfmask ${hex(this.#packetMask)} --ctmask ${hex(this.#flowMask)}`;
	}

	show(): string {
		if (this.#mode === "set") return ` CONNMARK ${shown(this.#value, this.#flowMask)}`;
		const masks =
			this.#packetMask === ALL && this.#flowMask === ALL
				? ""
				: ` nfmask ${hex(this.#packetMask)} ctmask ~${hex(this.#flowMask)}`;
		return ` CONNMARK ${this.#mode ?? ""}${masks}`;
	}
}

/** `-j CT --notrack`, also written `-j NOTRACK`: the packet is of no flow. */
export class CtTarget implements Target {
	readonly name = "CT";
	readonly options = { notrack: 0 };
	readonly tables = ["raw"] as const;
	#given: boolean;

	constructor(notrack: boolean) {
		this.#given = notrack;
	}

	set(): void {
		this.#given = true;
	}

	finish(): void {
		if (!this.#given) throw badParameter("CT: No operation specified");
	}

	bind(host: RuleHost): void {
		void host.conntrack;
	}

	run(frame: Frame): Outcome {
		if (frame.flow === null) frame.flowInfo = INFO.untracked;
		return NEXT_RULE;
	}

	save(): string {
		return " --notrack";
	}

	show(): string {
		return " CT notrack";
	}
}
