import {
	type AgentOptions,
	type ClusterAttachment,
	type ClusterKey,
	type ClusterNetwork,
	type ClusterProvider,
	type Host,
	type Lab,
	NetError,
	type Netns,
	type Network,
	type NetworkCreateOptions,
	type NetworkListener,
	type NetworkTables,
	type Sandbox,
	type TableChange,
	type TableEntry,
} from "../../src/index.ts";
import { Timer } from "../../src/sim/index.ts";

/** One node's tables, as the fake gossip keeps them. */
class Tables implements NetworkTables {
	readonly nodeName: string;
	readonly ip: string;
	readonly networks = new Set<string>();
	readonly #gossip: Gossip;
	/** `table network key` → entry. */
	readonly known = new Map<string, { readonly table: string; readonly network: string } & TableEntry>();
	readonly #listeners: { readonly table: string; readonly listener: (change: TableChange) => void }[] = [];

	constructor(gossip: Gossip, nodeName: string, ip: string) {
		this.#gossip = gossip;
		this.nodeName = nodeName;
		this.ip = ip;
	}

	joinNetwork(network: string): void {
		this.networks.add(network);
		for (const other of this.#gossip.on(network)) {
			if (other === this) continue;
			for (const entry of other.own(network)) this.hear(entry.table, network, entry.key, entry);
		}
	}

	leaveNetwork(network: string): void {
		for (const { table, key } of this.own(network)) this.delete(table, network, key);
		this.networks.delete(network);
		for (const [id, entry] of this.known) if (entry.network === network) this.known.delete(id);
	}

	own(network: string) {
		return [...this.known.values()].filter(
			(each) => each.network === network && each.owner === this.nodeName,
		);
	}

	create(table: string, network: string, key: string, value: Uint8Array): void {
		if (!this.networks.has(network)) throw new NetError("ENOENT", `network ${network} is not joined`);
		if (this.known.has(`${table} ${network} ${key}`)) throw new NetError("EEXIST", `${key} is there`);
		this.#tell(table, network, key, { key, value, owner: this.nodeName });
	}

	update(table: string, network: string, key: string, value: Uint8Array): void {
		this.#required(table, network, key);
		this.#tell(table, network, key, { key, value, owner: this.nodeName });
	}

	delete(table: string, network: string, key: string): void {
		this.#required(table, network, key);
		this.#tell(table, network, key, undefined);
	}

	#required(table: string, network: string, key: string): void {
		if (!this.known.has(`${table} ${network} ${key}`)) throw new NetError("ENOENT", `${key} is not there`);
	}

	#tell(table: string, network: string, key: string, entry: TableEntry | undefined): void {
		const id = `${table} ${network} ${key}`;
		if (entry === undefined) this.known.delete(id);
		else this.known.set(id, { table, network, ...entry });
		this.#gossip.spread(network, this, (other) => {
			other.hear(table, network, key, entry);
		});
	}

	/** Another node's entry. */
	hear(table: string, network: string, key: string, entry: TableEntry | undefined): void {
		if (!this.networks.has(network)) return;
		const id = `${table} ${network} ${key}`;
		const old = this.known.get(id);
		if (entry === undefined && old === undefined) return;
		if (entry === undefined) this.known.delete(id);
		else this.known.set(id, { table, network, ...entry });
		const now = entry ?? old;
		if (now === undefined) return;
		const { value, owner } = now;
		const kind = entry === undefined ? "delete" : old === undefined ? "create" : "update";
		const previous = kind === "update" && old !== undefined ? { previous: old.value } : {};
		for (const each of [...this.#listeners])
			if (each.table === table) each.listener({ table, network, key, kind, value, owner, ...previous });
	}

	entries(table: string, network: string): readonly TableEntry[] {
		return [...this.known.values()].filter((each) => each.table === table && each.network === network);
	}

	peers(network: string) {
		return this.#gossip.on(network).map(({ nodeName, ip }) => ({ name: nodeName, ip }));
	}

	watch(table: string, listener: (change: TableChange) => void): () => void {
		const entry = { table, listener };
		this.#listeners.push(entry);
		return () => {
			const at = this.#listeners.indexOf(entry);
			if (at >= 0) this.#listeners.splice(at, 1);
		};
	}
}

/** The tables of all nodes; what one writes the others hear `delay` milliseconds later, or at once. */
class Gossip {
	readonly #lab: Lab;
	readonly #delay: number;
	readonly nodes: Tables[] = [];

	constructor(lab: Lab, delay: number) {
		this.#lab = lab;
		this.#delay = delay;
	}

	on(network: string): readonly Tables[] {
		return this.nodes.filter(({ networks }) => networks.has(network));
	}

	spread(network: string, from: Tables, hear: (other: Tables) => void): void {
		const others = this.on(network).filter((each) => each !== from);
		const { scheduler } = this.#lab.world;
		for (const other of others) {
			if (this.#delay === 0) hear(other);
			else {
				scheduler.at(
					scheduler.now + this.#delay * 1e6,
					new Timer(() => {
						hear(other);
					}),
				);
			}
		}
	}
}

/** What a test may say of the cluster. */
export interface ClusterOptions {
	/** Milliseconds until a manager answers, and until nodes hear of each other's entries. */
	readonly delay?: number;
	readonly keys?: readonly ClusterKey[];
	/** Each node has a load balancer on each network it takes part in, as real ones do; true unless said. */
	readonly balancers?: boolean;
	readonly dataPathPort?: number;
}

/** A node of the fake cluster. */
export interface ClusterMember {
	readonly host: Host;
	readonly tables: NetworkTables;
}

/**
 * A cluster for tests: one manager that knows everything at once and gives addresses in the order in which they are
 * asked for, and a gossip that loses nothing.
 */
export class FakeCluster {
	readonly networks: ClusterNetwork[] = [];
	readonly members: ClusterMember[] = [];
	/** Addresses to be given next, by the last octets: `next("uber-net", 6)`. */
	readonly #next = new Map<string, number[]>();
	readonly #taken = new Map<string, Set<string>>();
	/** `container network` → address. */
	readonly #places = new Map<string, { readonly network: string; readonly address: string }>();
	readonly #lab: Lab;
	readonly #gossip: Gossip;
	readonly #options: ClusterOptions;
	#vni = 4096;
	/** Nobody answers. */
	silent = false;

	constructor(lab: Lab, options: ClusterOptions = {}) {
		this.#lab = lab;
		this.#options = options;
		this.#gossip = new Gossip(lab, options.delay ?? 0);
	}

	/** A network as a manager would have allocated it. */
	define(
		name: string,
		about: Partial<ClusterNetwork> & { readonly subnets: readonly string[] },
	): ClusterNetwork {
		const { subnets, ...rest } = about;
		const vnis = subnets.map(() => ++this.#vni);
		const network: ClusterNetwork = {
			id: `${name.replaceAll(/[^a-z0-9]/g, "")}0123456789abcdefghijklmno`.slice(0, 25),
			name,
			driver: "overlay",
			created: "2026-11-23T17:13:21.27753272Z",
			internal: false,
			attachable: true,
			ingress: false,
			labels: {},
			ipam: subnets.map((Subnet) => ({ Subnet, Gateway: Subnet.replace(/0\/\d+$/, "1") })),
			ipamOptions: null,
			...rest,
			options: {
				"com.docker.network.driver.overlay.vxlanid_list": vnis.join(","),
				...rest.options,
			},
		};
		this.networks.push(network);
		this.#taken.set(network.id, new Set(network.ipam.map(({ Gateway }) => Gateway)));
		return network;
	}

	/** The last octets of addresses that are given next on a network's first subnet. */
	next(network: ClusterNetwork, ...octets: number[]): void {
		this.#next.set(network.id, octets);
	}

	/** A host becomes a node; the first is the manager. */
	join(host: Host, ip: string, name = `node${String(this.members.length)}`.padEnd(12, "0")): ClusterMember {
		const tables = new Tables(this.#gossip, name, ip);
		this.#gossip.nodes.push(tables);
		const { controller } = host.docker;
		controller.cluster = this.#provider(this.members.length === 0);
		const { keys, dataPathPort = 4789 } = this.#options;
		const agent: AgentOptions = {
			tables,
			dataPathAddress: ip,
			bindAddress: ip,
			dataPathPort,
			...(keys === undefined ? {} : { keys }),
		};
		controller.startAgent(agent);
		if (this.#options.balancers !== false) controller.listeners.add(this.#balancers(host));
		const member = { host, tables };
		this.members.push(member);
		return member;
	}

	#balancers(host: Host): NetworkListener {
		const sandboxes = new Map<string, Sandbox>();
		const { controller } = host.docker;
		return {
			networkCreated: (network: Network) => {
				const { ingress } = network.about;
				const sandbox = controller.newSandbox({
					id: ingress ? "ingress_sbox" : `lb_${network.id}`,
					containerId: ingress ? "ingress-sbox" : `lb-${network.name}`,
					gateway: ingress,
				});
				sandboxes.set(network.id, sandbox);
				const about = this.networks.find(({ id }) => id === network.id);
				const address = about === undefined ? undefined : this.#address(about, []);
				const endpoint = network.createEndpoint({
					id: controller.newId(),
					name: `${network.name}-endpoint`,
					ip: address === undefined ? undefined : number(address),
					dnsNames: [],
					loadBalancer: true,
				});
				sandbox.join(endpoint);
			},
			networkRemoving: (network: Network) => {
				const sandbox = sandboxes.get(network.id);
				sandboxes.delete(network.id);
				if (sandbox === undefined) return;
				for (const { ip } of sandbox.endpoints) this.#taken.get(network.id)?.delete(ip);
				controller.deleteSandbox(sandbox);
			},
		};
	}

	#later(work: () => void): void {
		if (this.silent) return;
		const { delay = 0 } = this.#options;
		if (delay === 0) return work();
		const { scheduler } = this.#lab.world;
		scheduler.at(scheduler.now + delay * 1e6, new Timer(work));
	}

	#find(term: string): ClusterNetwork | undefined {
		return this.networks.find(({ id, name }) => id === term || name === term);
	}

	#provider(isManager: boolean): ClusterProvider {
		return {
			isManager,
			networks: () => (isManager ? this.networks : []),
			createNetwork: (name, options, done) => {
				this.#later(() => {
					done({ id: this.#create(name, options).id });
				});
			},
			removeNetwork: (id, done) => {
				this.#later(() => {
					const at = this.networks.findIndex((each) => each.id === id);
					if ([...this.#places.values()].some(({ network }) => network === id)) {
						const text = `rpc error: code = FailedPrecondition desc = network ${id} is in use by task t1`;
						return done(new NetError("EPERM", text));
					}
					this.networks.splice(at, 1);
					done();
				});
			},
			attachNetwork: (term, containerId, addresses, done) => {
				this.#later(() => {
					done(this.#attach(term, containerId, addresses));
				});
			},
			detachNetwork: (term, containerId) => {
				const key = `${containerId} ${this.#find(term)?.id ?? term}`;
				const place = this.#places.get(key);
				this.#places.delete(key);
				if (place !== undefined) this.#taken.get(place.network)?.delete(place.address);
			},
		};
	}

	#create(name: string, options: NetworkCreateOptions): ClusterNetwork {
		const given = options.subnet === undefined ? [] : [options.subnet].flat();
		const subnets = given.length > 0 ? given : [`10.0.${String(this.networks.length + 1)}.0/24`];
		const gateways = options.gateway === undefined ? [] : [options.gateway].flat();
		const ipam = subnets.map((Subnet) => {
			const own = gateways.find((each) => each.startsWith(Subnet.replace(/\d+\/\d+$/, "")));
			return { Subnet, Gateway: own ?? Subnet.replace(/0\/\d+$/, "1") };
		});
		return this.define(name, {
			subnets,
			ipam,
			attachable: options.attachable ?? false,
			internal: options.internal ?? false,
			labels: options.labels ?? {},
			...(options.options === undefined ? {} : { options: options.options }),
		});
	}

	#attach(term: string, containerId: string, addresses: readonly string[]): ClusterAttachment | NetError {
		const network = this.#find(term);
		if (network === undefined) {
			return new NetError("ENOENT", `rpc error: code = NotFound desc = network ${term} not found`);
		}
		if (!network.attachable) {
			const text = `rpc error: code = PermissionDenied desc = network ${term} not manually attachable`;
			return new NetError("EPERM", text);
		}
		const address = this.#address(network, addresses);
		if (address === undefined)
			return new NetError("EADDRINUSE", "rpc error: code = Unknown desc = none left");
		this.#places.set(`${containerId} ${network.id}`, { network: network.id, address });
		return { network, addresses: [`${address}/24`], taskId: `task-${containerId.slice(0, 12)}` };
	}

	#address(network: ClusterNetwork, wanted: readonly string[]): string | undefined {
		const taken = this.#taken.get(network.id) ?? new Set();
		const [first = ""] = network.ipam.map(({ Subnet }) => Subnet.replace(/\d+\/\d+$/, ""));
		const octet = wanted.length > 0 ? undefined : this.#next.get(network.id)?.shift();
		const free = Array.from({ length: 253 }, (_, i) => `${first}${String(i + 2)}`).find(
			(each) => !taken.has(each),
		);
		const address = wanted[0] ?? (octet === undefined ? free : `${first}${String(octet)}`);
		if (address === undefined || taken.has(address)) return undefined;
		taken.add(address);
		return address;
	}
}

const number = (address: string) =>
	address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0) as never;

/** Devices, rules, states, namespaces: all that an engine leaves on its machine, as texts. */
export function leftOvers(host: Host): Record<string, unknown> {
	const { netns } = host;
	return {
		namespaces: [...host.namespaces.keys()],
		devices: netns.devices.map(({ name }) => name),
		rules: netns.iptablesTool
			.save()
			.split("\n")
			.filter((line) => line.startsWith("-A")),
		states: netns.xfrm.state.show(),
		policies: netns.xfrm.policy.show(),
		routes: netns.routes.show(),
	};
}

/** A container's namespace, and the network's sandbox on its host. */
export const sandboxOf = (host: Host, key: string): Netns => {
	const ns = host.namespaces.get(key);
	if (ns === undefined) throw new Error(`${host.name} has no namespace ${key}`);
	return ns;
};
