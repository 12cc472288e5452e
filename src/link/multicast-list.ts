import { type Mac } from "../addr/index.ts";

/** The group every IPv6 node is in (`ff02::1`): Linux joins it with each Ethernet device it makes. */
export const ALL_NODES_MAC: Mac = 0x3333_0000_0001 as Mac;

/**
 * The group addresses a device listens to (`ip maddress show`, `dev->mc`), in the order they were joined. Joined
 * twice, an address has to be left twice. Reference: net/core/dev_addr_lists.c.
 */
export class MulticastList {
	readonly #counts = new Map<Mac, number>();
	#lower: MulticastList | null = null;
	/** Above zero while somebody wants all groups (`IFF_ALLMULTI`). */
	#all = 0;

	/** One more listener to a group address (`dev_mc_add`). */
	add(mac: Mac): void {
		const count = this.#counts.get(mac) ?? 0;
		this.#counts.set(mac, count + 1);
		if (count === 0) this.#lower?.add(mac);
	}

	/** One listener less (`dev_mc_del`); an address nobody added stays away. */
	delete(mac: Mac): void {
		const count = this.#counts.get(mac) ?? 0;
		if (count > 1) {
			this.#counts.set(mac, count - 1);
		} else if (count === 1) {
			this.#counts.delete(mac);
			this.#lower?.delete(mac);
		}
	}

	/** Whether a frame for the group address is wanted. */
	accepts(mac: Mac): boolean {
		return this.#all > 0 || this.#counts.has(mac);
	}

	/** The addresses, first joined first. */
	addresses(): Mac[] {
		return [...this.#counts.keys()];
	}

	/** All groups are wanted (`ip link set … allmulticast on`); returns what takes it back. */
	acceptAll(): () => void {
		this.#all++;
		let on = true;
		return () => {
			if (on) this.#all--;
			on = false;
		};
	}

	/** What is joined here is joined at a lower device too, until `leaveLower` (`dev_mc_sync`). */
	joinLower(lower: MulticastList): void {
		this.leaveLower();
		this.#lower = lower;
		for (const mac of this.#counts.keys()) lower.add(mac);
	}

	/** Ends what `joinLower` began (`dev_mc_unsync`). */
	leaveLower(): void {
		const lower = this.#lower;
		if (lower === null) return;
		for (const mac of this.#counts.keys()) lower.delete(mac);
		this.#lower = null;
	}
}
