import { type Frame, ipv4, tcp } from "../../../../wire/index.ts";
import type { Match } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { formatPortRange, parsePortRange, turned, words } from "../values.ts";

type Range = readonly [number, number];
const isIn = (range: Range, port: number): boolean => port >= range[0] && port <= range[1];
const show = (name: string, range: Range, inverted: boolean): string =>
	range[0] === range[1]
		? ` ${name}:${inverted ? "!" : ""}${String(range[0])}`
		: ` ${name}${range[0] === range[1] ? "" : "s"}:${inverted ? "!" : ""}${formatPortRange(range)}`;

/** Where the transport header starts, -1 for later fragments and packets without ports. */
function portsAt(frame: Frame): number {
	const { view, start } = frame;
	if (ipv4.fragmentOffset(view, start) !== 0) return -1;
	const at = start + ipv4.headerOctets(view, start);
	return frame.end - at >= 4 ? at : -1;
}

// One object for all matches of a kind.
const UDP_OPTIONS: Readonly<Record<string, number>> = {
	sport: 1,
	"source-port": 1,
	dport: 1,
	"destination-port": 1,
};
const TCP_OPTIONS: Readonly<Record<string, number>> = { ...UDP_OPTIONS, "tcp-flags": 2, syn: 0 };

/** `-m udp`, and what `-m tcp` has in common with it: `--sport`, `--dport`. */
export class UdpMatch implements Match {
	readonly name: string = "udp";
	readonly options: Readonly<Record<string, number>> = UDP_OPTIONS;
	#source: Range | null = null;
	#sourceInverted = false;
	#destination: Range | null = null;
	#destinationInverted = false;

	get ofFlow(): boolean {
		return true;
	}

	set(option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		if (option.startsWith("s")) {
			this.#source = parsePortRange(text);
			this.#sourceInverted = inverted;
		} else {
			this.#destination = parsePortRange(text);
			this.#destinationInverted = inverted;
		}
	}

	finish(): void {
		// Without options it means all of the protocol.
	}

	test(frame: Frame): boolean {
		const at = portsAt(frame);
		if (at < 0) return false;
		if (this.#source !== null && isIn(this.#source, frame.view.getUint16(at)) === this.#sourceInverted)
			return false;
		return (
			this.#destination === null ||
			isIn(this.#destination, frame.view.getUint16(at + 2)) !== this.#destinationInverted
		);
	}

	save(): string {
		let text = "";
		if (this.#source !== null)
			text += `${turned(this.#sourceInverted)}--sport ${formatPortRange(this.#source)}`;
		if (this.#destination !== null)
			text += `${turned(this.#destinationInverted)}--dport ${formatPortRange(this.#destination)}`;
		return text;
	}

	show(): string {
		let text = ` ${this.name}`;
		if (this.#source !== null) text += show("spt", this.#source, this.#sourceInverted);
		if (this.#destination !== null) text += show("dpt", this.#destination, this.#destinationInverted);
		return text;
	}
}

/** `-m sctp`: ports, which stand where UDP has them; chunks are not looked at. */
export class SctpMatch extends UdpMatch {
	override readonly name = "sctp";
}

const FLAGS = [
	["FIN", tcp.FIN],
	["SYN", tcp.SYN],
	["RST", tcp.RST],
	["PSH", tcp.PSH],
	["ACK", tcp.ACK],
	["URG", tcp.URG],
] as const;
const ALL = 0x3f;

function parseFlags(text: string): number {
	let flags = 0;
	for (const word of words(text)) {
		const known = FLAGS.find(([name]) => name === word.toUpperCase())?.[1];
		if (known !== undefined) flags |= known;
		else if (word.toUpperCase() === "ALL") flags |= ALL;
		else if (word.toUpperCase() !== "NONE") throw badParameter(`Unknown TCP flag \`${word}'`);
	}
	return flags;
}

const formatFlags = (flags: number): string =>
	flags === 0
		? "NONE"
		: FLAGS.filter(([, bit]) => (flags & bit) !== 0)
				.map(([name]) => name)
				.join(",");

/** `-m tcp`: ports, `--tcp-flags`, `--syn`. */
export class TcpMatch extends UdpMatch {
	override readonly name = "tcp";
	override readonly options: Readonly<Record<string, number>> = TCP_OPTIONS;
	#mask = 0;
	#wanted = 0;
	#inverted = false;

	/** Between the first and the last segments all acknowledge. */
	override get ofFlow(): boolean {
		return (this.#mask & (tcp.PSH | tcp.URG)) === 0;
	}

	override set(option: string, inverted: boolean, given: readonly string[]): void {
		if (option !== "syn" && option !== "tcp-flags") {
			super.set(option, inverted, given);
			return;
		}
		this.#inverted = inverted;
		this.#mask = option === "syn" ? tcp.SYN | tcp.RST | tcp.ACK | tcp.FIN : parseFlags(given[0] ?? "");
		this.#wanted = option === "syn" ? tcp.SYN : parseFlags(given[1] ?? "");
	}

	override test(frame: Frame): boolean {
		if (!super.test(frame)) return false;
		if (this.#mask === 0) return true;
		const at = frame.start + ipv4.headerOctets(frame.view, frame.start);
		if (frame.end - at < tcp.MIN_OCTETS) return false;
		return ((tcp.flags(frame.view, at) & this.#mask) === this.#wanted) !== this.#inverted;
	}

	override save(): string {
		const flags =
			this.#mask === 0
				? ""
				: `${turned(this.#inverted)}--tcp-flags ${formatFlags(this.#mask)} ${formatFlags(this.#wanted)}`;
		return super.save() + flags;
	}

	override show(): string {
		const hexadecimal = (flags: number): string => `0x${flags.toString(16).padStart(2, "0").toUpperCase()}`;
		const flags =
			this.#mask === 0
				? ""
				: ` flags:${this.#inverted ? "!" : ""}${hexadecimal(this.#mask)}/${hexadecimal(this.#wanted)}`;
		return super.show() + flags;
	}
}

/** `-m multiport`: up to fifteen ports or ranges. */
export class MultiportMatch implements Match {
	readonly name = "multiport";
	readonly ofFlow = true;
	readonly options = {
		sports: 1,
		"source-ports": 1,
		dports: 1,
		"destination-ports": 1,
		ports: 1,
	};
	#which: "sports" | "dports" | "ports" | null = null;
	#ranges: readonly Range[] = [];
	#inverted = false;

	set(option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		this.#which = option.startsWith("s") ? "sports" : option.startsWith("d") ? "dports" : "ports";
		this.#ranges = words(text).map(parsePortRange);
		this.#inverted = inverted;
		const count = this.#ranges.reduce((sum, [low, high]) => sum + (low === high ? 1 : 2), 0);
		if (count > 15) throw badParameter("too many ports specified");
	}

	finish(protocol: number): void {
		if (![6, 17, 33, 132, 136].includes(protocol))
			throw badParameter("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP");
		if (this.#which === null) throw badParameter("multiport expection an option");
	}

	test(frame: Frame): boolean {
		const at = portsAt(frame);
		if (at < 0) return false;
		const source = frame.view.getUint16(at);
		const destination = frame.view.getUint16(at + 2);
		for (const range of this.#ranges) {
			if (
				(this.#which !== "dports" && isIn(range, source)) ||
				(this.#which !== "sports" && isIn(range, destination))
			)
				return !this.#inverted;
		}
		return this.#inverted;
	}

	save(): string {
		return `${turned(this.#inverted)}--${this.#which ?? ""} ${this.#ranges.map(formatPortRange).join(",")}`;
	}

	show(): string {
		return ` multiport ${this.#which ?? ""} ${this.#inverted ? " !" : ""}${this.#ranges.map(formatPortRange).join(",")}`;
	}
}
