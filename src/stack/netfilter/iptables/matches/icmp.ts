import { type Frame, icmp, ipv4 } from "../../../../wire/index.ts";
import type { Match } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { parseNumber, turned } from "../values.ts";

/** Names of types, with the codes that belong to them; -1 for any code. */
const TYPES: Readonly<Record<string, readonly [type: number, code: number]>> = {
	any: [255, -1],
	"echo-reply": [0, -1],
	pong: [0, -1],
	"destination-unreachable": [3, -1],
	"network-unreachable": [3, 0],
	"host-unreachable": [3, 1],
	"protocol-unreachable": [3, 2],
	"port-unreachable": [3, 3],
	"fragmentation-needed": [3, 4],
	"source-route-failed": [3, 5],
	"network-unknown": [3, 6],
	"host-unknown": [3, 7],
	"network-prohibited": [3, 9],
	"host-prohibited": [3, 10],
	"TOS-network-unreachable": [3, 11],
	"TOS-host-unreachable": [3, 12],
	"communication-prohibited": [3, 13],
	"host-precedence-violation": [3, 14],
	"precedence-cutoff": [3, 15],
	"source-quench": [4, -1],
	redirect: [5, -1],
	"network-redirect": [5, 0],
	"host-redirect": [5, 1],
	"TOS-network-redirect": [5, 2],
	"TOS-host-redirect": [5, 3],
	"echo-request": [8, -1],
	ping: [8, -1],
	"router-advertisement": [9, -1],
	"router-solicitation": [10, -1],
	"time-exceeded": [11, -1],
	"ttl-exceeded": [11, -1],
	"ttl-zero-during-transit": [11, 0],
	"ttl-zero-during-reassembly": [11, 1],
	"parameter-problem": [12, -1],
	"ip-header-bad": [12, 0],
	"required-option-missing": [12, 1],
	"timestamp-request": [13, -1],
	"timestamp-reply": [14, -1],
	"address-mask-request": [17, -1],
	"address-mask-reply": [18, -1],
};
const ANY_TYPE = 255;

/** `-m icmp --icmp-type`. */
export class IcmpMatch implements Match {
	readonly name = "icmp";
	/** No packet of UDP or TCP is meant. */
	readonly ofFlow = true;
	readonly options = { "icmp-type": 1 };
	#type = ANY_TYPE;
	#code = -1;
	#inverted = false;
	#given = false;

	set(_option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		this.#inverted = inverted;
		this.#given = true;
		const named = TYPES[text];
		if (named !== undefined) {
			[this.#type, this.#code] = named;
			return;
		}
		const slash = text.indexOf("/");
		const type = parseNumber(slash < 0 ? text : text.slice(0, slash));
		const code = slash < 0 ? -1 : parseNumber(text.slice(slash + 1));
		if (type === undefined || code === undefined || type > 255 || code > 255)
			throw badParameter(`Invalid ICMP type \`${text}'`);
		this.#type = type;
		this.#code = code;
	}

	finish(): void {
		// Without a type it means all of ICMP.
	}

	test(frame: Frame): boolean {
		const { view, start } = frame;
		if (ipv4.fragmentOffset(view, start) !== 0) return false;
		const at = start + ipv4.headerOctets(view, start);
		if (frame.end - at < icmp.OCTETS) return false;
		const meant =
			this.#type === ANY_TYPE ||
			(icmp.type(view, at) === this.#type && (this.#code < 0 || icmp.code(view, at) === this.#code));
		return meant !== this.#inverted;
	}

	save(): string {
		if (!this.#given) return "";
		const type = this.#type === ANY_TYPE ? "any" : String(this.#type);
		return `${turned(this.#inverted)}--icmp-type ${type}${this.#code < 0 ? "" : `/${String(this.#code)}`}`;
	}

	show(): string {
		if (!this.#given) return " icmp";
		const inverted = this.#inverted ? "!" : "";
		if (this.#type === ANY_TYPE) return ` ${inverted}icmp any`;
		const code = this.#code < 0 ? "" : ` code ${String(this.#code)}`;
		return ` ${inverted}icmptype ${String(this.#type)}${code}`;
	}
}
