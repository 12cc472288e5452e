/** Link types of a capture, as libpcap numbers them (draft-ietf-opsawg-pcaplinktype). */
export const LINK_TYPE_ETHERNET = 1;
/** Raw IPv4 or IPv6 without a link header. */
export const LINK_TYPE_RAW = 101;
/** Linux "cooked" capture, version 1: what `tcpdump -i any` writes. */
export const LINK_TYPE_SLL = 113;
/** Linux "cooked" capture, version 2. */
export const LINK_TYPE_SLL2 = 276;

/** The most octets kept of a packet where nobody asks for less: tcpdump's default. */
export const SNAP_LENGTH = 262_144;

/** Which way a packet crossed its interface, seen from the interface's owner. */
export type Direction = "in" | "out";

/** One interface that was captured. A pcap file has exactly one, without a name. */
export interface CaptureInterface {
	/** `namespace:device` in captures of ours (`if_name`). */
	readonly name?: string;
	readonly description?: string;
	/** The operating system of the machine the interface belongs to (`if_os`). */
	readonly os?: string;
	/** What the octets of its packets start with: `LINK_TYPE_ETHERNET` … */
	readonly linkType: number;
	/** The most octets kept of a packet; 0 is no limit. */
	readonly snapLength: number;
	/** Units of the file's timestamps: `if_tsresol` as it stands, 6 is microseconds, 9 nanoseconds, 0x80 + n is 2^-n s. */
	readonly resolution: number;
	/** Seconds added to every timestamp of the interface (`if_tsoffset`). */
	readonly offsetSeconds?: bigint;
}

/** One packet of a capture. */
export interface CapturePacket {
	/** Index into the capture's interfaces. */
	readonly interface: number;
	/** Nanoseconds since 1970-01-01 UTC; undefined in a simple packet block, which has no time. */
	readonly time: bigint | undefined;
	/** The octets captured. Read from a file, it is a view of the file's bytes. */
	readonly data: Uint8Array;
	/** Octets the packet had on its wire, more than `data` holds if it was cut. */
	readonly originalLength: number;
	readonly direction?: Direction;
	/** Shared by the same packet at all its interfaces (`epb_packetid`). */
	readonly packetId?: bigint;
	/** Packets lost by the interface between the one before and this one (`epb_dropcount`). */
	readonly dropCount?: bigint;
	readonly comments: readonly string[];
}

/** What one address is called: a record of a Name Resolution Block. */
export interface CaptureName {
	/** Text of an IPv4 or IPv6 address, or of a MAC. */
	readonly address: string;
	readonly names: readonly string[];
}

/** Who wrote a section of a pcapng file, and where. */
export interface CaptureSection {
	readonly hardware?: string;
	readonly os?: string;
	readonly application?: string;
	readonly comments: readonly string[];
}

/** Keys to decrypt what was captured (Decryption Secrets Block). */
export interface CaptureSecrets {
	/** 0x544c534b is a TLS key log, 0x57474b4c a WireGuard one. */
	readonly type: number;
	/** A view of the file's bytes. */
	readonly data: Uint8Array;
}

/** What an interface counted (Interface Statistics Block). */
export interface CaptureStatistics {
	/** Index into the capture's interfaces. */
	readonly interface: number;
	/** When it was counted: nanoseconds since 1970-01-01 UTC. */
	readonly time: bigint;
	/** Packets received by the interface (`isb_ifrecv`). */
	readonly received?: bigint;
	/** Packets it dropped for want of room (`isb_ifdrop`). */
	readonly dropped?: bigint;
}

/** A capture file, read. */
export interface CaptureFile {
	readonly format: "pcap" | "pcapng";
	/** In order of appearance, through all sections: packets refer to them by index. */
	readonly interfaces: readonly CaptureInterface[];
	readonly packets: readonly CapturePacket[];
	readonly names: readonly CaptureName[];
	/** Empty for a pcap file. */
	readonly sections: readonly CaptureSection[];
	readonly secrets: readonly CaptureSecrets[];
	readonly statistics: readonly CaptureStatistics[];
	/** Why reading stopped before the end of the bytes; absent if it did not. All that came before is here. */
	readonly problem?: CaptureProblem;
}

/**
 * What is wrong with the bytes of a capture file.
 * - `truncated`: they end inside a header, record or block;
 * - `bad-magic`: no capture file, or a section without its byte-order magic;
 * - `bad-version`: a capture file of another major version;
 * - `bad-length`: a length that contradicts another one or the format;
 * - `bad-interface`: a packet of an interface that the section does not describe;
 * - `bad-option`: an option or name record that does not fit in its block.
 */
export type CaptureProblemKind =
	"truncated" | "bad-magic" | "bad-version" | "bad-length" | "bad-interface" | "bad-option";

/** What is wrong with a capture file, and where. */
export interface CaptureProblem {
	readonly kind: CaptureProblemKind;
	/** Octets from the start of the file to the header, record, block or option that is wrong. */
	readonly offset: number;
	readonly message: string;
}

/**
 * Thrown where the bytes of a capture file cannot be read any further: by `readCapture` only if nothing at all
 * could be read, by `CaptureReading.packets()` behind the last whole packet.
 */
export class CaptureFormatError extends Error implements CaptureProblem {
	override readonly name = "CaptureFormatError";
	readonly kind: CaptureProblemKind;
	readonly offset: number;

	constructor(kind: CaptureProblemKind, offset: number, message: string) {
		super(message);
		this.kind = kind;
		this.offset = offset;
	}
}

/**
 * A capture file while it is being read. The lists hold what came before
 * the packet that `packets()` gave last, so an interface is known before its first packet.
 */
export interface CaptureReading {
	readonly format: "pcap" | "pcapng";
	readonly interfaces: readonly CaptureInterface[];
	readonly names: readonly CaptureName[];
	readonly sections: readonly CaptureSection[];
	readonly secrets: readonly CaptureSecrets[];
	readonly statistics: readonly CaptureStatistics[];
	/** Gives each whole packet in turn, then throws CaptureFormatError if the bytes are damaged from there on. Once only. */
	packets(): Generator<CapturePacket, void, void>;
}
