import type { Device } from "../../../../link/index.ts";
import type { Frame } from "../../../../wire/index.ts";
import type { Match } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { DeviceTest } from "../rule.ts";
import { turned } from "../values.ts";

const LONGEST_DEVICE = 15;
/** The options, in the order in which they are printed. */
const OPTIONS = [
	"physdev-is-in",
	"physdev-in",
	"physdev-is-out",
	"physdev-out",
	"physdev-is-bridged",
] as const;

/**
 * `-m physdev`: the bridge ports a packet came in and goes out by, where br_netfilter showed it there. Reference:
 * net/netfilter/xt_physdev.c.
 */
export class PhysdevMatch implements Match {
	readonly name = "physdev";
	readonly options = {
		"physdev-in": 1,
		"physdev-out": 1,
		"physdev-is-in": 0,
		"physdev-is-out": 0,
		"physdev-is-bridged": 0,
	};
	#in: DeviceTest | null = null;
	#out: DeviceTest | null = null;
	/** Of each switch that was given, whether it was turned round. */
	readonly #is = new Map<string, boolean>();

	set(option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		if (option !== "physdev-in" && option !== "physdev-out") {
			this.#is.set(option, inverted);
			return;
		}
		if (text.length > LONGEST_DEVICE)
			throw badParameter(`interface name \`${text}' must be shorter than IFNAMSIZ (15)`);
		const test = new DeviceTest(text, inverted);
		if (option === "physdev-in") this.#in = test;
		else this.#out = test;
	}

	finish(): void {
		if (this.#in === null && this.#out === null && this.#is.size === 0)
			throw badParameter("PHYSDEV: no physdev option specified");
	}

	test(frame: Frame): boolean {
		const physIn = frame.physIn as Device | null;
		const physOut = frame.physOut as Device | null;
		// What no bridge showed is meant only by what is turned round.
		if (physIn === null && (this.#in?.inverted === false || this.#out?.inverted === false)) return false;
		for (const [option, inverted] of this.#is) {
			const is = option === "physdev-is-in" ? physIn !== null : physOut !== null;
			if (is === inverted) return false;
		}
		if (physIn === null) return true;
		if (this.#in?.test(physIn) === false) return false;
		return this.#out?.test(physOut) !== false;
	}

	save(): string {
		return OPTIONS.map((option) => {
			const inverted = this.#is.get(option);
			if (inverted !== undefined) return `${turned(inverted)}--${option}`;
			const test = option === "physdev-in" ? this.#in : option === "physdev-out" ? this.#out : null;
			return test === null ? "" : `${turned(test.inverted)}--${option} ${test.text}`;
		}).join("");
	}

	show(): string {
		return ` PHYSDEV match${this.save()}`;
	}
}
