/** Well-spread 32 bits of three 32-bit values under a 64-bit key, unsigned. Not for secrets: for tables and flow hashes. */
export function keyedHash(key0: number, key1: number, a: number, b: number, c: number): number {
	let h = mix(key0 ^ Math.imul(a, 0xcc9e_2d51), b);
	h = mix(h ^ key1, c);
	h = mix(h, a ^ key0);
	h ^= h >>> 16;
	h = Math.imul(h, 0x7feb_352d);
	h ^= h >>> 15;
	h = Math.imul(h, 0x846c_a68b);
	return (h ^ (h >>> 16)) >>> 0;
}

function mix(h: number, value: number): number {
	let k = Math.imul(value, 0x1b87_3593);
	k = (k << 15) | (k >>> 17);
	const x = h ^ Math.imul(k, 0x9e37_79b1);
	return Math.imul((x << 13) | (x >>> 19), 5) + 0x3c6e_f372;
}

/** 32 bits of a text, unsigned (FNV-1a over its UTF-16 units, mixed under `seed`). */
export function hashText(text: string, seed: number): number {
	let h = 0x811c_9dc5 ^ seed;
	for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x0100_0193);
	return keyedHash(seed, text.length, h, h >>> 7, 0x5bd1_e995);
}
