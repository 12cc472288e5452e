import { ANY_IP4 } from "../../../../addr/index.ts";
import { type Frame, ipv4 } from "../../../../wire/index.ts";
import type { Flow } from "../../conntrack/flow.ts";
import type { HookPoint } from "../../hooks.ts";
import type { NatRange } from "../../nat/range.ts";
import type { Manip } from "../../nat/translate.ts";
import {
	ACCEPTED,
	DROPPED,
	type Outcome,
	type RuleHost,
	type Situation,
	type TableName,
	type Target,
} from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { formatAddressRange, parseAddressRange, parseNumber } from "../values.ts";

const LOCALHOST = 0x7f00_0001;
/** Protocols with ports. */
const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);

// What each kind takes and where it may stand is one object for all rules.
const NAT_TABLE = ["nat"] as const;
const DESTINATION_POINTS = ["PREROUTING", "OUTPUT"] as const;
const SOURCE_POINTS = ["POSTROUTING", "INPUT"] as const;
const MASQUERADE_POINTS = ["POSTROUTING"] as const;
const DNAT_OPTIONS = { "to-destination": 1, random: 0, persistent: 0 };
const SNAT_OPTIONS = { "to-source": 1, random: 0, "random-fully": 0, persistent: 0 };
const MASQUERADE_OPTIONS = { "to-ports": 1, random: 0, "random-fully": 0 };
const REDIRECT_OPTIONS = { "to-ports": 1, random: 0 };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function parsePorts(text: string): [number, number] {
	const [low, high, ...more] = text.split("-").map((part) => {
		const port = parseNumber(part);
		if (port === undefined || port < 1 || port > 0xffff)
			throw badParameter(`Port \`${text}' not valid, must be between 1 and 65535`);
		return port;
	});
	if (low === undefined || more.length > 0) throw badParameter(`Invalid port:port syntax - use dash`);
	if (high !== undefined && high < low) throw badParameter(`Port range \`${text}' funky`);
	return [low, high ?? low];
}

const formatPorts = ([low, high]: readonly [number, number]): string =>
	low === high ? String(low) : `${String(low)}-${String(high)}`;

/** What the four targets of the nat table share. */
abstract class NatTarget implements Target {
	abstract readonly name: string;
	abstract readonly options: Readonly<Record<string, number>>;
	abstract readonly points: readonly HookPoint[];
	readonly tables: readonly TableName[] = NAT_TABLE;
	protected readonly range: Mutable<NatRange> = {};
	protected host: RuleHost | null = null;

	set(option: string, inverted: boolean, [text = ""]: readonly string[]): void {
		if (inverted) throw badParameter(`${this.name}: "!" not supported`);
		switch (option) {
			case "random":
			case "random-fully":
				this.range.random = true;
				this.fully ||= option === "random-fully";
				return;
			case "persistent":
				this.range.persistent = true;
				return;
			case "to-ports":
				this.range.ports = parsePorts(text);
				return;
			default:
				this.#setTo(text);
		}
	}

	/** Was `--random-fully` what was said? Both mean the same here. */
	protected fully = false;

	/** `[address[-address]][:port[-port[/base]]]`. */
	#setTo(text: string): void {
		const colon = text.indexOf(":");
		const address = colon < 0 ? text : text.slice(0, colon);
		if (address !== "") this.range.address = parseAddressRange(address);
		if (colon < 0) return;
		const [ports = "", base] = text.slice(colon + 1).split("/");
		this.range.ports = parsePorts(ports);
		if (base !== undefined) this.range.shiftFrom = parseNumber(base) ?? 0;
	}

	finish(protocol: number): void {
		if (this.range.ports !== undefined && !WITH_PORTS.has(protocol))
			throw badParameter("Need TCP, UDP, SCTP or DCCP with port specification");
	}

	bind(host: RuleHost): void {
		this.host = host;
	}

	protected translateTo(frame: Frame, manip: Manip, range: NatRange): Outcome {
		this.host!.nat.setup(frame.flow as Flow, manip, range);
		return ACCEPTED;
	}

	abstract run(frame: Frame, at: Situation): Outcome;

	protected get to(): string {
		const { address, ports, shiftFrom } = this.range;
		const place = address === undefined ? "" : formatAddressRange(address);
		if (ports === undefined) return place;
		return `${place}:${formatPorts(ports)}${shiftFrom === undefined ? "" : `/${String(shiftFrom)}`}`;
	}

	/** The words behind; with dashes as saved. */
	protected flags(dashes: string): string {
		const random = this.range.random === true ? ` ${dashes}random${this.fully ? "-fully" : ""}` : "";
		return random + (this.range.persistent === true ? ` ${dashes}persistent` : "");
	}

	abstract save(): string;
	abstract show(): string;
}

/** `-j DNAT --to-destination`. */
export class DnatTarget extends NatTarget {
	override readonly name = "DNAT";
	override readonly options: Readonly<Record<string, number>> = DNAT_OPTIONS;
	override readonly points: readonly HookPoint[] = DESTINATION_POINTS;

	override finish(protocol: number): void {
		super.finish(protocol);
		if (this.to === "") throw badParameter('DNAT: option "--to-destination" must be specified');
	}

	override run(frame: Frame): Outcome {
		return this.translateTo(frame, "destination", this.range);
	}

	override save(): string {
		return ` --to-destination ${this.to}${this.flags("--")}`;
	}

	override show(): string {
		return ` to:${this.to}${this.flags("")}`;
	}
}

/** `-j SNAT --to-source`. */
export class SnatTarget extends NatTarget {
	override readonly name = "SNAT";
	override readonly options: Readonly<Record<string, number>> = SNAT_OPTIONS;
	override readonly points: readonly HookPoint[] = SOURCE_POINTS;

	override finish(protocol: number): void {
		super.finish(protocol);
		if (this.to === "") throw badParameter('SNAT: option "--to-source" must be specified');
	}

	override run(frame: Frame): Outcome {
		return this.translateTo(frame, "source", this.range);
	}

	override save(): string {
		return ` --to-source ${this.to}${this.flags("--")}`;
	}

	override show(): string {
		return ` to:${this.to}${this.flags("")}`;
	}
}

/** `-j MASQUERADE`: the address of the device the packet leaves by. */
export class MasqueradeTarget extends NatTarget {
	override readonly name = "MASQUERADE";
	override readonly options: Readonly<Record<string, number>> = MASQUERADE_OPTIONS;
	override readonly points: readonly HookPoint[] = MASQUERADE_POINTS;

	override run(frame: Frame, { out, route }: Situation): Outcome {
		const flow = frame.flow as Flow;
		// A packet from nowhere (DHCP) stays as it is.
		if (out === null || flow.original.source === 0) return ACCEPTED;
		const host = this.host!;
		const destination = ipv4.destination(frame.view, frame.start);
		const address = host.nat.masqueradeAddress(out, route, destination);
		if (address === ANY_IP4) {
			host.log.write(`MASQUERADE: ${out.name} ate my IP address`);
			return DROPPED;
		}
		flow.masqueradeIndex = out.index;
		return this.translateTo(frame, "source", { ...this.range, address: [address, address] });
	}

	override save(): string {
		const { ports } = this.range;
		return (ports === undefined ? "" : ` --to-ports ${formatPorts(ports)}`) + this.flags("--");
	}

	override show(): string {
		const { ports } = this.range;
		return (ports === undefined ? "" : ` masq ports: ${formatPorts(ports)}`) + this.flags("");
	}
}

/** `-j REDIRECT`: to this host itself. */
export class RedirectTarget extends NatTarget {
	override readonly name = "REDIRECT";
	override readonly options: Readonly<Record<string, number>> = REDIRECT_OPTIONS;
	override readonly points: readonly HookPoint[] = DESTINATION_POINTS;

	override run(frame: Frame, { inDevice }: Situation): Outcome {
		// What comes in goes to the first address of its device, what is sent to loopback.
		const own =
			inDevice === null ? LOCALHOST : inDevice.addresses.find(({ secondary }) => !secondary)?.prefix.address;
		if (own === undefined) return DROPPED;
		return this.translateTo(frame, "destination", { ...this.range, address: [own, own] });
	}

	override save(): string {
		const { ports } = this.range;
		return (ports === undefined ? "" : ` --to-ports ${formatPorts(ports)}`) + this.flags("--");
	}

	override show(): string {
		const { ports } = this.range;
		return (ports === undefined ? "" : ` redir ports ${formatPorts(ports)}`) + this.flags("");
	}
}
