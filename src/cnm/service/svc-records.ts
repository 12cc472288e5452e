import { formatIp4, type Ip4 } from "../../addr/index.ts";
import type { NetworkNames } from "../dns/names.ts";

/** What one owner says of one name. */
interface SvcRecord {
	readonly owner: string;
	readonly name: string;
	readonly address: Ip4;
}

/** Most names have one address, most addresses two names: a list for so few, a map by what tells them apart for more. */
type Records = readonly SvcRecord[] | Map<string, SvcRecord>;
const FEW = 4;

const byAddress = ({ owner, address }: SvcRecord): string => `${owner} ${formatIp4(address)}`;
const byName = ({ owner, name }: SvcRecord): string => `${owner} ${name}`;

/**
 * The names of one network that the whole cluster shares (libnetwork's `svcInfo`). An entry counts once per address and
 * owner, a service or a standalone endpoint: who adds it twice takes it away once.
 */
export class SvcRecords implements NetworkNames {
	/** By lower-case name. */
	readonly #addresses = new Map<string, Records>();
	/** By address; the first counts. */
	readonly #names = new Map<Ip4, Records>();

	/** A name is an address's. With `reverse` the address is that name's, too (`addSvcRecords`). */
	add(name: string, owner: string, address: Ip4, { reverse }: { readonly reverse: boolean }): void {
		const record = { owner, name, address };
		if (reverse) put(this.#names, address, record, byName);
		put(this.#addresses, name.toLowerCase(), record, byAddress);
	}

	/** It is no longer; nothing for one that is not there (`deleteSvcRecords`). */
	delete(name: string, owner: string, address: Ip4, { reverse }: { readonly reverse: boolean }): void {
		const record = { owner, name, address };
		if (reverse) remove(this.#names, address, record, byName);
		remove(this.#addresses, name.toLowerCase(), record, byAddress);
	}

	addresses(name: string): readonly Ip4[] | undefined {
		const found = this.#addresses.get(name.toLowerCase());
		return found && [...new Set(Array.from(found.values(), ({ address }) => address))];
	}

	nameOf(address: Ip4): string | undefined {
		return this.#names.get(address)?.values().next().value?.name;
	}

	/** All names go: the network does, or the node leaves the cluster. */
	clear(): void {
		this.#addresses.clear();
		this.#names.clear();
	}
}

function put<K>(map: Map<K, Records>, key: K, record: SvcRecord, of: (record: SvcRecord) => string): void {
	const found = map.get(key) ?? [];
	if (found instanceof Map) found.set(of(record), record);
	else if (found.some((each) => of(each) === of(record))) return;
	// As long as it must be: a list that is spread takes room for seventeen.
	else if (found.length < FEW) map.set(key, found.concat(record));
	else map.set(key, new Map([...found, record].map((each) => [of(each), each])));
}

function remove<K>(map: Map<K, Records>, key: K, record: SvcRecord, of: (record: SvcRecord) => string): void {
	const found = map.get(key);
	if (found === undefined) return;
	if (found instanceof Map) {
		found.delete(of(record));
		if (found.size === 0) map.delete(key);
		return;
	}
	const left = found.filter((each) => of(each) !== of(record));
	if (left.length > 0) map.set(key, left);
	else map.delete(key);
}

/** A network that has no names: ingress. */
export const NO_NAMES: NetworkNames = { addresses: () => undefined, nameOf: () => undefined };
