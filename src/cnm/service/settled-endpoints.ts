import type { SettledTable } from "../network-tables.ts";
import { readRecord } from "./binding.ts";
import { type Balancing, ServiceBindings } from "./service-bindings.ts";
import { SvcRecords } from "./svc-records.ts";

const NOWHERE: Balancing = {
	addBackend: () => undefined,
	addCommonBackends: () => undefined,
	disableBackend: () => undefined,
	removeBackend: () => undefined,
};

/** A settled `endpoint_table`, read once for all nodes that have it in common. Nobody changes it. */
export class SettledEndpoints {
	readonly bindings: ServiceBindings = new ServiceBindings(NOWHERE);
	readonly names: SvcRecords = new SvcRecords();

	private constructor({ network, entries }: SettledTable) {
		for (const { key, value } of entries.values()) {
			const told = readRecord(key, value);
			// One that winds down is told to nobody who did not know it before.
			if (told !== undefined && !told.disabled) this.bindings.add(network, this.names, told.endpoint);
		}
	}

	/** That of a table. */
	static readonly of = (table: SettledTable): SettledEndpoints => new SettledEndpoints(table);
}
