import type { Mac } from "../addr/index.ts";
import type { Device } from "./device.ts";

/**
 * What a device on top of another asks it to take in: addresses, or everything. One per upper device; it undoes
 * exactly what it did (`dev_uc_sync`, `dev_set_promiscuity`).
 */
export class LowerFilter {
	readonly #lower: Device;
	#macs: ReadonlySet<Mac> = new Set<Mac>();
	#release: (() => void) | null = null;

	constructor(lower: Device) {
		this.#lower = lower;
	}

	/** Asks for these addresses from now on, and for everything when `promiscuous`. */
	ask(macs: Iterable<Mac>, promiscuous: boolean): void {
		const wanted = new Set(macs);
		const old = this.#macs;
		this.#macs = wanted;
		for (const mac of wanted) if (!old.has(mac)) this.#lower.addUnicast(mac);
		for (const mac of old) if (!wanted.has(mac)) this.#lower.delUnicast(mac);
		if (promiscuous) this.#release ??= this.#lower.promisc();
		else {
			const release = this.#release;
			this.#release = null;
			release?.();
		}
	}

	/** Asks for nothing any more. */
	clear(): void {
		this.ask([], false);
	}
}
