import { formatIp4, formatIp6, type Ip4, type Ip6 } from "../addr/index.ts";
import {
	type CaptureFile,
	CaptureFormatError,
	type CaptureInterface,
	type CaptureName,
	type CapturePacket,
} from "./capture-file.ts";
import {
	BLOCK_ENHANCED,
	BLOCK_INTERFACE,
	BLOCK_NAMES,
	BLOCK_PACKET,
	BLOCK_SECTION,
	BLOCK_SIMPLE,
	BYTE_ORDER_MAGIC,
	NAME_IPV4,
	NAME_IPV6,
	OPTION_COMMENT,
	OPTION_EPB_FLAGS,
	OPTION_EPB_PACKETID,
	OPTION_IF_DESCRIPTION,
	OPTION_IF_NAME,
	OPTION_IF_TSOFFSET,
	OPTION_IF_TSRESOL,
} from "./pcapng.ts";

const SMALLEST_BLOCK = 12;
const utf8 = new TextDecoder();

/** How times of an interface are counted. */
interface Clock {
	/** Ticks per second. */
	readonly perSecond: bigint;
	/** Seconds to add. */
	readonly offset: bigint;
	readonly snapLength: number;
}

/** True for the first octets of a pcapng file. */
export const isPcapng = (bytes: Uint8Array): boolean =>
	bytes.length >= 4 && bytes[0] === 0x0a && bytes[1] === 0x0d && bytes[2] === 0x0d && bytes[3] === 0x0a;

/**
 * Reads a file of any writer: both byte orders, several sections, enhanced, simple and obsolete packet
 * blocks; blocks and options that are not understood are passed over. What is whole is returned; where
 * reading ended early `problem` says why. Throws CaptureFormatError when it is no pcapng file at all.
 */
export function readPcapng(bytes: Uint8Array): CaptureFile {
	if (!isPcapng(bytes)) throw new CaptureFormatError("not-a-capture", 0, "no pcapng section header");
	const reader = new Reader(bytes);
	try {
		reader.run();
	} catch (error) {
		if (!(error instanceof CaptureFormatError)) throw error;
		if (error.problem === "not-a-capture") throw error;
		return { ...reader.file, problem: error };
	}
	return reader.file;
}

class Reader {
	readonly file: { readonly interfaces: CaptureInterface[]; readonly packets: CapturePacket[]; readonly names: CaptureName[] } = {
		interfaces: [],
		packets: [],
		names: [],
	};
	readonly #bytes: Uint8Array;
	readonly #view: DataView;
	#little = true;
	/** Interfaces of earlier sections. */
	#base = 0;
	/** Clocks of this section's interfaces. */
	#clocks: Clock[] = [];

	constructor(bytes: Uint8Array) {
		this.#bytes = bytes;
		this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}

	run(): void {
		for (let at = 0; at < this.#bytes.length; ) at += this.#block(at);
	}

	#u16(at: number): number {
		return this.#view.getUint16(at, this.#little);
	}

	#u32(at: number): number {
		return this.#view.getUint32(at, this.#little);
	}

	/** Reads one block and returns its octets. */
	#block(at: number): number {
		const left = this.#bytes.length - at;
		if (left < SMALLEST_BLOCK) throw new CaptureFormatError("truncated", at, "the file ends within a block header");
		const type = this.#u32(at);
		if (type === BLOCK_SECTION) this.#section(at);
		const octets = this.#u32(at + 4);
		if (octets < SMALLEST_BLOCK || octets % 4 !== 0) {
			throw new CaptureFormatError("bad-length", at, `a block of ${String(octets)} octets`);
		}
		if (octets > left) throw new CaptureFormatError("truncated", at, `the file ends within a block of ${String(octets)} octets`);
		if (this.#u32(at + octets - 4) !== octets) {
			throw new CaptureFormatError("bad-length", at, "the two lengths of a block differ");
		}
		const body = at + 8;
		const end = at + octets - 4;
		switch (type) {
			case BLOCK_INTERFACE:
				this.#interface(body, end);
				break;
			case BLOCK_ENHANCED:
				this.#enhanced(body, end);
				break;
			case BLOCK_PACKET:
				this.#obsolete(body, end);
				break;
			case BLOCK_SIMPLE:
				this.#simple(body, end);
				break;
			case BLOCK_NAMES:
				this.#names(body, end);
				break;
		}
		return octets;
	}

	#section(at: number): void {
		const left = this.#bytes.length - at;
		if (left < SMALLEST_BLOCK + 16) throw new CaptureFormatError("truncated", at, "the file ends within a section header");
		if (this.#view.getUint32(at + 8, true) === BYTE_ORDER_MAGIC) this.#little = true;
		else if (this.#view.getUint32(at + 8, false) === BYTE_ORDER_MAGIC) this.#little = false;
		else throw new CaptureFormatError(at === 0 ? "not-a-capture" : "bad-length", at, "no byte-order magic");
		this.#base = this.file.interfaces.length;
		this.#clocks = [];
	}

	/** Calls `take` with each option of a block; what runs beyond the block ends them. */
	#options(at: number, end: number, take: (code: number, from: number, to: number) => void): void {
		let place = at;
		while (place + 4 <= end) {
			const code = this.#u16(place);
			const octets = this.#u16(place + 2);
			const from = place + 4;
			if (code === 0 || from + octets > end) return;
			take(code, from, from + octets);
			place = from + octets + (-octets & 3);
		}
	}

	#need(at: number, end: number, octets: number): void {
		if (end - at < octets) throw new CaptureFormatError("bad-length", at - 8, "a block too short for its type");
	}

	#interface(at: number, end: number): void {
		this.#need(at, end, 8);
		let name = "";
		let description: string | undefined;
		let perSecond = 1_000_000n;
		let offset = 0n;
		this.#options(at + 8, end, (code, from, to) => {
			if (code === OPTION_IF_NAME) name = utf8.decode(this.#bytes.subarray(from, to));
			else if (code === OPTION_IF_DESCRIPTION) description = utf8.decode(this.#bytes.subarray(from, to));
			else if (code === OPTION_IF_TSRESOL && to - from === 1) perSecond = resolution(this.#view.getUint8(from));
			else if (code === OPTION_IF_TSOFFSET && to - from === 8) offset = this.#view.getBigInt64(from, this.#little);
		});
		const snapLength = this.#u32(at + 4);
		this.#clocks.push({ perSecond, offset, snapLength });
		this.file.interfaces.push({
			name,
			...(description === undefined ? {} : { description }),
			linkType: this.#u16(at),
			snapLength,
		});
	}

	#clock(number: number, at: number): Clock {
		const clock = this.#clocks[number];
		if (clock === undefined) throw new CaptureFormatError("bad-interface", at, `a packet of interface ${String(number)}`);
		return clock;
	}

	#time(clock: Clock, high: number, low: number): bigint {
		const ticks = (BigInt(high) << 32n) | BigInt(low);
		return (ticks * 1_000_000_000n) / clock.perSecond + clock.offset * 1_000_000_000n;
	}

	#enhanced(at: number, end: number): void {
		this.#need(at, end, 20);
		const number = this.#u32(at);
		this.#packet(number, at, end, this.#u32(at + 4), this.#u32(at + 8));
	}

	#obsolete(at: number, end: number): void {
		this.#need(at, end, 20);
		this.#packet(this.#u16(at), at, end, this.#u32(at + 4), this.#u32(at + 8));
	}

	#packet(number: number, at: number, end: number, high: number, low: number): void {
		const clock = this.#clock(number, at - 8);
		const captured = this.#u32(at + 12);
		const data = at + 20;
		if (captured > end - data) throw new CaptureFormatError("bad-length", at - 8, `a packet of ${String(captured)} octets in a smaller block`);
		let direction: "in" | "out" | undefined;
		let packetId: bigint | undefined;
		const comments: string[] = [];
		this.#options(data + captured + (-captured & 3), end, (code, from, to) => {
			if (code === OPTION_COMMENT) comments.push(utf8.decode(this.#bytes.subarray(from, to)));
			else if (code === OPTION_EPB_FLAGS && to - from === 4) direction = directionOf(this.#u32(from));
			else if (code === OPTION_EPB_PACKETID && to - from === 8) packetId = this.#view.getBigUint64(from, this.#little);
		});
		this.file.packets.push({
			interface: this.#base + number,
			time: this.#time(clock, high, low),
			data: this.#bytes.subarray(data, data + captured),
			originalLength: this.#u32(at + 16),
			...(direction === undefined ? {} : { direction }),
			...(packetId === undefined ? {} : { packetId }),
			comments,
		});
	}

	/** A packet of the first interface, without time. */
	#simple(at: number, end: number): void {
		this.#need(at, end, 4);
		const clock = this.#clock(0, at - 8);
		const originalLength = this.#u32(at);
		const captured = Math.min(originalLength, clock.snapLength === 0 ? originalLength : clock.snapLength);
		if (captured > end - at - 4) throw new CaptureFormatError("bad-length", at - 8, `a packet of ${String(captured)} octets in a smaller block`);
		const data = this.#bytes.subarray(at + 4, at + 4 + captured);
		this.file.packets.push({ interface: this.#base, time: 0n, data, originalLength, comments: [] });
	}

	#names(at: number, end: number): void {
		for (let place = at; place + 4 <= end; ) {
			const type = this.#u16(place);
			const octets = this.#u16(place + 2);
			const from = place + 4;
			if (type === 0 || from + octets > end) return;
			const addressOctets = type === NAME_IPV4 ? 4 : type === NAME_IPV6 ? 16 : 0;
			if (addressOctets > 0 && octets > addressOctets) {
				const names = utf8.decode(this.#bytes.subarray(from + addressOctets, from + octets)).split("\0");
				const address =
					type === NAME_IPV4
						? formatIp4(this.#view.getUint32(from) as Ip4)
						: formatIp6(((this.#view.getBigUint64(from) << 64n) | this.#view.getBigUint64(from + 8)) as Ip6);
				for (const name of names) if (name !== "") this.file.names.push({ address, name });
			}
			place = from + octets + (-octets & 3);
		}
	}
}

/** if_tsresol: the highest bit chooses powers of two. */
const resolution = (value: number): bigint => (value >= 0x80 ? 2n ** BigInt(value & 0x7f) : 10n ** BigInt(value));

const directionOf = (flags: number): "in" | "out" | undefined =>
	(flags & 3) === 1 ? "in" : (flags & 3) === 2 ? "out" : undefined;
