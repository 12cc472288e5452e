import { type Mac } from "../addr/index.ts";

/** The group every IPv6 node is in (`ff02::1`): Linux joins it with each Ethernet device it makes. */
export const ALL_NODES_MAC: Mac = 0x3333_0000_0001 as Mac;

/**
 * The group addresses a device listens to (`ip maddress show`, `dev->mc`), in the order they were joined. Joined
 * twice, an address has to be left twice. Reference: net/core/dev_addr_lists.c.
 */
export class MulticastList {
	// Two short arrays: most devices are in two groups. Copied to grow, for what grows in place takes room for seventeen.
	#macs: readonly Mac[] = [];
	#counts: number[] = [];
	#lower: MulticastList | null = null;
	/** Above zero while somebody wants all groups (`IFF_ALLMULTI`). */
	#all = 0;

	/** One more listener to a group address (`dev_mc_add`). */
	add(mac: Mac): void {
		const at = this.#macs.indexOf(mac);
		if (at >= 0) {
			this.#counts[at]!++;
			return;
		}
		this.#macs = this.#macs.concat(mac);
		this.#counts = this.#counts.concat(1);
		this.#lower?.add(mac);
	}

	/** One listener less (`dev_mc_del`); an address nobody added stays away. */
	delete(mac: Mac): void {
		const at = this.#macs.indexOf(mac);
		if (at < 0 || --this.#counts[at]! > 0) return;
		this.#macs = this.#macs.toSpliced(at, 1);
		this.#counts = this.#counts.toSpliced(at, 1);
		this.#lower?.delete(mac);
	}

	/** Whether a frame for the group address is wanted. */
	accepts(mac: Mac): boolean {
		return this.#all > 0 || this.#macs.includes(mac);
	}

	/** The addresses, first joined first. */
	addresses(): Mac[] {
		return [...this.#macs];
	}

	/** How many want all groups (`allmulti` in `ip -d link`). */
	get allMulti(): number {
		return this.#all;
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
		for (const mac of this.#macs) lower.add(mac);
	}

	/** Ends what `joinLower` began (`dev_mc_unsync`). */
	leaveLower(): void {
		const lower = this.#lower;
		if (lower === null) return;
		for (const mac of this.#macs) lower.delete(mac);
		this.#lower = null;
	}
}
