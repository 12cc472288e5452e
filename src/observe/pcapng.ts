import { parseIp4, parseIp6, parseMac } from "../addr/index.ts";
import { assert } from "../assert.ts";
import {
	type CaptureInterface,
	type CaptureName,
	type CapturePacket,
	type CaptureSection,
	type CaptureSecrets,
	type CaptureStatistics,
	type Direction,
	LINK_TYPE_ETHERNET,
	SNAP_LENGTH,
} from "./capture-file.ts";
import { checkNumber, checkTime, PcapClock, type PcapngRecord } from "./pcap-record.ts";
import { PcapSink } from "./pcap-sink.ts";
import * as block from "./pcapng-block.ts";
import {
	optionalText,
	optionsOctets,
	type PcapngOption,
	putOptionHeader,
	putOptions,
	putPadded,
	textOption,
	wordsOption,
} from "./pcapng-options.ts";

const NANOSECONDS = 9;
/** Options of the hot path: code and length, ready made. */
const FLAGS_HEADER = block.PACKET_FLAGS | (4 << 16);
const FLAGS_OCTETS = 8;
const PACKET_ID_HEADER = block.PACKET_ID | (8 << 16);
const PACKET_ID_OCTETS = 12;
const OPTIONS_END_OCTETS = 4;
const MOST = 0xffff_ffff;
const NO_OPTIONS: readonly PcapngOption[] = [];

/** What the section header says, and when virtual time began. */
export interface PcapngOptions {
	readonly hardware?: string;
	readonly os?: string;
	readonly application?: string;
	readonly comments?: readonly string[];
	/** Nanoseconds from 1970-01-01 UTC to virtual time 0; 0 unless said. */
	readonly epoch?: bigint;
}

/** An interface to be described. */
export interface PcapngInterface {
	/** `namespace:device`. */
	readonly name?: string;
	readonly description?: string;
	readonly os?: string;
	/** `LINK_TYPE_ETHERNET` unless said. */
	readonly linkType?: number;
	/** Longer packets are cut to so many octets; 0 is no limit, 262,144 unless said. */
	readonly snapLength?: number;
}

/** What can be said of a packet beside its interface, time and octets. */
export interface PcapngDetails {
	/** Octets the packet had on its wire; those of the data unless said. */
	readonly originalLength?: number;
	readonly direction?: Direction;
	/** Shared by the same packet at all its interfaces. */
	readonly packetId?: bigint;
	/** Packets lost between the one before and this one. */
	readonly dropCount?: bigint;
	readonly comments?: readonly string[];
}

/**
 * Writes a pcapng file of one section into a sink, block by block (draft-ietf-opsawg-pcapng). Little-endian, times
 * in nanoseconds.
 */
export class PcapngWriter {
	/** Where the bytes go. Whoever saves the file takes them from here. */
	readonly sink: PcapSink;
	readonly #clock: PcapClock;
	/** By interface: the most octets kept of a packet. */
	readonly #limits: number[] = [];

	/** Writes the section header at once. Throws RangeError for what it cannot say. */
	constructor(options: PcapngOptions = {}, sink: PcapSink = new PcapSink()) {
		this.sink = sink;
		this.#clock = new PcapClock(options.epoch ?? 0n);
		const at = this.#block(block.SECTION_HEADER, 16, [
			...commentOptions(options.comments),
			...optionalText(block.SECTION_HARDWARE, options.hardware, "hardware"),
			...optionalText(block.SECTION_OS, options.os, "os"),
			...optionalText(block.SECTION_APPLICATION, options.application, "application"),
		]);
		const view = sink.view;
		view.setUint32(at, block.BYTE_ORDER_MAGIC, true);
		view.setUint16(at + 4, 1, true);
		view.setUint16(at + 6, 0, true);
		// The section's length is not known while it is being written.
		view.setBigInt64(at + 8, -1n, true);
	}

	/** Describes an interface and gives the number that its packets refer to. Throws RangeError for what cannot be said. */
	addInterface(device: PcapngInterface = {}): number {
		const { linkType = LINK_TYPE_ETHERNET, snapLength = SNAP_LENGTH } = device;
		checkNumber(linkType, 0xffff, "linkType");
		checkNumber(snapLength, MOST, "snapLength");
		const at = this.#block(block.INTERFACE_DESCRIPTION, 8, [
			...optionalText(block.INTERFACE_NAME, device.name, "name"),
			...optionalText(block.INTERFACE_ABOUT, device.description, "description"),
			{ code: block.INTERFACE_RESOLUTION, value: Uint8Array.of(NANOSECONDS) },
			...optionalText(block.INTERFACE_OS, device.os, "os"),
		]);
		this.sink.view.setUint32(at, linkType, true);
		this.sink.view.setUint32(at + 4, snapLength, true);
		return this.#limits.push(snapLength === 0 ? MOST : snapLength) - 1;
	}

	/** Appends a sighting of a frame: the way of many packets, without an object for each. */
	frame(record: PcapngRecord): void {
		this.#clock.words(record.time);
		const { direction, packetId, comments } = record;
		const texts = comments === undefined || comments.length === 0 ? NO_OPTIONS : commentOptions(comments);
		let octets = 0;
		if (direction !== undefined) octets += FLAGS_OCTETS;
		if (packetId !== undefined) octets += PACKET_ID_OCTETS;
		if (texts !== NO_OPTIONS) octets += optionsOctets(texts);
		else if (octets > 0) octets += OPTIONS_END_OCTETS;
		let at = this.#packet(record, octets);
		const view = this.sink.view;
		if (direction !== undefined) {
			view.setUint32(at, FLAGS_HEADER, true);
			view.setUint32(at + 4, direction === "in" ? block.DIRECTION_IN : block.DIRECTION_OUT, true);
			at += FLAGS_OCTETS;
		}
		if (packetId !== undefined) {
			view.setUint32(at, PACKET_ID_HEADER, true);
			// A store keeps the lowest 32 bits of a number.
			view.setUint32(at + 4, packetId, true);
			view.setUint32(at + 8, packetId / 0x1_0000_0000, true);
			at += PACKET_ID_OCTETS;
		}
		if (texts !== NO_OPTIONS) putOptions(this.sink, at, texts);
		else if (octets > 0) view.setUint32(at, block.OPTION_END, true);
	}

	/**
	 * Appends a packet of interface `index` with its time in nanoseconds since 1970. Throws RangeError for what cannot
	 * be said.
	 */
	packet(index: number, time: bigint, data: Uint8Array, details: PcapngDetails = {}): void {
		const { originalLength = data.length, direction } = details;
		checkTime(time, "time");
		checkNumber(index, this.#limits.length - 1, "interface");
		checkNumber(originalLength, MOST, "originalLength");
		const flags = Uint8Array.of(direction === "in" ? block.DIRECTION_IN : block.DIRECTION_OUT, 0, 0, 0);
		const options = [
			...(direction === undefined ? [] : [{ code: block.PACKET_FLAGS, value: flags }]),
			...optionalWords(block.PACKET_DROP_COUNT, details.dropCount, "dropCount"),
			...optionalWords(block.PACKET_ID, details.packetId, "packetId"),
			...commentOptions(details.comments),
		];
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		const place = { interface: index, view, start: 0, end: data.length, originalLength };
		this.#clock.high = Number(time >> 32n);
		this.#clock.low = Number(time & 0xffff_ffffn);
		const at = this.#packet(place, optionsOctets(options));
		putOptions(this.sink, at, options);
	}

	/**
	 * Appends a Name Resolution Block: what addresses are called. Readers use it for the packets behind it as well as
	 * before it. Throws RangeError for an address that is none and a name that cannot be said.
	 */
	names(records: Iterable<CaptureName>): void {
		const pieces = [...records].flatMap(nameRecords);
		const octets = pieces.reduce((sum, piece) => sum + 4 + block.padded(piece.value.length), 4);
		let at = this.#block(block.NAME_RESOLUTION, octets, NO_OPTIONS);
		for (const { code, value } of pieces) {
			putOptionHeader(this.sink.view, at, code, value.length);
			putPadded(this.sink, at + 4, value);
			at += 4 + block.padded(value.length);
		}
		putOptionHeader(this.sink.view, at, block.NAME_END, 0);
	}

	/** Appends keys to decrypt packets behind it with. */
	secrets({ type, data }: CaptureSecrets): void {
		checkNumber(type, MOST, "type");
		const at = this.#block(block.DECRYPTION_SECRETS, 8 + block.padded(data.length), NO_OPTIONS);
		this.sink.view.setUint32(at, type, true);
		this.sink.view.setUint32(at + 4, data.length, true);
		putPadded(this.sink, at + 8, data);
	}

	/** Appends what an interface counted. Throws RangeError for what cannot be said. */
	statistics(counted: CaptureStatistics): void {
		checkNumber(counted.interface, this.#limits.length - 1, "interface");
		checkTime(counted.time, "time");
		const at = this.#block(block.INTERFACE_STATISTICS, 12, [
			...optionalWords(block.STATISTICS_RECEIVED, counted.received, "received"),
			...optionalWords(block.STATISTICS_DROPPED, counted.dropped, "dropped"),
		]);
		const view = this.sink.view;
		view.setUint32(at, counted.interface, true);
		view.setUint32(at + 4, Number(counted.time >> 32n), true);
		view.setUint32(at + 8, Number(counted.time & 0xffff_ffffn), true);
	}

	/** An Enhanced Packet Block of the clock's time, but for its options; says where those start. */
	#packet(record: PacketPlace, optionOctets: number): number {
		const limit = this.#limits[record.interface];
		assert(limit !== undefined, "a packet belongs to an interface that was described");
		const octets = Math.min(record.end - record.start, limit);
		const room = block.padded(octets);
		const length = block.FRAME_OCTETS + block.PACKET_OCTETS + room + optionOctets;
		const sink = this.sink;
		const at = sink.reserve(length);
		const view = sink.view;
		view.setUint32(at, block.ENHANCED_PACKET, true);
		view.setUint32(at + 4, length, true);
		view.setUint32(at + 8, record.interface, true);
		view.setUint32(at + 12, this.#clock.high, true);
		view.setUint32(at + 16, this.#clock.low, true);
		view.setUint32(at + 20, octets, true);
		view.setUint32(at + 24, record.originalLength, true);
		const data = at + 28;
		// The last word first: what the data leaves of it is padding and has to be zero.
		if (room > octets) view.setUint32(data + room - 4, 0, true);
		sink.copy(data, record.view, record.start, record.start + octets);
		view.setUint32(at + length - 4, length, true);
		return data + room;
	}

	/** A block with a fixed body, which the caller fills, and options; says where the body starts. */
	#block(type: number, octets: number, options: readonly PcapngOption[]): number {
		const length = block.FRAME_OCTETS + octets + optionsOctets(options);
		const at = this.sink.reserve(length);
		const view = this.sink.view;
		view.setUint32(at, type, true);
		view.setUint32(at + 4, length, true);
		putOptions(this.sink, at + 8 + octets, options);
		view.setUint32(at + length - 4, length, true);
		return at + 8;
	}
}

type PacketPlace = Pick<PcapngRecord, "interface" | "view" | "start" | "end" | "originalLength">;

/** What `writePcapng` writes. A `CaptureFile` will do. */
export interface PcapngContent {
	readonly interfaces: readonly CaptureInterface[];
	readonly packets: Iterable<CapturePacket>;
	readonly names?: readonly CaptureName[];
	/** The first one becomes the header of the file's only section. */
	readonly sections?: readonly CaptureSection[];
	readonly secrets?: readonly CaptureSecrets[];
	readonly statistics?: readonly CaptureStatistics[];
}

/** A whole pcapng file of one section; a packet without a time gets 0. Throws RangeError for what the format cannot say. */
export function writePcapng(content: PcapngContent): Uint8Array<ArrayBuffer> {
	const writer = new PcapngWriter(content.sections?.[0]);
	for (const device of content.interfaces) writer.addInterface(device);
	if (content.names !== undefined && content.names.length > 0) writer.names(content.names);
	for (const secrets of content.secrets ?? []) writer.secrets(secrets);
	for (const packet of content.packets)
		writer.packet(packet.interface, packet.time ?? 0n, packet.data, packet);
	for (const counted of content.statistics ?? []) writer.statistics(counted);
	return writer.sink.drain();
}

function commentOptions(texts: readonly string[] = []): PcapngOption[] {
	return texts.map((text) => textOption(block.OPTION_COMMENT, text, "comment"));
}

function optionalWords(code: number, value: bigint | undefined, argument: string): PcapngOption[] {
	if (value === undefined) return [];
	if (value < 0n || value >= 1n << 64n) {
		throw new RangeError(`${argument} is ${String(value)}, expected a whole number from 0 to 2^64 - 1`);
	}
	return [wordsOption(code, value)];
}

const MOST_RECORD_OCTETS = 0xffff;
const encoder = new TextEncoder();

/** The records for one address: more than one only if its names are too long for one. */
function nameRecords({ address, names }: CaptureName): PcapngOption[] {
	const { code, octets } = addressOctets(address);
	const records: number[][] = [];
	for (const name of names) {
		const text = encoder.encode(name);
		if (text.length === 0 || text.includes(0)) {
			throw new RangeError(
				`name is ${JSON.stringify(name)}, expected text that is not empty and has no U+0000`,
			);
		}
		const needed = text.length + 1;
		if (octets.length + needed > MOST_RECORD_OCTETS) {
			throw new RangeError(`name takes ${String(text.length)} octets as UTF-8, too many for a name record`);
		}
		let record = records.at(-1);
		if (record === undefined || record.length + needed > MOST_RECORD_OCTETS)
			records.push((record = [...octets]));
		for (const octet of text) record.push(octet);
		record.push(0);
	}
	return records.map((record) => ({ code, value: Uint8Array.from(record) }));
}

function addressOctets(address: string): { code: number; octets: number[] } {
	const big = (value: bigint, octets: number): number[] =>
		Array.from({ length: octets }, (_, i) => Number((value >> BigInt(8 * (octets - 1 - i))) & 255n));
	const ip4 = parseIp4(address);
	if (ip4 !== undefined) return { code: block.NAME_IPV4, octets: big(BigInt(ip4 >>> 0), 4) };
	const mac = parseMac(address);
	if (mac !== undefined) return { code: block.NAME_EUI48, octets: big(BigInt(mac), 6) };
	const ip6 = parseIp6(address);
	if (ip6 !== undefined) return { code: block.NAME_IPV6, octets: big(ip6, 16) };
	throw new RangeError(`address is ${JSON.stringify(address)}, expected an IPv4, IPv6 or MAC address`);
}
