const FIRST_CAPACITY = 65_536;

/** Bytes that grow: what a capture file is written into. Little-endian, as the files we write are. */
export class ByteSink {
	#bytes = new Uint8Array(FIRST_CAPACITY);
	#view = new DataView(this.#bytes.buffer);
	/** Octets written. */
	length = 0;

	/** Makes room for `octets` more and returns where they start. */
	reserve(octets: number): number {
		const at = this.length;
		const needed = at + octets;
		if (needed > this.#bytes.length) {
			const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
			grown.set(this.#bytes.subarray(0, at));
			this.#bytes = grown;
			this.#view = new DataView(grown.buffer);
		}
		this.length = needed;
		return at;
	}

	/** The view to write into reserved octets; valid until the next `reserve`. */
	get view(): DataView {
		return this.#view;
	}

	u16(value: number): void {
		const at = this.reserve(2);
		this.#view.setUint16(at, value, true);
	}

	u32(value: number): void {
		const at = this.reserve(4);
		this.#view.setUint32(at, value, true);
	}

	bytes(data: Uint8Array): void {
		const at = this.reserve(data.length);
		this.#bytes.set(data, at);
	}

	/** Zeros up to a multiple of four octets, as pcapng pads. */
	pad(): void {
		const octets = -this.length & 3;
		const at = this.reserve(octets);
		this.#bytes.fill(0, at, at + octets);
	}

	/** Everything written, as a copy. */
	toBytes(): Uint8Array {
		return this.#bytes.slice(0, this.length);
	}

	/** Everything written so far, which is forgotten here: for sinks that take a file in parts. */
	drain(): Uint8Array {
		const part = this.toBytes();
		this.length = 0;
		return part;
	}
}
