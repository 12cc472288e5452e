/** Bits of each octet's code, by value (RFC 7541 Appendix B). The codes are those of a canonical code of these lengths. */
const LENGTHS =
	"13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 6 10 10 12 13 6 " +
	"8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 " +
	"8 13 19 13 14 6 15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 20 22 20 20 22 22 22 23 " +
	"22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 22 21 20 22 22 23 23 21 23 22 22 24 21 " +
	"22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 " +
	"26 27 27 26 27 24 21 21 26 26 28 27 27 27 20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 " +
	"27 27 28 27 27 27 27 27 26";

const lengths = LENGTHS.split(" ").map(Number);
const codes = new Map<number, number>();
const symbols = new Map<number, number>();

/** One number for a code and its length. */
const keyOf = (code: number, length: number): number => code * 32 + length;

let next = 0;
let before = 0;
for (const symbol of lengths.map((_, index) => index).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b)) {
	const length = lengthOf(symbol);
	next *= 2 ** (length - before);
	before = length;
	codes.set(symbol, next);
	symbols.set(keyOf(next, length), symbol);
	next++;
}

function lengthOf(symbol: number): number {
	return lengths[symbol] ?? 0;
}

/** Octets that `text` takes encoded. */
export const huffmanOctets = (text: Uint8Array): number =>
	Math.ceil(text.reduce((bits, octet) => bits + lengthOf(octet), 0) / 8);

/** Encoded, with ones behind the last code. */
export function huffman(text: Uint8Array): Uint8Array {
	const bits: number[] = [];
	for (const octet of text) {
		const code = codes.get(octet) ?? 0;
		for (let i = lengthOf(octet) - 1; i >= 0; i--) bits.push(Math.floor(code / 2 ** i) % 2);
	}
	while (bits.length % 8 !== 0) bits.push(1);
	return Uint8Array.from({ length: bits.length / 8 }, (_, i) =>
		bits.slice(i * 8, i * 8 + 8).reduce((octet, bit) => octet * 2 + bit, 0),
	);
}

/** Decoded; undefined for what ends with anything but up to seven ones. */
export function unhuffman(bytes: Uint8Array): Uint8Array | undefined {
	const text: number[] = [];
	let code = 0;
	let length = 0;
	for (const octet of bytes) {
		for (let i = 7; i >= 0; i--) {
			code = code * 2 + ((octet >>> i) & 1);
			if (++length > 30) return undefined;
			const symbol = symbols.get(keyOf(code, length));
			if (symbol === undefined) continue;
			text.push(symbol);
			code = 0;
			length = 0;
		}
	}
	return length < 8 && code === 2 ** length - 1 ? Uint8Array.from(text) : undefined;
}
