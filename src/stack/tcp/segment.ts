import type { DropReason } from "../../drop.ts";
import { tcp } from "../../wire/index.ts";

/** SACK blocks one segment can carry. */
export const MOST_BLOCKS = 4;

/** A segment that came in, read into numbers: one object for all segments of a namespace, none is made per segment. */
export class Segment {
	/** Sequence numbers as signed 32-bit integers. */
	sequence = 0;
	/** Behind the last octet, SYN and FIN counted. */
	end = 0;
	acknowledgment = 0;
	flags = 0;
	/** Before scaling. */
	window = 0;
	/** The payload in `bytes`. */
	bytes: Uint8Array = new Uint8Array(0);
	at = 0;
	octets = 0;
	/** Octets of the header, options included. */
	header = 0;
	// Options.
	mss = 0;
	/** -1 when the option is not there. */
	windowScale = -1;
	sackPermitted = false;
	timestamps = false;
	tsval = 0;
	tsecr = 0;
	blocks = 0;
	/** Left and right edges in turn. */
	readonly edges: Int32Array = new Int32Array(2 * MOST_BLOCKS);

	get syn(): boolean {
		return (this.flags & tcp.SYN) !== 0;
	}

	get fin(): boolean {
		return (this.flags & tcp.FIN) !== 0;
	}

	get rst(): boolean {
		return (this.flags & tcp.RST) !== 0;
	}

	get ack(): boolean {
		return (this.flags & tcp.ACK) !== 0;
	}

	/**
	 * Reads the segment at `at`. Malformed options end the reading of options, as in Linux (`tcp_parse_options`): the
	 * segment counts all the same. Returns why it is none, or undefined.
	 */
	read(view: DataView, bytes: Uint8Array, at: number, end: number): DropReason | undefined {
		if (end - at < tcp.MIN_OCTETS) return "tcp-truncated";
		const header = tcp.headerOctets(view, at);
		if (header < tcp.MIN_OCTETS || header > end - at) return "tcp-truncated";
		const flags = tcp.flags(view, at);
		const sequence = tcp.sequence(view, at) | 0;
		const octets = end - at - header;
		this.sequence = sequence;
		this.acknowledgment = tcp.acknowledgment(view, at) | 0;
		this.flags = flags;
		this.window = tcp.window(view, at);
		this.bytes = bytes;
		this.at = at + header;
		this.octets = octets;
		this.header = header;
		this.end = (sequence + octets + ((flags >>> 1) & 1) + (flags & 1)) | 0;
		this.timestamps = false;
		this.tsecr = 0;
		this.blocks = 0;
		this.mss = 0;
		this.windowScale = -1;
		this.sackPermitted = false;
		// The usual segment: NOP, NOP, timestamps.
		if (header === 32 && view.getUint32(at + 20) === 0x0101_080a) {
			this.timestamps = true;
			this.tsval = view.getInt32(at + 24);
			this.tsecr = view.getInt32(at + 28);
			return undefined;
		}
		this.#options(view, at + tcp.MIN_OCTETS, at + header);
		return undefined;
	}

	#options(view: DataView, from: number, end: number): void {
		for (let at = from; at < end;) {
			const kind = view.getUint8(at);
			if (kind === 0) return;
			if (kind === 1) {
				at++;
				continue;
			}
			const length = at + 1 < end ? view.getUint8(at + 1) : 0;
			if (length < 2 || at + length > end) return;
			if (kind === 2 && length === 4) this.mss = view.getUint16(at + 2);
			else if (kind === 3 && length === 3) this.windowScale = Math.min(14, view.getUint8(at + 2));
			else if (kind === 4 && length === 2) this.sackPermitted = true;
			else if (kind === 5 && length >= 10 && (length - 2) % 8 === 0)
				this.#sack(view, at + 2, (length - 2) / 8);
			else if (kind === 8 && length === 10) {
				this.timestamps = true;
				this.tsval = view.getInt32(at + 2);
				this.tsecr = view.getInt32(at + 6);
			}
			at += length;
		}
	}

	#sack(view: DataView, at: number, blocks: number): void {
		this.blocks = Math.min(blocks, MOST_BLOCKS);
		for (let i = 0; i < 2 * this.blocks; i++) this.edges[i] = view.getInt32(at + 4 * i);
	}
}
