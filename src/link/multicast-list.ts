import { type Ip4, type Mac, multicastMacOf } from "../addr/index.ts";
import { igmp } from "../wire/index.ts";

/** The group every IPv6 node is in (`ff02::1`): Linux joins it with each Ethernet device it makes. */
export const ALL_NODES_MAC: Mac = 0x3333_0000_0001 as Mac;

/** That of all IPv4 hosts (224.0.0.1), in which each device is that is up. */
const ALL_HOSTS_MAC = multicastMacOf(igmp.ALL_HOSTS);

/** Where snoopers of multicast listen, as bridges do (RFC 4286): 224.0.0.106, and the MAC of ff02::6a. */
export const ALL_SNOOPERS: Ip4 = (0xe000_006a | 0) as Ip4;
export const ALL_SNOOPERS_6_MAC: Mac = 0x3333_0000_006a as Mac;

/** An address, and how many listen to it. */
interface Group {
	readonly mac: Mac;
	readonly users: number;
}

const NONE: readonly Group[] = [];
/** What devices usually join, one after the other, and what bridges do: all that are so far share the list that says so. */
const USUAL = new Map<readonly Group[], readonly (readonly Group[])[]>();
function usually(mac: Mac, after: readonly Group[]): readonly Group[] {
	const list = [...after, { mac, users: 1 }];
	USUAL.set(after, [...(USUAL.get(after) ?? []), list]);
	return list;
}
const FIRST = usually(ALL_NODES_MAC, NONE);
usually(ALL_HOSTS_MAC, FIRST);
usually(
	ALL_HOSTS_MAC,
	[multicastMacOf(ALL_SNOOPERS), ALL_SNOOPERS_6_MAC].reduce((list, mac) => usually(mac, list), FIRST),
);

/**
 * The group addresses a device listens to (`ip maddress show`, `dev->mc`), in the order they were joined. Joined
 * twice, an address has to be left twice. Reference: net/core/dev_addr_lists.c.
 */
export class MulticastList {
	/** A change makes another list. */
	#groups: readonly Group[] = NONE;
	#lower: MulticastList | null = null;
	/** Above zero while somebody wants all groups (`IFF_ALLMULTI`). */
	#all = 0;

	/** One more listener to a group address (`dev_mc_add`). */
	add(mac: Mac): void {
		const known = this.#groups.find((each) => each.mac === mac);
		if (known !== undefined) return this.#replace(known, [{ mac, users: known.users + 1 }]);
		const usual = USUAL.get(this.#groups)?.find((list) => list.at(-1)?.mac === mac);
		this.#groups = usual ?? [...this.#groups, { mac, users: 1 }];
		this.#lower?.add(mac);
	}

	/** One listener less (`dev_mc_del`); an address nobody added stays away. */
	delete(mac: Mac): void {
		const known = this.#groups.find((each) => each.mac === mac);
		if (known === undefined) return;
		if (known.users > 1) return this.#replace(known, [{ mac, users: known.users - 1 }]);
		this.#replace(known, NONE);
		this.#lower?.delete(mac);
	}

	#replace(group: Group, by: readonly Group[]): void {
		this.#groups = this.#groups.flatMap((each) => (each === group ? by : each));
	}

	/** Whether a frame for the group address is wanted. */
	accepts(mac: Mac): boolean {
		return this.#all > 0 || this.#groups.some((each) => each.mac === mac);
	}

	/** The addresses, first joined first. */
	addresses(): Mac[] {
		return this.#groups.map(({ mac }) => mac);
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
		for (const { mac } of this.#groups) lower.add(mac);
	}

	/** Ends what `joinLower` began (`dev_mc_unsync`). */
	leaveLower(): void {
		const lower = this.#lower;
		if (lower === null) return;
		for (const { mac } of this.#groups) lower.delete(mac);
		this.#lower = null;
	}
}
