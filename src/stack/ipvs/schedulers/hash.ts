import type { Destination, Service } from "../service.ts";
import type { Request, Scheduler } from "./scheduler.ts";

/** Slots of the table as a power of two (`CONFIG_IP_VS_SH_TAB_BITS`, `CONFIG_IP_VS_DH_TAB_BITS`). */
const BITS = 8;
const SLOTS = 1 << BITS;
const GOLDEN_RATIO = 0x61c8_8647;

/** `hash_32` of include/linux/hash.h, to the table's bits. */
const hash32 = (value: number): number => Math.imul(value, GOLDEN_RATIO) >>> (32 - BITS);

/** Source hashing, net/netfilter/ipvs/ip_vs_sh.c: the client's address says which; weights are shares of the table. */
export class SourceHash implements Scheduler {
	readonly name = "sh";
	readonly #service: Service;
	#slots: readonly Destination[] = [];

	constructor(service: Service) {
		this.#service = service;
		this.changed();
	}

	schedule(request: Request): Destination | undefined {
		const port = this.#service.hashPort ? request.sourcePort : 0;
		const slot = this.#slot(request, port, 0);
		const chosen = this.#slots[slot];
		if (chosen?.available === true && chosen.eligible) return chosen;
		if (chosen === undefined || !this.#service.fallback) return undefined;
		// Further slots, until one's server may take it (`ip_vs_sh_get_fallback`).
		for (let offset = 0; offset < SLOTS; offset++) {
			const other = this.#slots[this.#slot(request, port, (offset + slot) % SLOTS)];
			if (other?.eligible === true) return other;
		}
		return undefined;
	}

	#slot({ source }: Request, port: number, offset: number): number {
		return (offset + hash32(port + source)) & (SLOTS - 1);
	}

	changed(): void {
		const { destinations } = this.#service;
		const slots: Destination[] = [];
		let at = 0;
		let filled = 0;
		while (slots.length < SLOTS && destinations.length > 0) {
			const destination = destinations[at % destinations.length]!;
			slots.push(destination);
			if (++filled < destination.weight) continue;
			at++;
			filled = 0;
		}
		this.#slots = slots;
	}

	removed(): void {
		this.changed();
	}
}

/** Destination hashing, net/netfilter/ipvs/ip_vs_dh.c: the virtual address says which; made for caches behind a mark. */
export class DestinationHash implements Scheduler {
	readonly name = "dh";
	readonly #service: Service;
	#slots: readonly Destination[] = [];

	constructor(service: Service) {
		this.#service = service;
		this.changed();
	}

	schedule({ destination }: Request): Destination | undefined {
		const chosen = this.#slots[hash32(destination)];
		return chosen?.available === true && chosen.eligible ? chosen : undefined;
	}

	changed(): void {
		const { destinations } = this.#service;
		this.#slots =
			destinations.length === 0
				? []
				: Array.from({ length: SLOTS }, (_, i) => destinations[i % destinations.length]!);
	}

	removed(): void {
		this.changed();
	}
}
