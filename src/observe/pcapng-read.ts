import { formatIp4, formatIp6, formatMac, type Ip4, type Ip6, type Mac } from "../addr/index.ts";
import {
	CaptureFormatError,
	type CaptureFile,
	type CaptureInterface,
	type CaptureName,
	type CapturePacket,
	type CaptureReading,
	type CaptureSection,
	type CaptureSecrets,
	type CaptureStatistics,
	type Direction,
} from "./capture-file.ts";
import { collect } from "./capture-file-collect.ts";
import * as block from "./pcapng-block.ts";
import { expectOctets, type FoundOption, options, textOf } from "./pcapng-options.ts";

/** Reads a pcapng file, all sections as one. Throws CaptureFormatError if not even the first section header can be read. */
export const readPcapng = (bytes: Uint8Array): CaptureFile => collect(openPcapng(bytes));

/** True if the bytes begin as a section of pcapng does. */
export function isPcapng(bytes: Uint8Array): boolean {
	return (
		bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) === block.SECTION_HEADER
	);
}

/** Reads the first section header; the rest follows as packets are asked for. Throws CaptureFormatError if there is none. */
export function openPcapng(bytes: Uint8Array): CaptureReading {
	if (!isPcapng(bytes))
		throw new CaptureFormatError("bad-magic", 0, "the bytes do not begin as a pcapng file does");
	return new PcapngReading(bytes);
}

/** Where a block is. `start` to `end` is its body. */
interface Block {
	readonly type: number;
	readonly at: number;
	readonly start: number;
	readonly end: number;
}

class PcapngReading implements CaptureReading {
	readonly format = "pcapng";
	readonly interfaces: CaptureInterface[] = [];
	readonly names: CaptureName[] = [];
	readonly sections: CaptureSection[] = [];
	readonly secrets: CaptureSecrets[] = [];
	readonly statistics: CaptureStatistics[] = [];

	readonly #bytes: Uint8Array;
	readonly #view: DataView;
	/** Where the next block starts. */
	#at = 0;
	/** Byte order of the section. */
	#little = true;
	/** Interfaces of earlier sections: those of this one are counted from here. */
	#before = 0;

	constructor(bytes: Uint8Array) {
		// A plain view even of a subclass's bytes, whose own `subarray` would give its own kind.
		this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
		this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
		this.#read(this.#next());
	}

	*packets(): Generator<CapturePacket, void, void> {
		while (this.#at < this.#bytes.length) {
			const packet = this.#read(this.#next());
			if (packet !== undefined) yield packet;
		}
	}

	/** Judges the frame of the next block and steps over it. */
	#next(): Block {
		const at = this.#at;
		const left = this.#bytes.length - at;
		if (left < block.FRAME_OCTETS)
			throw new CaptureFormatError("truncated", at, "the file ends inside a block's header");
		if (this.#view.getUint32(at) === block.SECTION_HEADER) this.#turn(at);
		const length = this.#u32(at + 4);
		if (length < block.FRAME_OCTETS || length % 4 !== 0) {
			throw new CaptureFormatError(
				"bad-length",
				at,
				`a block of ${String(length)} octets, expected a multiple of 4 from 12 on`,
			);
		}
		if (length > left) {
			throw new CaptureFormatError(
				"truncated",
				at,
				`the file ends inside a block of ${String(length)} octets`,
			);
		}
		const end = at + length - 4;
		if (this.#u32(end) !== length) {
			throw new CaptureFormatError(
				"bad-length",
				at,
				`a block's two lengths are ${String(length)} and ${String(this.#u32(end))}`,
			);
		}
		this.#at = at + length;
		return { type: this.#u32(at), at, start: at + 8, end };
	}

	/** Takes on the byte order of the section that starts here. */
	#turn(at: number): void {
		const magic = this.#view.getUint32(at + 8, true);
		const swapped = this.#view.getUint32(at + 8, false);
		if (magic !== block.BYTE_ORDER_MAGIC && swapped !== block.BYTE_ORDER_MAGIC) {
			throw new CaptureFormatError("bad-magic", at, "a section header without its byte-order magic");
		}
		this.#little = magic === block.BYTE_ORDER_MAGIC;
	}

	/** Takes in one block. Unknown ones are passed over, as the format asks. */
	#read(found: Block): CapturePacket | undefined {
		switch (found.type) {
			case block.SECTION_HEADER:
				this.#section(found);
				return undefined;
			case block.INTERFACE_DESCRIPTION:
				this.#interface(found);
				return undefined;
			case block.ENHANCED_PACKET:
				return this.#packet(found);
			case block.SIMPLE_PACKET:
				return this.#simplePacket(found);
			case block.OLD_PACKET:
				return this.#oldPacket(found);
			case block.NAME_RESOLUTION:
				this.#names(found);
				return undefined;
			case block.INTERFACE_STATISTICS:
				this.#statistics(found);
				return undefined;
			case block.DECRYPTION_SECRETS:
				this.#secrets(found);
				return undefined;
			default:
				return undefined;
		}
	}

	#section(found: Block): void {
		this.#least(found, 16);
		const major = this.#u16(found.start + 4);
		if (major !== 1) {
			throw new CaptureFormatError(
				"bad-version",
				found.at,
				`pcapng version ${String(major)}, only 1 can be read`,
			);
		}
		const section: { comments: string[]; hardware?: string; os?: string; application?: string } = {
			comments: [],
		};
		for (const option of this.#options(found, found.start + 16)) {
			if (option.code === block.OPTION_COMMENT) section.comments.push(textOf(option.value));
			else if (option.code === block.SECTION_HARDWARE) section.hardware = textOf(option.value);
			else if (option.code === block.SECTION_OS) section.os = textOf(option.value);
			else if (option.code === block.SECTION_APPLICATION) section.application = textOf(option.value);
		}
		this.sections.push(section);
		this.#before = this.interfaces.length;
	}

	#interface(found: Block): void {
		this.#least(found, 8);
		const device: { -readonly [K in keyof CaptureInterface]: CaptureInterface[K] } = {
			linkType: this.#u16(found.start),
			snapLength: this.#u32(found.start + 4),
			resolution: 6,
		};
		for (const option of this.#options(found, found.start + 8)) {
			if (option.code === block.INTERFACE_NAME) device.name = textOf(option.value);
			else if (option.code === block.INTERFACE_ABOUT) device.description = textOf(option.value);
			else if (option.code === block.INTERFACE_OS) device.os = textOf(option.value);
			else if (option.code === block.INTERFACE_RESOLUTION)
				device.resolution = expectOctets(option, 1).getUint8(0);
			else if (option.code === block.INTERFACE_OFFSET) {
				device.offsetSeconds = expectOctets(option, 8).getBigInt64(0, this.#little);
			}
		}
		this.interfaces.push(device);
	}

	#packet(found: Block): CapturePacket {
		this.#least(found, block.PACKET_OCTETS);
		const { start } = found;
		const index = this.#interfaceOf(found, this.#u32(start));
		const octets = this.#u32(start + 12);
		const data = this.#data(found, start + block.PACKET_OCTETS, octets);
		const packet: { -readonly [K in keyof CapturePacket]: CapturePacket[K] } & { comments: string[] } = {
			interface: index,
			time: this.#time(index, start + 4),
			data,
			originalLength: this.#u32(start + 16),
			comments: [],
		};
		for (const option of this.#options(found, start + block.PACKET_OCTETS + block.padded(octets))) {
			if (option.code === block.OPTION_COMMENT) packet.comments.push(textOf(option.value));
			else if (option.code === block.PACKET_FLAGS) {
				const direction = directionOf(expectOctets(option, 4).getUint32(0, this.#little));
				if (direction !== undefined) packet.direction = direction;
			} else if (option.code === block.PACKET_ID)
				packet.packetId = expectOctets(option, 8).getBigUint64(0, this.#little);
			else if (option.code === block.PACKET_DROP_COUNT) {
				packet.dropCount = expectOctets(option, 8).getBigUint64(0, this.#little);
			}
		}
		return packet;
	}

	/** Its captured length is not written down: what the snap length and the block leave of the packet. */
	#simplePacket(found: Block): CapturePacket {
		this.#least(found, 4);
		const index = this.#interfaceOf(found, 0);
		const originalLength = this.#u32(found.start);
		const snapLength = this.interfaces[index]?.snapLength ?? 0;
		const octets = snapLength === 0 ? originalLength : Math.min(originalLength, snapLength);
		const data = this.#data(found, found.start + 4, octets);
		return { interface: index, time: undefined, data, originalLength, comments: [] };
	}

	#oldPacket(found: Block): CapturePacket {
		this.#least(found, block.PACKET_OCTETS);
		const { start } = found;
		const index = this.#interfaceOf(found, this.#u16(start));
		const octets = this.#u32(start + 12);
		const data = this.#data(found, start + block.PACKET_OCTETS, octets);
		const comments: string[] = [];
		let direction: Direction | undefined;
		for (const option of this.#options(found, start + block.PACKET_OCTETS + block.padded(octets))) {
			if (option.code === block.OPTION_COMMENT) comments.push(textOf(option.value));
			else if (option.code === block.PACKET_FLAGS) {
				direction = directionOf(expectOctets(option, 4).getUint32(0, this.#little));
			}
		}
		return {
			interface: index,
			time: this.#time(index, start + 4),
			data,
			originalLength: this.#u32(start + 16),
			...(direction && { direction }),
			comments,
		};
	}

	#names(found: Block): void {
		let at = found.start;
		while (at < found.end) {
			const code = this.#u16(at);
			if (code === block.NAME_END) return;
			const octets = this.#u16(at + 2);
			const start = at + 4;
			if (octets > found.end - start) {
				throw new CaptureFormatError("bad-option", at, "a name record does not fit in its block");
			}
			const name = nameOf(code, this.#bytes.subarray(start, start + octets));
			if (name !== undefined) this.names.push(name);
			at = start + block.padded(octets);
		}
	}

	#statistics(found: Block): void {
		this.#least(found, 12);
		const index = this.#interfaceOf(found, this.#u32(found.start));
		let received: bigint | undefined;
		let dropped: bigint | undefined;
		for (const option of this.#options(found, found.start + 12)) {
			if (option.code === block.STATISTICS_RECEIVED)
				received = expectOctets(option, 8).getBigUint64(0, this.#little);
			if (option.code === block.STATISTICS_DROPPED)
				dropped = expectOctets(option, 8).getBigUint64(0, this.#little);
		}
		this.statistics.push({
			interface: index,
			time: this.#time(index, found.start + 4),
			...(received !== undefined && { received }),
			...(dropped !== undefined && { dropped }),
		});
	}

	#secrets(found: Block): void {
		this.#least(found, 8);
		const data = this.#data(found, found.start + 8, this.#u32(found.start + 4));
		this.secrets.push({ type: this.#u32(found.start), data });
	}

	#u16(at: number): number {
		return this.#view.getUint16(at, this.#little);
	}

	#u32(at: number): number {
		return this.#view.getUint32(at, this.#little);
	}

	#options(found: Block, at: number): Generator<FoundOption, void, void> {
		return options(this.#view, at, found.end, this.#little);
	}

	/** Throws CaptureFormatError unless the body has so many octets. */
	#least(found: Block, octets: number): void {
		if (found.end - found.start >= octets) return;
		const has = `a block of type ${String(found.type)} with ${String(found.end - found.start)} octets`;
		throw new CaptureFormatError("bad-length", found.at, `${has}, expected at least ${String(octets)}`);
	}

	#data(found: Block, at: number, octets: number): Uint8Array {
		if (octets <= found.end - at) return this.#bytes.subarray(at, at + octets);
		throw new CaptureFormatError(
			"bad-length",
			found.at,
			`${String(octets)} octets of data do not fit in their block`,
		);
	}

	#interfaceOf(found: Block, local: number): number {
		const index = this.#before + local;
		if (index < this.interfaces.length) return index;
		throw new CaptureFormatError(
			"bad-interface",
			found.at,
			`a block of interface ${String(local)}, which is not described`,
		);
	}

	/** The 64-bit timestamp at `at`, high half first, in nanoseconds since 1970; what is finer is cut off. */
	#time(index: number, at: number): bigint {
		const { resolution = 6, offsetSeconds = 0n } = this.interfaces[index] ?? {};
		const ticks = (BigInt(this.#u32(at)) << 32n) | BigInt(this.#u32(at + 4));
		return offsetSeconds * 1_000_000_000n + nanosecondsOf(ticks, resolution);
	}
}

function nanosecondsOf(ticks: bigint, resolution: number): bigint {
	if (resolution === 9) return ticks;
	if (resolution >= 0x80) return (ticks * 1_000_000_000n) >> BigInt(resolution - 0x80);
	if (resolution < 9) return ticks * 10n ** BigInt(9 - resolution);
	return ticks / 10n ** BigInt(resolution - 9);
}

function directionOf(flags: number): Direction | undefined {
	const bits = flags & block.DIRECTION_BITS;
	return bits === block.DIRECTION_IN ? "in" : bits === block.DIRECTION_OUT ? "out" : undefined;
}

/** A name record's meaning, undefined for kinds of address we do not know. */
function nameOf(code: number, record: Uint8Array): CaptureName | undefined {
	const address = addressOf(code, record);
	if (address === undefined) return undefined;
	const names = textOf(record.subarray(address.octets))
		.split("\0")
		.filter((name) => name !== "");
	return { address: address.text, names };
}

function addressOf(code: number, record: Uint8Array): { text: string; octets: number } | undefined {
	const octets = { [block.NAME_IPV4]: 4, [block.NAME_IPV6]: 16, [block.NAME_EUI48]: 6 }[code];
	if (octets === undefined || record.length < octets) return undefined;
	const value = record.subarray(0, octets).reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
	if (code === block.NAME_IPV4) return { text: formatIp4(Number(value) as Ip4), octets };
	if (code === block.NAME_EUI48) return { text: formatMac(Number(value) as Mac), octets };
	return { text: formatIp6(value as Ip6), octets };
}
