import type { NetworkPeer, NetworkTables, TableChange, TableEntry } from "../../src/cnm/network-tables.ts";
import { NetError } from "../../src/errors.ts";

interface Entry extends TableEntry {
	readonly table: string;
	readonly network: string;
}

/** The tables of a cluster's networks without a gossip: what one node writes all others know at once. */
export class SharedTables {
	readonly #nodes: NodeTables[] = [];

	/** A node's own view of them. */
	node(name: string, ip: string): NetworkTables {
		const node = new NodeTables(name, ip, this.#nodes);
		this.#nodes.push(node);
		return node;
	}

	/** The tables as a node that is here already has them. */
	of(name: string): NetworkTables {
		return this.#find(name);
	}

	#find(name: string): NodeTables {
		const node = this.#nodes.find(({ nodeName }) => nodeName === name);
		if (node === undefined) throw new Error(`no node ${name}`);
		return node;
	}

	/** What a node knows. */
	entries(name: string, table: string, network: string): readonly TableEntry[] {
		return this.#find(name).entries(table, network);
	}

	/** What a node would hear from now on waits until it is let in, or dropped: the node never heard of it. */
	hold(name: string): { release(): void; drop(): void } {
		return this.#find(name).hold();
	}

	/** A node forgets what another one owned. */
	forget(name: string, owner: string): void {
		this.#find(name).forget(owner);
	}

	/** A node is not heard of any more: the others forget its entries. */
	fail(name: string): void {
		for (const node of this.#nodes.filter(({ nodeName }) => nodeName !== name)) node.forget(name);
	}
}

const keyOf = ({ table, network, key }: Omit<Entry, "owner" | "value">): string =>
	`${table} ${network} ${key}`;

class NodeTables implements NetworkTables {
	readonly nodeName: string;
	readonly #ip: string;
	readonly #all: readonly NodeTables[];
	readonly #networks = new Set<string>();
	readonly #entries = new Map<string, Entry>();
	#held: (() => void)[] | undefined;
	readonly #watchers: (readonly [table: string, listener: (change: TableChange) => void])[] = [];

	constructor(nodeName: string, ip: string, all: readonly NodeTables[]) {
		this.nodeName = nodeName;
		this.#ip = ip;
		this.#all = all;
	}

	hold(): { release(): void; drop(): void } {
		const held: (() => void)[] = [];
		this.#held = held;
		return {
			release: () => {
				this.#held = undefined;
				for (const heard of held) heard();
			},
			drop: () => {
				this.#held = undefined;
			},
		};
	}

	get #others(): readonly NodeTables[] {
		return this.#all.filter((node) => node !== this);
	}

	joinNetwork(network: string): void {
		if (this.#networks.has(network)) return;
		this.#networks.add(network);
		for (const other of this.#others) {
			if (!other.#networks.has(network)) continue;
			const own = [...other.#entries.values()].filter(({ owner }) => owner === other.nodeName);
			for (const entry of own) if (entry.network === network) this.#learn(entry);
		}
	}

	leaveNetwork(network: string): void {
		if (!this.#networks.delete(network)) return;
		for (const other of this.#others) other.forget(this.nodeName, network);
		for (const [key, entry] of this.#entries) if (entry.network === network) this.#entries.delete(key);
	}

	create(table: string, network: string, key: string, value: Uint8Array): void {
		this.#check(network);
		const entry: Entry = { table, network, key, value, owner: this.nodeName };
		if (this.#entries.has(keyOf(entry)))
			throw new NetError(
				"EEXIST",
				`cannot create entry in table ${table} with network id ${network} and key ${key}, already exists`,
			);
		this.#tell(entry);
	}

	update(table: string, network: string, key: string, value: Uint8Array): void {
		this.#tell({ ...this.#find(table, network, key), value });
	}

	delete(table: string, network: string, key: string): void {
		const entry = this.#find(table, network, key);
		this.#entries.delete(keyOf(entry));
		for (const other of this.#others) other.#unlearn(entry);
	}

	#check(network: string): void {
		if (!this.#networks.has(network)) throw new NetError("ENOENT", `network ${network} was not joined`);
	}

	#find(table: string, network: string, key: string): Entry {
		this.#check(network);
		const entry = this.#entries.get(keyOf({ table, network, key }));
		if (entry !== undefined) return entry;
		throw new NetError("ENOENT", `no entry ${key} in table ${table} of network ${network}`);
	}

	#tell(entry: Entry): void {
		this.#entries.set(keyOf(entry), entry);
		for (const other of this.#others) other.#learn(entry);
	}

	#learn(entry: Entry): void {
		if (this.#held !== undefined) {
			this.#held.push(() => {
				this.#learn(entry);
			});
			return;
		}
		if (!this.#networks.has(entry.network)) return;
		const known = this.#entries.get(keyOf(entry));
		this.#entries.set(keyOf(entry), entry);
		const { table, network, key, value, owner } = entry;
		const change: TableChange =
			known === undefined
				? { table, network, key, kind: "create", value, owner }
				: { table, network, key, kind: "update", value, previous: known.value, owner };
		this.#notify(change);
	}

	#unlearn(entry: Entry): void {
		if (this.#held !== undefined) {
			this.#held.push(() => {
				this.#unlearn(entry);
			});
			return;
		}
		if (!this.#entries.delete(keyOf(entry))) return;
		const { table, network, key, value, owner } = entry;
		this.#notify({ table, network, key, kind: "delete", value, owner });
	}

	#notify(change: TableChange): void {
		for (const [table, listener] of [...this.#watchers]) if (table === change.table) listener(change);
	}

	/** Entries of another node go: of one network, or of all. */
	forget(node: string, network?: string): void {
		for (const entry of [...this.#entries.values()]) {
			if (entry.owner === node && (network === undefined || network === entry.network)) this.#unlearn(entry);
		}
	}

	entries(table: string, network: string): readonly TableEntry[] {
		return [...this.#entries.values()].filter((entry) => entry.table === table && entry.network === network);
	}

	peers(network: string): readonly NetworkPeer[] {
		return this.#all
			.filter((node) => node.#networks.has(network))
			.map((node) => ({ name: node.nodeName, ip: node.#ip }));
	}

	watch(table: string, listener: (change: TableChange) => void): () => void {
		const watcher = [table, listener] as const;
		this.#watchers.push(watcher);
		return () => {
			this.#watchers.splice(this.#watchers.indexOf(watcher), 1);
		};
	}
}
