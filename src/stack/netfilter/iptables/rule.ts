import { formatIp4, type Ip4 } from "../../../addr/index.ts";
import type { Device } from "../../../link/index.ts";
import { type Frame, ipv4 } from "../../../wire/index.ts";
import type { Chain } from "./chain.ts";
import type { Match, Situation, Target } from "./extension.ts";
import { formatProtocol, turned } from "./values.ts";

/** An address with mask, as signed integers. */
export interface AddressTest {
	readonly address: number;
	readonly mask: number;
	readonly inverted: boolean;
}

/** A device's name, or the begin of it. */
export class DeviceTest {
	readonly text: string;
	readonly inverted: boolean;
	readonly #stem: string | null;

	constructor(text: string, inverted: boolean) {
		this.text = text;
		this.inverted = inverted;
		this.#stem = text.endsWith("+") ? text.slice(0, -1) : null;
	}

	test(device: Device | null): boolean {
		const name = device === null ? "" : device.name;
		const meant = this.#stem === null ? name === this.text : device !== null && name.startsWith(this.#stem);
		return meant !== this.inverted;
	}
}

/** What a rule asks of every packet. */
export interface RuleHead {
	readonly source: AddressTest | null;
	readonly destination: AddressTest | null;
	readonly inDevice: DeviceTest | null;
	readonly outDevice: DeviceTest | null;
	/** 0 for any. */
	readonly protocol: number;
	readonly protocolInverted: boolean;
	/** `-f`: later fragments only, or, turned round, all but those. */
	readonly fragment: "later" | "first" | null;
}

/** One rule: what it asks, what it does, and how often it did. */
export class Rule {
	readonly head: RuleHead;
	readonly matches: readonly Match[];
	/** Null when it jumps. */
	readonly target: Target | null;
	readonly jump: Chain | null;
	/** Does not come back here after the other chain. */
	readonly goto: boolean;
	packets: number;
	octets: number;
	/** All its matches and its target are `Extension.ofFlow`. */
	readonly ofFlow: boolean;

	// Out of the head and into fields of their own: they are read for every packet.
	readonly #source: number;
	readonly #sourceMask: number;
	readonly #sourceInverted: boolean;
	readonly #destination: number;
	readonly #destinationMask: number;
	readonly #destinationInverted: boolean;
	readonly #protocol: number;
	/** The text up to the jump: what a chain is called may change, the rest does not. */
	#text: string | undefined;

	constructor(
		head: RuleHead,
		matches: readonly Match[],
		target: Target | null,
		jump: Chain | null,
		goto: boolean,
		packets: number,
		octets: number,
	) {
		this.head = head;
		this.matches = matches;
		this.target = target;
		this.jump = jump;
		this.goto = goto;
		this.packets = packets;
		this.octets = octets;
		this.ofFlow =
			matches.every((match) => match.ofFlow === true) && (target === null || target.ofFlow === true);
		this.#source = head.source?.address ?? 0;
		this.#sourceMask = head.source?.mask ?? 0;
		this.#sourceInverted = head.source?.inverted ?? false;
		this.#destination = head.destination?.address ?? 0;
		this.#destinationMask = head.destination?.mask ?? 0;
		this.#destinationInverted = head.destination?.inverted ?? false;
		this.#protocol = head.protocol;
	}

	/** Whether a packet is meant. */
	test(frame: Frame, at: Situation): boolean {
		const { view, start } = frame;
		if (((view.getInt32(start + 12) & this.#sourceMask) === this.#source) === this.#sourceInverted)
			return false;
		if (
			((view.getInt32(start + 16) & this.#destinationMask) === this.#destination) ===
			this.#destinationInverted
		)
			return false;
		if (
			this.#protocol !== 0 &&
			(ipv4.protocol(view, start) === this.#protocol) === this.head.protocolInverted
		)
			return false;
		const { inDevice, outDevice, fragment } = this.head;
		if (inDevice !== null && !inDevice.test(at.inDevice === null ? null : at.inDevice.device)) return false;
		if (outDevice !== null && !outDevice.test(at.out)) return false;
		if (fragment !== null && (ipv4.fragmentOffset(view, start) !== 0) !== (fragment === "later"))
			return false;
		const { matches } = this;
		for (let i = 0; i < matches.length; i++) if (!matches[i]!.test(frame, at)) return false;
		return true;
	}

	/** The rule as `iptables-save` prints it, without `-A` and the chain. */
	get text(): string {
		const text = (this.#text ??= this.#print());
		return this.jump === null ? text : `${text} ${this.goto ? "-g" : "-j"} ${this.jump.name}`;
	}

	#print(): string {
		const { source, destination, inDevice, outDevice, protocol, protocolInverted, fragment } = this.head;
		const { matches, target } = this;
		const parts = [
			source === null ? "" : `${turned(source.inverted)}-s ${formatAddress(source)}`,
			destination === null ? "" : `${turned(destination.inverted)}-d ${formatAddress(destination)}`,
			inDevice === null ? "" : `${turned(inDevice.inverted)}-i ${inDevice.text}`,
			outDevice === null ? "" : `${turned(outDevice.inverted)}-o ${outDevice.text}`,
			protocol === 0 ? "" : `${turned(protocolInverted)}-p ${formatProtocol(protocol)}`,
			fragment === null ? "" : `${turned(fragment === "first")}-f`,
			...matches.map((match) => ` -m ${match.name}${match.save()}`),
			target === null || target.name === "" ? "" : ` -j ${target.name}${target.save()}`,
		];
		// Joined, and not added one to the other, it is one string without its parts.
		return parts.join("");
	}
}

/** `172.17.0.0/16`; a mask with holes is written out. */
export function formatAddress({ address, mask }: AddressTest, plainHost = false): string {
	const text = formatIp4(address as Ip4);
	const length = Math.clz32(~mask);
	const whole = mask === (length === 0 ? 0 : -1 << (32 - length));
	if (!whole) return `${text}/${formatIp4(mask as Ip4)}`;
	return plainHost && length === 32 ? text : `${text}/${String(length)}`;
}
