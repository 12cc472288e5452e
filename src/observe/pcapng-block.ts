/*
 * Numbers of the pcapng format (draft-ietf-opsawg-pcapng), shared by its writer and its reader. Every block is
 *
 *     | type 32 | total length 32 | body, padded to 4 octets | total length 32 |
 *
 * and where a body ends with options, each of them is
 *
 *     | code 16 | length 16 | value, padded to 4 octets |       the last one has code 0 and length 0
 */

/** Section Header Block: the same number in both byte orders. */
export const SECTION_HEADER = 0x0a0d_0d0a;
/** Interface Description Block. */
export const INTERFACE_DESCRIPTION = 1;
/** The obsolete Packet Block. */
export const OLD_PACKET = 2;
/** Simple Packet Block: of the section's first interface, without time. */
export const SIMPLE_PACKET = 3;
/** Name Resolution Block. */
export const NAME_RESOLUTION = 4;
/** Interface Statistics Block. */
export const INTERFACE_STATISTICS = 5;
/** Enhanced Packet Block. */
export const ENHANCED_PACKET = 6;
/** Decryption Secrets Block. */
export const DECRYPTION_SECRETS = 0x0a;

/** First word of a section's body, in the section's byte order. */
export const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
/** Type and both lengths: a block without a body. */
export const FRAME_OCTETS = 12;
/** Body of an Enhanced Packet Block before its data. */
export const PACKET_OCTETS = 20;

export const OPTION_END = 0;
export const OPTION_COMMENT = 1;
export const SECTION_HARDWARE = 2;
export const SECTION_OS = 3;
export const SECTION_APPLICATION = 4;
export const INTERFACE_NAME = 2;
export const INTERFACE_ABOUT = 3;
export const INTERFACE_RESOLUTION = 9;
export const INTERFACE_OS = 12;
export const INTERFACE_OFFSET = 14;
export const PACKET_FLAGS = 2;
export const PACKET_DROP_COUNT = 4;
export const PACKET_ID = 5;
export const STATISTICS_RECEIVED = 4;
export const STATISTICS_DROPPED = 5;

/** Lowest two bits of `epb_flags`. */
export const DIRECTION_BITS = 3;
export const DIRECTION_IN = 1;
export const DIRECTION_OUT = 2;

export const NAME_END = 0;
export const NAME_IPV4 = 1;
export const NAME_IPV6 = 2;
export const NAME_EUI48 = 3;

/** Octets up to the next multiple of four. */
export const padded = (octets: number): number => (octets + 3) & ~3;
