import { type Ip4, isMulticastIp4 } from "../../../../addr/index.ts";
import type { Device } from "../../../../link/index.ts";
import { type Frame, ipv4 } from "../../../../wire/index.ts";
import type { Namespace } from "../../../namespace.ts";
import type { Match, RuleHost, Situation } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { turned, words } from "../values.ts";

/** What routing says of an address (`RTN_*`), by its bit. */
const TYPES = [
	"UNSPEC",
	"UNICAST",
	"LOCAL",
	"BROADCAST",
	"ANYCAST",
	"MULTICAST",
	"BLACKHOLE",
	"UNREACHABLE",
	"PROHIBIT",
	"THROW",
	"NAT",
	"XRESOLVE",
] as const;
const bit = (type: (typeof TYPES)[number]): number => 1 << TYPES.indexOf(type);
const [UNSPEC, UNICAST, LOCAL, BROADCAST, MULTICAST] = [
	bit("UNSPEC"),
	bit("UNICAST"),
	bit("LOCAL"),
	bit("BROADCAST"),
	bit("MULTICAST"),
];

const OPTIONS: Readonly<Record<string, number>> = {
	"src-type": 1,
	"dst-type": 1,
	"limit-iface-in": 0,
	"limit-iface-out": 0,
};

/** `-m addrtype`: what an address is to this namespace. */
export class AddrtypeMatch implements Match {
	readonly name = "addrtype";
	readonly options: Readonly<Record<string, number>> = OPTIONS;
	readonly ofFlow = true;
	#source = 0;
	#sourceInverted = false;
	#destination = 0;
	#destinationInverted = false;
	#limit: "in" | "out" | null = null;
	#ns: Namespace | null = null;

	set(option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		if (option.startsWith("limit")) {
			this.#limit = option.endsWith("in") ? "in" : "out";
			return;
		}
		let bits = 0;
		for (const word of words(text)) {
			const index = (TYPES as readonly string[]).indexOf(word.toUpperCase());
			if (index < 0) throw badParameter(`addrtype: bad type \`${word}'`);
			bits |= 1 << index;
		}
		if (option === "src-type") {
			this.#source = bits;
			this.#sourceInverted = inverted;
		} else {
			this.#destination = bits;
			this.#destinationInverted = inverted;
		}
	}

	finish(): void {
		if (this.#source === 0 && this.#destination === 0)
			throw badParameter("addrtype: you must specify --src-type or --dst-type");
	}

	bind(host: RuleHost): void {
		this.#ns = host.ns;
	}

	test(frame: Frame, at: Situation): boolean {
		const ns = this.#ns!;
		const device =
			this.#limit === null ? null : this.#limit === "in" ? (at.inDevice?.device ?? null) : at.out;
		if (this.#source !== 0) {
			const is = (typeOf(ns, ipv4.source(frame.view, frame.start), device) & this.#source) !== 0;
			if (is === this.#sourceInverted) return false;
		}
		if (this.#destination === 0) return true;
		const is = (typeOf(ns, ipv4.destination(frame.view, frame.start), device) & this.#destination) !== 0;
		return is !== this.#destinationInverted;
	}

	save(): string {
		let text = "";
		if (this.#source !== 0) text += `${turned(this.#sourceInverted)}--src-type ${named(this.#source)}`;
		if (this.#destination !== 0)
			text += `${turned(this.#destinationInverted)}--dst-type ${named(this.#destination)}`;
		return this.#limit === null ? text : `${text} --limit-iface-${this.#limit}`;
	}

	show(): string {
		let text = " ADDRTYPE match";
		if (this.#source !== 0) text += ` src-type ${this.#sourceInverted ? "!" : ""}${named(this.#source)}`;
		if (this.#destination !== 0)
			text += ` dst-type ${this.#destinationInverted ? "!" : ""}${named(this.#destination)}`;
		return this.#limit === null ? text : `${text} limit-${this.#limit}`;
	}
}

const named = (bits: number): string => TYPES.filter((_, index) => (bits & (1 << index)) !== 0).join(",");

/** `inet_addr_type`, `inet_dev_addr_type`. */
function typeOf(ns: Namespace, address: Ip4, device: Device | null): number {
	if (address === 0) return UNSPEC | BROADCAST;
	if (isMulticastIp4(address)) return MULTICAST;
	if (ns.isBroadcast(address)) return BROADCAST;
	const local = ns.localFib.lookup(address);
	if (local?.type !== "local") return UNICAST;
	return device === null || local.device === device ? LOCAL : UNICAST;
}
