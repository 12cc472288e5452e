/** Bits of each octet's code, by value (RFC 7541 Appendix B). The codes are those of a canonical code of these lengths. */
const LENGTHS =
	"13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 6 10 10 12 13 6 " +
	"8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 " +
	"8 13 19 13 14 6 15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 20 22 20 20 22 22 22 23 " +
	"22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 22 21 20 22 22 23 23 21 23 22 22 24 21 " +
	"22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 " +
	"26 27 27 26 27 24 21 21 26 26 28 27 27 27 20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 " +
	"27 27 28 27 27 27 27 27 26";

const lengths = Uint8Array.from(LENGTHS.split(" "), Number);
const codes = new Uint32Array(lengths.length);
/** The tree of the codes: at twice a node and the next bit stands the next node, or the octet less than zero (`~octet`). */
const tree: number[] = [0, 0];

let next = 0;
let before = 0;
for (const symbol of [...lengths.keys()].sort((a, b) => lengthOf(a) - lengthOf(b) || a - b)) {
	const length = lengthOf(symbol);
	next *= 2 ** (length - before);
	before = length;
	codes[symbol] = next;
	let node = 0;
	for (let bit = length - 1; bit >= 0; bit--) {
		const at = 2 * node + ((next >>> bit) & 1);
		if (bit === 0) tree[at] = ~symbol;
		else if (tree[at] === 0) {
			tree[at] = tree.length / 2;
			tree.push(0, 0);
		}
		node = tree[at] ?? 0;
	}
	next++;
}

function lengthOf(symbol: number): number {
	return lengths[symbol] ?? 0;
}

/** Octets that `text` takes encoded. */
export function huffmanOctets(text: Uint8Array): number {
	let bits = 0;
	for (const octet of text) bits += lengthOf(octet);
	return Math.ceil(bits / 8);
}

/** Encoded, with ones behind the last code. */
export function huffman(text: Uint8Array): Uint8Array {
	const coded = new Uint8Array(huffmanOctets(text));
	let at = 0;
	let bits = 0;
	let octet = 0;
	for (const symbol of text) {
		const code = codes[symbol] ?? 0;
		for (let bit = lengthOf(symbol) - 1; bit >= 0; bit--) {
			octet = (octet << 1) | ((code >>> bit) & 1);
			if (++bits < 8) continue;
			coded[at++] = octet;
			bits = octet = 0;
		}
	}
	if (bits > 0) coded[at] = ((octet + 1) << (8 - bits)) - 1;
	return coded;
}

/** Decoded; undefined for what ends with anything but up to seven ones. */
export function unhuffman(bytes: Uint8Array): Uint8Array | undefined {
	const text: number[] = [];
	let node = 0;
	// Bits since the last code ended, and whether all of them are ones.
	let length = 0;
	let ones = true;
	for (const octet of bytes) {
		for (let bit = 7; bit >= 0; bit--) {
			const one = (octet >>> bit) & 1;
			const found = tree[2 * node + one] ?? 0;
			length++;
			ones &&= one === 1;
			if (found < 0) {
				text.push(~found);
				node = length = 0;
				ones = true;
			} else if (found === 0) return undefined;
			else node = found;
		}
	}
	return length < 8 && ones ? Uint8Array.from(text) : undefined;
}
