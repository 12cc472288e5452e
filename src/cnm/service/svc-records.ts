import { formatIp4, type Ip4 } from "../../addr/index.ts";
import type { NetworkNames } from "../dns/names.ts";

/**
 * The names of one network that the whole cluster shares (libnetwork's `svcInfo`). An entry counts once per address and
 * owner, a service or a standalone endpoint: who adds it twice takes it away once.
 */
export class SvcRecords implements NetworkNames {
	/** Lower-case name → owner and address → address. */
	readonly #addresses = new Map<string, Map<string, Ip4>>();
	/** Address → owner and name → name; the first counts. */
	readonly #names = new Map<Ip4, Map<string, string>>();

	/** A name is an address's. With `reverse` the address is that name's, too (`addSvcRecords`). */
	add(name: string, owner: string, address: Ip4, { reverse }: { readonly reverse: boolean }): void {
		if (reverse) entry(this.#names, address).set(`${owner} ${name}`, name);
		entry(this.#addresses, name.toLowerCase()).set(`${owner} ${formatIp4(address)}`, address);
	}

	/** It is no longer; nothing for one that is not there (`deleteSvcRecords`). */
	delete(name: string, owner: string, address: Ip4, { reverse }: { readonly reverse: boolean }): void {
		if (reverse) remove(this.#names, address, `${owner} ${name}`);
		remove(this.#addresses, name.toLowerCase(), `${owner} ${formatIp4(address)}`);
	}

	addresses(name: string): readonly Ip4[] | undefined {
		const found = this.#addresses.get(name.toLowerCase());
		return found === undefined ? undefined : [...new Set(found.values())];
	}

	nameOf(address: Ip4): string | undefined {
		return this.#names.get(address)?.values().next().value;
	}

	/** All names go: the network does, or the node leaves the cluster. */
	clear(): void {
		this.#addresses.clear();
		this.#names.clear();
	}
}

function entry<K, V>(map: Map<K, Map<string, V>>, key: K): Map<string, V> {
	const found = map.get(key) ?? new Map<string, V>();
	map.set(key, found);
	return found;
}

function remove<K, V>(map: Map<K, Map<string, V>>, key: K, of: string): void {
	const found = map.get(key);
	found?.delete(of);
	if (found?.size === 0) map.delete(key);
}

/** A network that has no names: ingress. */
export const NO_NAMES: NetworkNames = { addresses: () => undefined, nameOf: () => undefined };
