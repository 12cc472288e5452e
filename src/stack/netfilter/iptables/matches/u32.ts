import type { Frame } from "../../../../wire/index.ts";
import type { Match } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { hex, parseNumber } from "../values.ts";

type Operator = "&" | "<<" | ">>" | "@";

/** One test: a place, reached in steps, and the values that may be there. */
interface Test {
	readonly first: number;
	readonly steps: readonly { readonly operator: Operator; readonly number: number }[];
	readonly values: readonly (readonly [number, number])[];
}

/**
 * `-m u32`: 32 bits anywhere in the packet, shifted, masked, followed. `0>>22&0x3C@12>>8=0x1001` reads the word
 * behind the IPv4 header length from offset 12 on. Reference: net/netfilter/xt_u32.c.
 */
export class U32Match implements Match {
	readonly name = "u32";
	readonly options = { u32: 1 };
	#tests: readonly Test[] = [];
	#inverted = false;

	set(_option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		this.#inverted = inverted;
		this.#tests = text.split("&&").map(parseTest);
	}

	finish(): void {
		if (this.#tests.length === 0) throw badParameter('u32: option "--u32" must be specified');
	}

	test(frame: Frame): boolean {
		for (const test of this.#tests) if (!holds(test, frame)) return this.#inverted;
		return !this.#inverted;
	}

	get #text(): string {
		return this.#tests
			.map(({ first, steps, values }) => {
				const place = hex(first) + steps.map(({ operator, number }) => operator + hex(number)).join("");
				const listed = values.map(([low, high]) => (low === high ? hex(low) : `${hex(low)}:${hex(high)}`));
				return `${place}=${listed.join(",")}`;
			})
			.join("&&");
	}

	save(): string {
		return `${this.#inverted ? " !" : ""} --u32 "${this.#text}"`;
	}

	show(): string {
		return ` u32 ${this.#inverted ? "! " : ""}"${this.#text}"`;
	}
}

function parseTest(text: string): Test {
	const compact = text.replaceAll(/\s/g, "");
	const [place = "", listed = "", ...more] = compact.split("=");
	const parts = place.split(/(&|<<|>>|@)/);
	const number = (part: string | undefined): number => {
		const value = parseNumber(part ?? "");
		if (value === undefined || value > 0xffff_ffff) throw badParameter(`u32: invalid value "${text}"`);
		return value;
	};
	if (listed === "" || more.length > 0) throw badParameter(`u32: invalid expression "${text}"`);
	const steps: { operator: Operator; number: number }[] = [];
	for (let i = 1; i < parts.length; i += 2)
		steps.push({ operator: parts[i] as Operator, number: number(parts[i + 1]) });
	const values = listed.split(",").map((each): [number, number] => {
		const [low, high] = each.split(":");
		return [number(low), number(high ?? low)];
	});
	return { first: number(parts[0]), steps, values };
}

function holds({ first, steps, values }: Test, frame: Frame): boolean {
	const octets = frame.end - frame.start;
	if (first + 4 > octets) return false;
	let base = 0;
	let value = frame.view.getUint32(frame.start + first);
	for (const { operator, number } of steps) {
		switch (operator) {
			case "&":
				value = (value & number) >>> 0;
				break;
			case "<<":
				value = number > 31 ? 0 : (value << number) >>> 0;
				break;
			case ">>":
				value = number > 31 ? 0 : value >>> number;
				break;
			case "@":
				base += value;
				if (base + number + 4 > octets) return false;
				value = frame.view.getUint32(frame.start + base + number);
				break;
		}
	}
	for (const [low, high] of values) if (value >= low && value <= high) return true;
	return false;
}
