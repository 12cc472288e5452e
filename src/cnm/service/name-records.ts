import { formatIp4, type Ip4 } from "../../addr/index.ts";

/** What one owner, a service or a standalone endpoint, says of one name. */
export interface NameRecord {
	readonly owner: string;
	readonly name: string;
	readonly address: Ip4;
}

/** Most names have one address, most addresses two names: a list for so few, a map by what tells them apart for more. */
type Records = readonly NameRecord[] | Map<string, NameRecord>;
const FEW = 4;
const NONE: Records = [];

const byAddress = ({ owner, address }: NameRecord): string => `${owner} ${formatIp4(address)}`;
const byName = ({ owner, name }: NameRecord): string => `${owner} ${name}`;

/** Names with their addresses, and addresses with their names. A record counts once, however often it is added. */
export class NameRecords {
	/** By lower-case name. */
	readonly #addresses = new Map<string, Records>();
	readonly #names = new Map<Ip4, Records>();

	/** A name is an address's. With `reverse` the address is that name's, too. */
	add(record: NameRecord, reverse: boolean): void {
		if (reverse) put(this.#names, record.address, record, byName);
		put(this.#addresses, record.name.toLowerCase(), record, byAddress);
	}

	/** It is no longer; nothing for one that is not there. */
	delete(record: NameRecord, reverse: boolean): void {
		if (reverse) remove(this.#names, record.address, record, byName);
		remove(this.#addresses, record.name.toLowerCase(), record, byAddress);
	}

	/** Records of a name, whatever its case. */
	named(name: string): Iterable<NameRecord> {
		return (this.#addresses.get(name.toLowerCase()) ?? NONE).values();
	}

	/** Whether a name is an address's by this owner. */
	hasName(record: NameRecord): boolean {
		const found = this.#addresses.get(record.name.toLowerCase());
		return found !== undefined && has(found, record, byAddress);
	}

	/** Records of an address, the first first. */
	at(address: Ip4): Iterable<NameRecord> {
		return (this.#names.get(address) ?? NONE).values();
	}

	/** Whether an address is a name's by this owner. */
	hasAddress(record: NameRecord): boolean {
		const found = this.#names.get(record.address);
		return found !== undefined && has(found, record, byName);
	}

	clear(): void {
		this.#addresses.clear();
		this.#names.clear();
	}
}

function has(records: Records, record: NameRecord, of: (record: NameRecord) => string): boolean {
	if (records instanceof Map) return records.has(of(record));
	return records.some((each) => of(each) === of(record));
}

function put<K>(map: Map<K, Records>, key: K, record: NameRecord, of: (record: NameRecord) => string): void {
	const found = map.get(key) ?? [];
	if (found instanceof Map) found.set(of(record), record);
	else if (has(found, record, of)) return;
	// As long as it must be: a list that is spread takes room for seventeen.
	else if (found.length < FEW) map.set(key, found.concat(record));
	else map.set(key, new Map([...found, record].map((each) => [of(each), each])));
}

function remove<K>(
	map: Map<K, Records>,
	key: K,
	record: NameRecord,
	of: (record: NameRecord) => string,
): void {
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
