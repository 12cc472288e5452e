/**
 * A map over one that many have in common and nobody changes: what is different here is kept here. Keys come in the order
 * of the common map, each with the value that it has here, then those that are here alone.
 */
export class LayeredMap<K, V> {
	#common: ReadonlyMap<K, V> | undefined;
	readonly #own = new Map<K, V>();
	/** Keys of the common map that are not here. */
	#without: Set<K> | undefined;
	/** How many keys are here alone. */
	#alone = 0;

	/** The map below; undefined for none. */
	get common(): ReadonlyMap<K, V> | undefined {
		return this.#common;
	}

	/** What was put here, whether or not the common map has a value for it. */
	get own(): ReadonlyMap<K, V> {
		return this.#own;
	}

	/** Keys of the common map whose values are not those of here: others were put, or they are not here. */
	get apart(): ReadonlySet<K> {
		const put = [...this.#own.keys()].filter((key) => this.#common?.has(key) === true);
		return new Set([...put, ...(this.#without ?? [])]);
	}

	get size(): number {
		return (this.#common?.size ?? 0) - (this.#without?.size ?? 0) + this.#alone;
	}

	get(key: K): V | undefined {
		const own = this.#own.get(key);
		if (own !== undefined || this.#common === undefined) return own;
		return this.#without?.has(key) === true ? undefined : this.#common.get(key);
	}

	has(key: K): boolean {
		return this.get(key) !== undefined;
	}

	set(key: K, value: V): void {
		if (!this.#own.has(key) && this.#common?.has(key) !== true) this.#alone++;
		this.#without?.delete(key);
		this.#own.set(key, value);
	}

	delete(key: K): void {
		const own = this.#own.delete(key);
		if (this.#common?.has(key) === true) (this.#without ??= new Set()).add(key);
		else if (own) this.#alone--;
	}

	/**
	 * Lays another common map below. All its keys are here from now on; what was put here and is the same there is kept once.
	 * The map must not change any more.
	 */
	lay(common: ReadonlyMap<K, V>): void {
		this.#common = common;
		this.#without = undefined;
		for (const [key, value] of this.#own) if (common.get(key) === value) this.#own.delete(key);
		this.#alone = 0;
		for (const key of this.#own.keys()) if (!common.has(key)) this.#alone++;
	}

	*[Symbol.iterator](): Generator<[K, V]> {
		const common = this.#common;
		if (common !== undefined) {
			for (const [key, value] of common)
				if (this.#without?.has(key) !== true) yield [key, this.#own.get(key) ?? value];
		}
		for (const entry of this.#own) if (common?.has(entry[0]) !== true) yield entry;
	}

	*values(): Generator<V> {
		for (const [, value] of this) yield value;
	}
}
