import type { Mac } from "../addr/index.ts";

/** Addresses beside a device's own, each with the number of those who want it (`netdev_hw_addr_list`). */
export class UnicastList {
	readonly #users = new Map<Mac, number>();

	/** One more wants the address. */
	add(mac: Mac): void {
		this.#users.set(mac, (this.#users.get(mac) ?? 0) + 1);
	}

	/** One fewer wants it; nothing happens when nobody did. */
	del(mac: Mac): void {
		const users = this.#users.get(mac) ?? 0;
		if (users > 1) this.#users.set(mac, users - 1);
		else this.#users.delete(mac);
	}

	/** Whether anybody wants the address. */
	has(mac: Mac): boolean {
		return this.#users.has(mac);
	}

	/** Every address that somebody wants, in the order in which they came. */
	get macs(): readonly Mac[] {
		return [...this.#users.keys()];
	}

	/** Addresses in the list. */
	get size(): number {
		return this.#users.size;
	}
}
