/** Slots of a table with one entry; a power of two. Most bridges know a handful of addresses. */
const FIRST_SLOTS = 16;
/** What all tables have that never had an entry: one slot, which is empty. */
const NO_KEYS = new Int32Array(2);
const NO_VALUES: undefined[] = [undefined];

/**
 * Values by (MAC, VLAN): open addressing with linear probing over typed arrays, so that a look-up costs a
 * few nanoseconds and no garbage whatever the number of entries.
 *
 * A key is two signed 32-bit integers: `low`, the last four octets of the MAC, and `high`, its first two
 * with the VLAN id above them (`keyHigh`). Both are read from a frame without arithmetic on 48 bits.
 */
export class MacTable<T extends object> {
	/** Both halves of the key of a slot side by side: one line of cache. */
	#keys = NO_KEYS;
	#values: (T | undefined)[] = NO_VALUES;
	#mask = 0;
	#size = 0;

	/** Entries in the table. */
	get size(): number {
		return this.#size;
	}

	/** The value kept under a key. */
	get(low: number, high: number): T | undefined {
		const mask = this.#mask;
		let slot = spread(low, high) & mask;
		for (;;) {
			const value = this.#values[slot];
			if (value === undefined) return undefined;
			if (this.#keys[slot * 2] === low && this.#keys[slot * 2 + 1] === high) return value;
			slot = (slot + 1) & mask;
		}
	}

	/** Keeps a value under a key, in place of any other. */
	set(low: number, high: number, value: T): void {
		if (this.#size * 2 >= this.#mask) this.#grow();
		const mask = this.#mask;
		let slot = spread(low, high) & mask;
		while (this.#values[slot] !== undefined) {
			if (this.#keys[slot * 2] === low && this.#keys[slot * 2 + 1] === high) {
				this.#values[slot] = value;
				return;
			}
			slot = (slot + 1) & mask;
		}
		this.#keys[slot * 2] = low;
		this.#keys[slot * 2 + 1] = high;
		this.#values[slot] = value;
		this.#size++;
	}

	/** Forgets a key; says whether it was there. */
	delete(low: number, high: number): boolean {
		const mask = this.#mask;
		let slot = spread(low, high) & mask;
		for (;;) {
			if (this.#values[slot] === undefined) return false;
			if (this.#keys[slot * 2] === low && this.#keys[slot * 2 + 1] === high) break;
			slot = (slot + 1) & mask;
		}
		this.#size--;
		// Close the gap: entries behind it move up unless that would put them before their own home.
		let gap = slot;
		for (;;) {
			slot = (slot + 1) & mask;
			const value = this.#values[slot];
			if (value === undefined) break;
			const home = spread(this.#keys[slot * 2]!, this.#keys[slot * 2 + 1]!) & mask;
			if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
			this.#keys[gap * 2] = this.#keys[slot * 2]!;
			this.#keys[gap * 2 + 1] = this.#keys[slot * 2 + 1]!;
			this.#values[gap] = value;
			gap = slot;
		}
		this.#values[gap] = undefined;
		return true;
	}

	/** All values, in no order that may reach a wire: sort before use. */
	*values(): Generator<T> {
		for (const value of this.#values) if (value !== undefined) yield value;
	}

	#grow(): void {
		const [keys, values] = [this.#keys, this.#values];
		const slots = Math.max(FIRST_SLOTS, (this.#mask + 1) * 2);
		this.#keys = new Int32Array(slots * 2);
		this.#values = new Array<T | undefined>(slots).fill(undefined);
		this.#mask = slots - 1;
		this.#size = 0;
		for (const [slot, value] of values.entries()) {
			if (value !== undefined) this.set(keys[slot * 2]!, keys[slot * 2 + 1]!, value);
		}
	}
}

/** The upper half of a key: the MAC's first two octets, the VLAN id (0 for none) above them. */
export const keyHigh = (macHigh: number, vlan: number): number => (vlan << 16) | macHigh;

/** Mixes the two halves of a key; tables take its lowest bits. */
export function spread(low: number, high: number): number {
	let mixed = Math.imul(low | 0, 0x9e37_79b1) ^ Math.imul(high | 0, 0x85eb_ca77);
	mixed ^= mixed >>> 15;
	return Math.imul(mixed, 0x2c1b_3c6d) >>> 8;
}
