/** `mark VALUE mask MASK`. */
export interface MarkOptions {
	readonly value: number;
	/** All bits unless said. */
	readonly mask?: number;
}

/** The packet marks something is for; without a mask it is for all (`struct xfrm_mark`). */
export class Mark {
	readonly value: number;
	readonly mask: number;

	constructor(options: MarkOptions | number | undefined) {
		const { value, mask = 0xffff_ffff } =
			typeof options === "number" ? { value: options } : (options ?? { value: 0, mask: 0 });
		this.value = value >>> 0;
		this.mask = mask >>> 0;
	}

	/** Whether a packet of this mark is one of them. */
	matches(mark: number): boolean {
		return (mark & this.mask) >>> 0 === this.value;
	}

	/** The same value and mask. */
	equals(other: Mark): boolean {
		return this.value === other.value && this.mask === other.mask;
	}
}
