import { checksum, type Frame, ipv4, tcp } from "../../../../wire/index.ts";
import type { Namespace } from "../../../namespace.ts";
import { NEXT_RULE, type Outcome, type RuleHost, type Situation, type Target } from "../extension.ts";
import { badParameter } from "../refusal.ts";
import { parseNumber } from "../values.ts";

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const CHECKSUM = 16;
const HEADERS = ipv4.MIN_OCTETS + tcp.MIN_OCTETS;

/** `-j TCPMSS`: makes the MSS in a SYN smaller, never larger (net/netfilter/xt_TCPMSS.c). */
export class TcpmssTarget implements Target {
	readonly name = "TCPMSS";
	readonly options = { "set-mss": 1, "clamp-mss-to-pmtu": 0 };
	/** 0 clamps to the way's MTU. */
	#mss = -1;
	#ns: Namespace | null = null;

	set(option: string, _inverted: boolean, [text = ""]: readonly string[]): void {
		const mss = option === "set-mss" ? parseNumber(text) : 0;
		if (mss === undefined || mss > 65_495) throw badParameter(`TCPMSS: bad value for option "--set-mss"`);
		this.#mss = mss;
	}

	finish(protocol: number): void {
		if (this.#mss < 0) throw badParameter("TCPMSS target: At least one parameter is required");
		if (protocol !== ipv4.PROTOCOL_TCP) throw badParameter("TCPMSS: only valid for TCP SYN packets");
	}

	bind(host: RuleHost): void {
		this.#ns = host.ns;
	}

	run(frame: Frame, { route }: Situation): Outcome {
		const { view, start } = frame;
		const at = start + ipv4.headerOctets(view, start);
		if (ipv4.fragmentOffset(view, start) !== 0 || frame.end - at < tcp.MIN_OCTETS) return NEXT_RULE;
		if ((tcp.flags(view, at) & tcp.SYN) === 0) return NEXT_RULE;
		let mss = this.#mss;
		if (mss === 0) {
			const ns = this.#ns!;
			const back = ns.route(ipv4.source(view, start));
			const there = route === null ? Infinity : ns.ipv4.mtuOf(route, ipv4.destination(view, start));
			const here = back === undefined ? Infinity : ns.ipv4.mtuOf(back, ipv4.source(view, start));
			mss = Math.min(there, here) - HEADERS;
			if (mss <= 0 || mss === Infinity) return NEXT_RULE;
		}
		lower(frame, at, mss);
		return NEXT_RULE;
	}

	save(): string {
		return this.#mss === 0 ? " --clamp-mss-to-pmtu" : ` --set-mss ${String(this.#mss)}`;
	}

	show(): string {
		return this.#mss === 0 ? " TCPMSS clamp to PMTU" : ` TCPMSS set ${String(this.#mss)}`;
	}
}

function lower(frame: Frame, at: number, mss: number): void {
	const { view } = frame;
	const end = Math.min(at + tcp.headerOctets(view, at), frame.end);
	for (let i = at + tcp.MIN_OCTETS; i + 1 < end;) {
		const kind = view.getUint8(i);
		if (kind === OPTION_END) return;
		if (kind === OPTION_NOP) {
			i++;
			continue;
		}
		const octets = view.getUint8(i + 1);
		if (octets < 2) return;
		if (kind === OPTION_MSS && octets === 4 && i + 4 <= end) {
			const old = view.getUint16(i + 2);
			if (old <= mss) return;
			view.setUint16(i + 2, mss);
			// An option may begin at an odd octet: then its halves lie in two words of the sum.
			const odd = ((i - at) & 1) !== 0;
			const swap = (word: number): number => (odd ? ((word & 255) << 8) | (word >>> 8) : word);
			view.setUint16(at + CHECKSUM, checksum.update16(view.getUint16(at + CHECKSUM), swap(old), swap(mss)));
			frame.changed();
			return;
		}
		i += octets;
	}
}
