import { blob, struct } from "buffer-layout";
import { assert } from "../assert.ts";

/** A fixed header: its length and where each field starts. */
export interface Header<Field extends string> {
	readonly octets: number;
	readonly at: Readonly<Record<Field, number>>;
}

/**
 * Declares a header once: fields in wire order with their octets. Accessors take their offsets from here, at
 * load; nothing of this runs per packet. Fields smaller than an octet share the octets they lie in.
 */
export function header<const Fields extends Readonly<Record<string, number>>>(
	fields: Fields,
): Header<Extract<keyof Fields, string>> {
	const layout = struct(Object.entries(fields).map(([name, octets]) => blob(octets, name)));
	const offset = (name: string): number => {
		const at = layout.offsetOf(name);
		assert(at !== undefined, "a declared field has an offset");
		return at;
	};
	const at = Object.fromEntries(Object.keys(fields).map((name) => [name, offset(name)]));
	return { octets: layout.span, at: at as Record<Extract<keyof Fields, string>, number> };
}

/** Throws RangeError for a field that cannot be put on a wire: not a whole number of `bits` bits. */
export function checkField(field: string, value: number, bits: number): void {
	if (Number.isInteger(value) && value >= 0 && value < 2 ** bits) return;
	throw new RangeError(
		`${field} is ${String(value)}, expected a whole number from 0 to ${String(2 ** bits - 1)}`,
	);
}
