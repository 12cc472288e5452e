import type { Ip4 } from "../../addr/index.ts";
import type { NetworkNames } from "../dns/names.ts";
import { type NameRecord, NameRecords } from "./name-records.ts";

/**
 * The names of one network that the whole cluster shares (libnetwork's `svcInfo`). An entry counts once per address and
 * owner: who adds it twice takes it away once. What many nodes know alike is kept once for all of them, and each keeps what
 * it knows otherwise.
 */
export class SvcRecords implements NetworkNames {
	readonly #own = new NameRecords();
	#common: NameRecords | undefined;
	/** What is in `#common` and over here. */
	#over: NameRecords | undefined;

	/** What many nodes know alike is there from now on, in place of what was known so before. Nobody changes it any more. */
	lay(common: SvcRecords): void {
		this.#common = common.#own;
		this.#over = undefined;
	}

	/** A name is an address's. With `reverse` the address is that name's, too (`addSvcRecords`). */
	add(name: string, owner: string, address: Ip4, { reverse }: { readonly reverse: boolean }): void {
		this.#own.add({ owner, name, address }, reverse);
	}

	/** It is no longer; nothing for one that is not there (`deleteSvcRecords`). */
	delete(name: string, owner: string, address: Ip4, { reverse }: { readonly reverse: boolean }): void {
		const record = { owner, name, address };
		this.#own.delete(record, reverse);
		if (this.#common?.hasName(record) === true) (this.#over ??= new NameRecords()).add(record, reverse);
	}

	addresses(name: string): readonly Ip4[] | undefined {
		const found = new Set<Ip4>();
		for (const record of this.#common?.named(name) ?? [])
			if (this.#over?.hasName(record) !== true) found.add(record.address);
		for (const { address } of this.#own.named(name)) found.add(address);
		return found.size === 0 ? undefined : [...found];
	}

	nameOf(address: Ip4): string | undefined {
		const there = (record: NameRecord): boolean => this.#over?.hasAddress(record) !== true;
		return [...this.#own.at(address), ...[...(this.#common?.at(address) ?? [])].filter(there)][0]?.name;
	}

	/** All names go: the network does, or the node leaves the cluster. */
	clear(): void {
		this.#own.clear();
		this.#common = undefined;
		this.#over = undefined;
	}
}

/** A network that has no names: ingress. */
export const NO_NAMES: NetworkNames = { addresses: () => undefined, nameOf: () => undefined };
