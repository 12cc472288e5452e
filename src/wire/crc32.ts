const POLYNOMIAL = 0xedb8_8320;
const TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
	let crc = octet;
	for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
	return crc;
});

/** CRC-32 of IEEE 802.3, as Ethernet, zip and memberlist have it. */
export function crc32(bytes: Uint8Array, from = 0, to: number = bytes.length): number {
	let crc = 0xffff_ffff;
	for (let i = from; i < to; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 0xff]!;
	return ~crc >>> 0;
}
