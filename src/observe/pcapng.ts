// pcapng files, draft-ietf-opsawg-pcapng.   | type 4 | total length 4 | body … padded to 4 | total length 4 |
// This file writes them; pcapng-read.ts reads them.
import { ByteSink } from "./byte-sink.ts";
import type { CaptureInterface, CaptureName } from "./capture-file.ts";

export const BLOCK_SECTION = 0x0a0d_0d0a;
export const BLOCK_INTERFACE = 1;
export const BLOCK_PACKET = 2;
export const BLOCK_SIMPLE = 3;
export const BLOCK_NAMES = 4;
export const BLOCK_ENHANCED = 6;
export const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;

export const OPTION_END = 0;
export const OPTION_COMMENT = 1;
export const OPTION_HARDWARE = 2;
export const OPTION_OS = 3;
export const OPTION_APPLICATION = 4;
export const OPTION_IF_NAME = 2;
export const OPTION_IF_DESCRIPTION = 3;
export const OPTION_IF_TSRESOL = 9;
export const OPTION_IF_TSOFFSET = 14;
export const OPTION_IF_OS = 12;
export const OPTION_EPB_FLAGS = 2;
export const OPTION_EPB_PACKETID = 5;
export const NAME_END = 0;
export const NAME_IPV4 = 1;
export const NAME_IPV6 = 2;

const NANOSECONDS = 9; // if_tsresol: 10^-9 s
const SNAP_LENGTH = 262_144;
const DIRECTION = { in: 1, out: 2 } as const;
const utf8 = new TextEncoder();

/** What stands in the section header. */
export interface PcapngOptions {
	readonly hardware?: string;
	readonly os?: string;
	readonly application?: string;
}

/**
 * Writes a file block by block into a sink that may be drained in between. Interfaces get numbers in the
 * order they are added; names may come at any time.
 */
export class PcapngWriter {
	readonly sink: ByteSink = new ByteSink();

	constructor(options: PcapngOptions = {}) {
		const { sink } = this;
		const at = this.#begin(BLOCK_SECTION);
		sink.u32(BYTE_ORDER_MAGIC);
		sink.u16(1);
		sink.u16(0);
		// Section length unknown: readers go by the blocks.
		sink.u32(0xffff_ffff);
		sink.u32(0xffff_ffff);
		if (options.hardware !== undefined) this.#text(OPTION_HARDWARE, options.hardware);
		if (options.os !== undefined) this.#text(OPTION_OS, options.os);
		if (options.application !== undefined) this.#text(OPTION_APPLICATION, options.application);
		this.#option(OPTION_END, new Uint8Array());
		this.#end(at);
	}

	/** Adds an interface, nanosecond times. Numbers count from 0. */
	addInterface(description: Pick<CaptureInterface, "name"> & Partial<CaptureInterface> & { readonly os?: string }): void {
		const { sink } = this;
		const at = this.#begin(BLOCK_INTERFACE);
		sink.u16(description.linkType ?? 1);
		sink.u16(0);
		sink.u32(description.snapLength ?? SNAP_LENGTH);
		this.#text(OPTION_IF_NAME, description.name);
		if (description.description !== undefined) this.#text(OPTION_IF_DESCRIPTION, description.description);
		this.#option(OPTION_IF_TSRESOL, Uint8Array.of(NANOSECONDS));
		if (description.os !== undefined) this.#text(OPTION_IF_OS, description.os);
		this.#option(OPTION_END, new Uint8Array());
		this.#end(at);
	}

	/** Adds a packet. `time` is nanoseconds since 1970. */
	packet(
		interfaceNumber: number,
		time: bigint,
		data: Uint8Array,
		about: {
			readonly direction?: "in" | "out";
			readonly packetId?: bigint;
			readonly originalLength?: number;
			readonly comments?: readonly string[];
		} = {},
	): void {
		const { sink } = this;
		const at = this.#begin(BLOCK_ENHANCED);
		sink.u32(interfaceNumber);
		sink.u32(Number((time >> 32n) & 0xffff_ffffn));
		sink.u32(Number(time & 0xffff_ffffn));
		sink.u32(data.length);
		sink.u32(about.originalLength ?? data.length);
		sink.bytes(data);
		sink.pad();
		for (const comment of about.comments ?? []) this.#text(OPTION_COMMENT, comment);
		let options = (about.comments?.length ?? 0) > 0;
		if (about.direction !== undefined) {
			sink.u16(OPTION_EPB_FLAGS);
			sink.u16(4);
			sink.u32(DIRECTION[about.direction]);
			options = true;
		}
		if (about.packetId !== undefined) {
			sink.u16(OPTION_EPB_PACKETID);
			sink.u16(8);
			sink.u32(Number(about.packetId & 0xffff_ffffn));
			sink.u32(Number(about.packetId >> 32n));
			options = true;
		}
		if (options) this.#option(OPTION_END, new Uint8Array());
		this.#end(at);
	}

	/** Adds names of IPv4 addresses, given as unsigned numbers. */
	names(names: readonly { readonly ip: number; readonly name: CaptureName["name"] }[]): void {
		if (names.length === 0) return;
		const { sink } = this;
		const at = this.#begin(BLOCK_NAMES);
		for (const { ip, name } of names) {
			const text = utf8.encode(name);
			sink.u16(NAME_IPV4);
			sink.u16(4 + text.length + 1);
			// Addresses stand in network order whatever the file's.
			const place = sink.reserve(4);
			sink.view.setUint32(place, ip, false);
			sink.bytes(text);
			sink.bytes(Uint8Array.of(0));
			sink.pad();
		}
		sink.u16(NAME_END);
		sink.u16(0);
		this.#end(at);
	}

	#begin(type: number): number {
		const at = this.sink.length;
		this.sink.u32(type);
		this.sink.u32(0);
		return at;
	}

	#end(at: number): void {
		const octets = this.sink.length - at + 4;
		this.sink.u32(octets);
		this.sink.view.setUint32(at + 4, octets, true);
	}

	#option(code: number, value: Uint8Array): void {
		this.sink.u16(code);
		this.sink.u16(value.length);
		this.sink.bytes(value);
		this.sink.pad();
	}

	#text(code: number, text: string): void {
		this.#option(code, utf8.encode(text));
	}
}
