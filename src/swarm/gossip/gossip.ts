import { type Ip4, toIp4 } from "../../addr/index.ts";
import type { NetworkPeer, NetworkTables, SettledTable, TableChange, TableEntry } from "../../cnm/index.ts";
import type { DropReason } from "../../drop.ts";
import { NetError } from "../../errors.ts";
import type { Rng } from "../../sim/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { memberlist, networkdb } from "../../wire/index.ts";
import { MachineClock } from "../clock.ts";
import { Keyring } from "./keyring.ts";
import { Member, type MemberState } from "./member.ts";
import { Memberlist } from "./memberlist.ts";
import { NetworkDb } from "./networkdb.ts";
import { Reunion } from "./reunion.ts";
import { CommonNodes } from "./cluster-nodes.ts";
import { settleStates } from "./settle.ts";
import type { Endpoint } from "./transport.ts";

/** Octets of a node's name, twice as many hexadecimal digits. */
const NAME_OCTETS = 6;

/** What a node's gossip is made with. */
export interface GossipOptions {
	/** The namespace whose port 7946 is used. */
	readonly ns: IpNamespace;
	/** The address that others reach this node at. */
	readonly advertise: Ip4 | string;
	/** Twelve hexadecimal digits; drawn unless said, as each time a daemon starts. */
	readonly nodeName?: string;
	/** For the log. */
	readonly hostname: string;
	readonly rng: Rng;
	/** Keys of 16 octets; the first is sent with, all are understood. */
	readonly keys: readonly Uint8Array[];
	/** Told what the daemon's log says, a line each. */
	readonly log?: (line: string) => void;
}

/** A node of the cluster. */
export interface GossipMember {
	readonly name: string;
	readonly ip: Ip4;
	readonly port: number;
	readonly state: MemberState;
}

/** A node came or went. */
export interface MemberChange {
	readonly kind: "joined" | "failed" | "left";
	readonly member: GossipMember;
}

/**
 * A node's gossip on port 7946: who is in the cluster, and the tables of the networks it takes part in.
 *
 *     engine ── NetworkTables ── networkdb ── user messages ── memberlist ── AES-GCM ── UDP and TCP 7946
 *
 * Reference: libnetwork's networkdb and HashiCorp's memberlist 0.2.4, as in Docker 20.10.
 */
export class Gossip implements NetworkTables {
	readonly nodeName: string;
	readonly hostname: string;
	readonly #memberlist: Memberlist;
	readonly #db: NetworkDb;
	readonly #keyring: Keyring;
	readonly #reunion: Reunion;
	readonly #listeners = new Set<(change: MemberChange) => void>();
	#state: "made" | "running" | "over" = "made";

	/** Throws RangeError for an address that is none, or for no keys or keys of a wrong length. */
	constructor({ ns, advertise, nodeName, hostname, rng, keys, log = () => undefined }: GossipOptions) {
		const clock = new MachineClock(ns.kernel);
		this.nodeName = nodeName ?? drawName(rng.fork("node name"));
		this.hostname = hostname;
		this.#keyring = new Keyring(keys);
		const self = new Member(this.nodeName, toIp4(advertise, "advertise"), memberlist.PORT);
		this.#db = new NetworkDb(this.nodeName, clock, rng.fork("networkdb"), {
			wake: () => this.#memberlist.wakeGossip(),
			sendBestEffort: (to, payload) => this.#memberlist.sendBestEffort(to, payload),
			sendReliable: (to, payload, done) => this.#memberlist.sendReliable(to, payload, done),
			dropped: (reason) => this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1),
			log,
		});
		this.#memberlist = new Memberlist(ns, clock, self, this.#keyring, rng.fork("memberlist"), {
			hasBroadcasts: () => this.#db.delegate.hasBroadcasts,
			broadcasts: (overhead, limit) => this.#db.delegate.broadcasts(overhead, limit),
			heard: (payload) => {
				this.#db.delegate.heard(payload);
			},
			localState: (join) => this.#db.delegate.localState(join),
			mergeState: (state) => {
				this.#db.delegate.mergeState(state);
			},
			joined: (member) => {
				this.#db.state.nodes.joined(member);
				this.#tell("joined", member);
			},
			introduced: (common, unknown) => {
				this.#db.state.nodes.settle(common);
				for (const member of unknown) this.#tell("joined", member);
			},
			left: (member) => {
				if (member !== self) this.#db.state.nodes.lost(member);
				this.#reunion.wake();
				this.#tell(member.state === "left" ? "left" : "failed", member);
			},
			lost: () => {
				this.stop();
			},
			log,
		});
		this.#reunion = new Reunion({
			clock,
			rng: rng.fork("reunion"),
			db: this.#db,
			memberlist: this.#memberlist,
			log: (line) => {
				log(`${hostname}(${this.nodeName}): ${line}`);
			},
		});
	}

	/** What came in and could not be used, by reason. */
	get drops(): Map<DropReason, number> {
		return this.#memberlist.transport.drops;
	}

	/** The process starts: the port is opened. Throws `NetError` EADDRINUSE, and EBUSY when it was started before. */
	start(): void {
		if (this.#state !== "made")
			throw new NetError("EBUSY", `the gossip of ${this.hostname} was started before`, {
				remedy: "A process that ended does not start again: make another one, with a name of its own.",
			});
		this.#memberlist.start();
		this.#db.start();
		this.#reunion.start();
		this.#state = "running";
	}

	/**
	 * Joins the cluster by way of nodes at these addresses (port 7946). `done` is called when a node was reached and others
	 * were told, or with a `NetError` when none could be reached; it is tried again each minute then, and whenever none of
	 * these nodes is in the cluster. Throws RangeError for an address that is none.
	 */
	join(addresses: readonly (Ip4 | string)[], done: (error: NetError | undefined) => void): void {
		const endpoints = addresses.map((each): Endpoint => ({
			ip: toIp4(each, "address"),
			port: memberlist.PORT,
		}));
		this.#reunion.join(endpoints, done);
	}

	/**
	 * Makes nodes that were started a cluster that has been one for long: all know all nodes, who takes part in which network
	 * and what the tables of those say, and nothing is sent. In a lab of many nodes telling takes longer than what the lab is
	 * for, as each of n nodes tells each of n. What the nodes have of each other already stays as it is. With `silent` they
	 * know what is said and speak to nobody new: no probes, no news, no bulk syncs with nodes that they did not know before.
	 */
	static settle(nodes: readonly Gossip[], { silent }: { readonly silent: boolean }): void {
		const common = new CommonNodes(nodes.map((each) => Member.common(each.#memberlist.membership.self)));
		for (const each of nodes) {
			each.#db.state.silent = silent ? common : undefined;
			if (silent) continue;
			each.#memberlist.membership.introduce(common);
			each.#memberlist.wakeGossip();
		}
		settleStates(nodes.map((each) => each.#db.state));
	}

	/** Leaves the cluster: others are told, and then the process ends. */
	leave(done: (error: NetError | undefined) => void): void {
		if (this.#state !== "running") {
			done(undefined);
			return;
		}
		this.#reunion.tellNode(networkdb.MEMBERSHIP.LEAVE, () => {
			this.#memberlist.leave((error) => {
				this.stop();
				done(error);
			});
		});
	}

	/**
	 * The process dies: sockets are closed and nobody is told. What was known can still be read. It does so by itself when its
	 * namespace ends the programs in it, as when the machine loses power.
	 */
	stop(): void {
		this.#state = "over";
		this.#reunion.stop();
		this.#db.stop();
		this.#memberlist.stop();
	}

	/** Changes the keys: sends with the first from now on, and understands all. Throws RangeError as the constructor. */
	setKeys(keys: readonly Uint8Array[]): void {
		this.#keyring.set(keys);
	}

	/** All nodes known, this one among them, also those gone not long ago. */
	members(): GossipMember[] {
		return this.#memberlist.membership.members.all.map(shown);
	}

	/** Calls back when a node comes, fails or leaves; returns what ends it. */
	onMember(listener: (change: MemberChange) => void): () => void {
		const told = (change: MemberChange): void => {
			listener(change);
		};
		this.#listeners.add(told);
		return () => {
			this.#listeners.delete(told);
		};
	}

	#tell(kind: MemberChange["kind"], member: Member): void {
		if (member.name === this.nodeName) return;
		const change = { kind, member: shown(member) };
		for (const listener of [...this.#listeners]) listener(change);
	}

	joinNetwork(network: string): void {
		this.#db.joinNetwork(network);
	}

	leaveNetwork(network: string): void {
		this.#db.leaveNetwork(network);
	}

	create(table: string, network: string, key: string, value: Uint8Array): void {
		this.#db.create(table, network, key, value);
	}

	update(table: string, network: string, key: string, value: Uint8Array): void {
		this.#db.update(table, network, key, value);
	}

	delete(table: string, network: string, key: string): void {
		this.#db.delete(table, network, key);
	}

	entries(table: string, network: string): readonly TableEntry[] {
		return this.#db.entries(table, network);
	}

	peers(network: string): readonly NetworkPeer[] {
		return this.#db.peers(network);
	}

	watch(
		table: string,
		listener: (change: TableChange) => void,
		settled: (table: SettledTable) => void,
	): () => void {
		return this.#db.watch(table, listener, settled);
	}
}

const shown = ({ name, ip, port, state }: Member): GossipMember => ({ name, ip, port, state });

function drawName(rng: Rng): string {
	const octets = new Uint8Array(NAME_OCTETS);
	rng.bytes(octets);
	return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}
