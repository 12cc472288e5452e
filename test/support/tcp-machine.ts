import { Effects, type OutSegment } from "../../src/stack/tcp/effects.ts";
import {
	answer,
	open,
	programReads,
	programWrites,
	segmentArrived,
	timerExpired,
} from "../../src/stack/tcp/machine.ts";
import { Segment } from "../../src/stack/tcp/segment.ts";
import { Tcb, type TcpTuning } from "../../src/stack/tcp/tcb.ts";
import { tcp } from "../../src/wire/index.ts";

const FLAGS = { S: tcp.SYN, A: tcp.ACK, F: tcp.FIN, R: tcp.RST, P: tcp.PSH } as const;

/** What a segment of the other side says; numbers count from each side's initial one. */
export interface Said {
	readonly flags: string;
	readonly seq?: number;
	readonly ack?: number;
	readonly data?: number;
	readonly window?: number;
	readonly mss?: number;
	readonly scale?: number;
	readonly sack?: readonly (readonly [number, number])[];
	readonly sackOk?: boolean;
	readonly ts?: readonly [number, number];
}

const BEGINNING = { iss: 1000, timestampOffset: 0, pathMtu: 1500, localMtu: 1500 };
const PEER_ISS = 5000;

/** The state machine alone: no network, no clock but `now`, everything it says written down in one line each. */
export class Machine {
	readonly tcb: Tcb;
	readonly effects: Effects = new Effects();
	/** Nanoseconds. */
	now = 1e9;
	readonly #segment = new Segment();

	constructor(tuning: TcpTuning = {}) {
		this.tcb = new Tcb(this.effects, tuning);
	}

	/** Sends a SYN. */
	open(): string[] {
		open(this.tcb, BEGINNING, this.now);
		return this.#said();
	}

	/** Answers a SYN. */
	listen(said: Said = { flags: "S", mss: 1460, scale: 7, sackOk: true }): string[] {
		answer(this.tcb, BEGINNING, this.#read(said), this.now);
		return this.#said();
	}

	/** A handshake with a peer that has SACK, scaling and no timestamps, unless told otherwise. */
	established(options: Partial<Said> = {}): this {
		this.open();
		this.hear({ flags: "SA", seq: 0, ack: 1, mss: 1460, scale: 7, sackOk: true, window: 65_535, ...options });
		return this;
	}

	hear(said: Said): string[] {
		segmentArrived(this.tcb, this.#read(said), this.now);
		return this.#said();
	}

	write(octets: number): string[] {
		programWrites(this.tcb, new Uint8Array(octets), this.now, false);
		return this.#said();
	}

	read(most = Infinity): string[] {
		programReads(this.tcb, most, this.now);
		return this.#said();
	}

	/** A timer that was armed is due: time goes on to it. */
	timer(index: 0 | 1 | 2 | 3, after: number): string[] {
		this.now += after;
		timerExpired(this.tcb, index, this.now);
		return this.#said();
	}

	/** Milliseconds for which the retransmission timer was armed by the last step. */
	get armed(): number {
		return (this.effects.timers[0] ?? 0) / 1e6;
	}

	wait(milliseconds: number): this {
		this.now += milliseconds * 1e6;
		return this;
	}

	#read(said: Said): Segment {
		const segment = this.#segment;
		let flags = 0;
		for (const letter of said.flags) flags |= FLAGS[letter as keyof typeof FLAGS];
		const octets = said.data ?? 0;
		segment.sequence = (PEER_ISS + (said.seq ?? 1)) | 0;
		if (said.flags.includes("S") && said.seq === undefined) segment.sequence = PEER_ISS;
		segment.end = (segment.sequence + octets + ((flags >>> 1) & 1) + (flags & 1)) | 0;
		segment.acknowledgment = (BEGINNING.iss + (said.ack ?? 0)) | 0;
		segment.flags = flags;
		segment.window = said.window ?? 512;
		segment.bytes = new Uint8Array(octets);
		segment.at = 0;
		segment.octets = octets;
		segment.header = said.ts === undefined ? 20 : 32;
		segment.mss = said.mss ?? 0;
		segment.windowScale = said.scale ?? -1;
		segment.sackPermitted = said.sackOk ?? false;
		segment.timestamps = said.ts !== undefined;
		[segment.tsval, segment.tsecr] = said.ts ?? [0, 0];
		segment.blocks = said.sack?.length ?? 0;
		for (const [i, [left, right]] of (said.sack ?? []).entries()) {
			segment.edges[2 * i] = BEGINNING.iss + left;
			segment.edges[2 * i + 1] = BEGINNING.iss + right;
		}
		return segment;
	}

	#said(): string[] {
		return Array.from({ length: this.effects.count }, (_, i) => line(this.effects.segment(i)));
	}
}

/** `A seq 1 ack 1 len 100 sack 5-9`: numbers relative. */
function line(segment: OutSegment): string {
	const letters = Object.entries(FLAGS).flatMap(([letter, flag]) =>
		(segment.flags & flag) !== 0 ? [letter] : [],
	);
	const ack = (segment.flags & tcp.ACK) !== 0 ? ` ack ${String(segment.acknowledgment - PEER_ISS)}` : "";
	const data = segment.octets > 0 ? ` len ${String(segment.octets)}` : "";
	const blocks = Array.from(
		{ length: segment.blocks },
		(_, i) =>
			`${String((segment.edges[2 * i] ?? 0) - PEER_ISS)}-${String((segment.edges[2 * i + 1] ?? 0) - PEER_ISS)}`,
	);
	return `${letters.join("")} seq ${String(segment.sequence - BEGINNING.iss)}${ack}${data}${blocks.length > 0 ? ` sack ${blocks.join(" ")}` : ""}`;
}
