import {
	CaptureFormatError,
	type CaptureFile,
	type CaptureInterface,
	type CapturePacket,
	type CaptureReading,
	LINK_TYPE_ETHERNET,
	SNAP_LENGTH,
} from "./capture-file.ts";
import { collect } from "./capture-file-collect.ts";
import { checkNumber, checkTime, PcapClock, type PcapRecord } from "./pcap-record.ts";
import { PcapSink } from "./pcap-sink.ts";

/*
 * The classic capture file (draft-ietf-opsawg-pcap): one link type, one header, then records.
 *
 *     | magic | major 16, minor 16 | thiszone | sigfigs | snap length | link type |   24 octets
 *     | seconds | micro- or nanoseconds | captured length | original length | data |  16 octets and the data
 *
 * The magic says byte order and resolution.
 */
const MICROSECONDS = 0xa1b2_c3d4;
const NANOSECONDS = 0xa1b2_3c4d;
const HEADER_OCTETS = 24;
const RECORD_OCTETS = 16;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
/** The upper half of the link type word tells of frame check sequences, not of the type. */
const LINK_TYPE_MASK = 0xffff;
const MOST = 0xffff_ffff;

/** What the header of a pcap file says. */
export interface PcapOptions {
	/** Units of the timestamps: nanoseconds unless said. */
	readonly precision?: "us" | "ns";
	/** `LINK_TYPE_ETHERNET` unless said. */
	readonly linkType?: number;
	/** Longer packets are cut to so many octets; 262,144 unless said. */
	readonly snapLength?: number;
	/** Nanoseconds from 1970-01-01 UTC to virtual time 0; 0 unless said. */
	readonly epoch?: bigint;
}

/** What a packet needs to be written. A `CapturePacket` will do. */
export interface PcapPacket {
	/** Nanoseconds since 1970-01-01 UTC. Written as 0 where undefined. */
	readonly time: bigint | undefined;
	readonly data: Uint8Array;
	/** Octets the packet had on its wire; those of `data` unless said. */
	readonly originalLength?: number;
}

/** Writes a pcap file into a sink, record by record. Little-endian, as every recorder of today. */
export class PcapWriter {
	/** Where the bytes go. Whoever saves the file takes them from here. */
	readonly sink: PcapSink;
	readonly #clock: PcapClock;
	readonly #snapLength: number;
	/** Nanoseconds in one unit of the file. */
	readonly #unit: number;

	/** Writes the header at once. Throws RangeError for what a header cannot say. */
	constructor(options: PcapOptions = {}, sink: PcapSink = new PcapSink()) {
		const { precision = "ns", linkType = LINK_TYPE_ETHERNET, snapLength = SNAP_LENGTH, epoch = 0n } = options;
		checkNumber(linkType, LINK_TYPE_MASK, "linkType");
		checkNumber(snapLength, MOST, "snapLength");
		if (snapLength === 0)
			throw new RangeError(`snapLength is 0, expected a whole number from 1 to ${String(MOST)}`);
		this.sink = sink;
		this.#clock = new PcapClock(epoch);
		this.#snapLength = snapLength;
		this.#unit = precision === "ns" ? 1 : 1000;
		const at = sink.reserve(HEADER_OCTETS);
		const view = sink.view;
		view.setUint32(at, precision === "ns" ? NANOSECONDS : MICROSECONDS, true);
		view.setUint16(at + 4, VERSION_MAJOR, true);
		view.setUint16(at + 6, VERSION_MINOR, true);
		view.setUint32(at + 8, 0, true);
		view.setUint32(at + 12, 0, true);
		view.setUint32(at + 16, snapLength, true);
		view.setUint32(at + 20, linkType, true);
	}

	/** Appends a sighting of a frame: the way of many packets, without an object for each. */
	frame(record: PcapRecord): void {
		const clock = this.#clock;
		clock.split(record.time);
		this.#record(
			clock.seconds,
			clock.nanoseconds,
			record.view,
			record.start,
			record.end,
			record.originalLength,
		);
	}

	/** Appends a packet with its time since 1970. Throws RangeError for what a record cannot say. */
	packet(packet: PcapPacket): void {
		const { data, originalLength = data.length, time = 0n } = packet;
		checkTime(time, "time");
		checkNumber(originalLength, MOST, "originalLength");
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		this.#record(
			Number(time / 1_000_000_000n),
			Number(time % 1_000_000_000n),
			view,
			0,
			data.length,
			originalLength,
		);
	}

	#record(
		seconds: number,
		nanoseconds: number,
		data: DataView,
		start: number,
		end: number,
		original: number,
	): void {
		if (seconds > MOST)
			throw new RangeError(`time is ${String(seconds)} s, expected at most ${String(MOST)} s since 1970`);
		const octets = Math.min(end - start, this.#snapLength);
		const sink = this.sink;
		const at = sink.reserve(RECORD_OCTETS + octets);
		const view = sink.view;
		view.setUint32(at, seconds, true);
		view.setUint32(at + 4, this.#unit === 1 ? nanoseconds : Math.floor(nanoseconds / this.#unit), true);
		view.setUint32(at + 8, octets, true);
		view.setUint32(at + 12, original, true);
		sink.copy(at + RECORD_OCTETS, data, start, start + octets);
	}
}

/** A whole pcap file. Throws RangeError for what the format cannot say. */
export function writePcap(packets: Iterable<PcapPacket>, options: PcapOptions = {}): Uint8Array<ArrayBuffer> {
	const writer = new PcapWriter(options);
	for (const packet of packets) writer.packet(packet);
	return writer.sink.drain();
}

/** Reads a pcap file of either byte order and resolution. Throws CaptureFormatError if not even its header can be read. */
export const readPcap = (bytes: Uint8Array): CaptureFile => collect(openPcap(bytes));

/** True if the bytes begin with one of the four magics of a pcap file. */
export function isPcap(bytes: Uint8Array): boolean {
	return (
		bytes.length >= 4 && magicOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.length)) !== undefined
	);
}

/** Reads the header; the packets follow when they are asked for. Throws CaptureFormatError if the header is none. */
export function openPcap(bytes: Uint8Array): CaptureReading {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const magic = bytes.length < 4 ? undefined : magicOf(view);
	if (magic === undefined)
		throw new CaptureFormatError("bad-magic", 0, "the bytes do not begin as a pcap file does");
	if (bytes.length < HEADER_OCTETS)
		throw new CaptureFormatError("truncated", 0, "the file ends inside its header");
	const { little, nanoseconds } = magic;
	const major = view.getUint16(4, little);
	if (major !== VERSION_MAJOR) {
		throw new CaptureFormatError("bad-version", 4, `pcap version ${String(major)}, only 2 can be read`);
	}
	const device: CaptureInterface = {
		linkType: view.getUint32(20, little) & LINK_TYPE_MASK,
		snapLength: view.getUint32(16, little),
		resolution: nanoseconds ? 9 : 6,
	};
	return {
		format: "pcap",
		interfaces: [device],
		names: [],
		sections: [],
		secrets: [],
		statistics: [],
		packets: () => records(view, little, nanoseconds ? 1n : 1000n, device.snapLength),
	};
}

function magicOf(view: DataView): { little: boolean; nanoseconds: boolean } | undefined {
	for (const little of [true, false]) {
		const magic = view.getUint32(0, little);
		if (magic === MICROSECONDS || magic === NANOSECONDS)
			return { little, nanoseconds: magic === NANOSECONDS };
	}
	return undefined;
}

function* records(
	view: DataView,
	little: boolean,
	unit: bigint,
	snapLength: number,
): Generator<CapturePacket, void, void> {
	const most = Math.max(snapLength, SNAP_LENGTH);
	// Plain views even of a subclass's bytes, whose own `subarray` would give its own kind.
	const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
	let at = HEADER_OCTETS;
	while (at < bytes.length) {
		if (bytes.length - at < RECORD_OCTETS) {
			throw new CaptureFormatError("truncated", at, "the file ends inside a record's header");
		}
		const octets = view.getUint32(at + 8, little);
		const data = at + RECORD_OCTETS;
		if (octets > bytes.length - data) {
			// A length no recorder writes is damage, not an end that came early.
			if (octets > most) {
				throw new CaptureFormatError(
					"bad-length",
					at,
					`a record of ${String(octets)} octets, at most ${String(most)} are possible`,
				);
			}
			throw new CaptureFormatError(
				"truncated",
				at,
				`the file ends inside a record of ${String(octets)} octets`,
			);
		}
		const seconds = BigInt(view.getUint32(at, little));
		const fraction = BigInt(view.getUint32(at + 4, little));
		yield {
			interface: 0,
			time: seconds * 1_000_000_000n + fraction * unit,
			data: bytes.subarray(data, data + octets),
			originalLength: view.getUint32(at + 12, little),
			comments: [],
		};
		at = data + octets;
	}
}
