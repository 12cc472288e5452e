/** No octets. */
export const NO_OCTETS: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/** Octets one behind the other. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
	let octets = 0;
	for (const part of parts) octets += part.length;
	const whole = new Uint8Array(octets);
	let at = 0;
	for (const part of parts) {
		whole.set(part, at);
		at += part.length;
	}
	return whole;
}

/** What is left of a stream, and octets that came behind it; only what is left is copied. */
export const behind = (left: Uint8Array, octets: Uint8Array): Uint8Array =>
	left.length === 0 ? octets : joined([left, octets]);

/** What waits for more, as octets of its own: what it was cut from is not kept for it. */
export const leftOf = (octets: Uint8Array, from: number): Uint8Array =>
	from === octets.length ? NO_OCTETS : from === 0 ? octets : octets.slice(from);
