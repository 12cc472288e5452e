import type { Ip4 } from "../../addr/index.ts";
import { keyedHash, type Rng, type Scheduler, Timer } from "../../sim/index.ts";
import type { Jiffies } from "../../sim/index.ts";
import { Connection, type ConnectionName } from "./connection.ts";
import type { Destination } from "./service.ts";

/** Slots of the table: `conn_tab_bits` 12, what ipvsadm prints as its size. */
export const TABLE_SIZE = 4096;
/** The table of those that never had a connection, one for all. Nobody changes it. */
const EMPTY: (Connection | null)[] = new Array<Connection | null>(TABLE_SIZE).fill(null);
/** Seconds a template lives on while connections made from it do. */
const CONTROLLING = 60;
/** The ports of a template that no packet can match any more. */
const INVALID = 0xffff;

/**
 * The connections of one namespace, by protocol and client. Both ways of a connection lie in one slot, since the
 * client's end is the same in both. Reference: net/netfilter/ipvs/ip_vs_conn.c.
 */
export class Connections {
	#slots: (Connection | null)[] = EMPTY;
	readonly #key0: number;
	readonly #key1: number;
	readonly #jiffies: Jiffies;
	readonly #scheduler: Scheduler;
	readonly #ended: (connection: Connection) => void;
	/** Connections and templates made so far. */
	made = 0;
	#size = 0;

	/** `ended` hears of each that ends. */
	constructor(scheduler: Scheduler, jiffies: Jiffies, rng: Rng, ended: (connection: Connection) => void) {
		this.#ended = ended;
		this.#scheduler = scheduler;
		this.#jiffies = jiffies;
		this.#key0 = rng.uint32() | 0;
		this.#key1 = rng.uint32() | 0;
	}

	/** Connections and templates there are. */
	get size(): number {
		return this.#size;
	}

	/** Ticks of a time in seconds. */
	ticks(seconds: number): number {
		return this.#jiffies.ticks(seconds * 1e9);
	}

	/** The connection of a packet from the client (`ip_vs_conn_in_get`). */
	fromClient(
		protocol: number,
		client: Ip4,
		clientPort: number,
		virtual: Ip4,
		virtualPort: number,
	): Connection | undefined {
		let each = this.#slots[this.#slot(protocol, client, clientPort)] ?? null;
		for (; each !== null; each = each.next) {
			if (
				each.clientPort === clientPort &&
				each.virtualPort === virtualPort &&
				each.client === client &&
				each.virtual === virtual &&
				each.protocol === protocol &&
				!each.template
			) {
				return each;
			}
		}
		return undefined;
	}

	/** The connection of a packet from its real server (`ip_vs_conn_out_get`). */
	fromServer(
		protocol: number,
		server: Ip4,
		serverPort: number,
		client: Ip4,
		clientPort: number,
	): Connection | undefined {
		let each = this.#slots[this.#slot(protocol, client, clientPort)] ?? null;
		for (; each !== null; each = each.next) {
			if (
				each.clientPort === clientPort &&
				each.port === serverPort &&
				each.client === client &&
				each.address === server &&
				each.protocol === protocol
			) {
				return each;
			}
		}
		return undefined;
	}

	/** The template of a client, if its real server still may be used (`ip_vs_ct_in_get`, `ip_vs_check_template`). */
	template(name: ConnectionName, expireQuiescent: boolean): Connection | undefined {
		const { protocol, client, clientPort, virtual, virtualPort } = name;
		let each = this.#slots[this.#slot(protocol, client, clientPort)] ?? null;
		for (; each !== null; each = each.next) {
			const same =
				each.template &&
				each.client === client &&
				each.virtual === virtual &&
				each.virtualPort === virtualPort &&
				each.clientPort === clientPort &&
				each.protocol === protocol;
			if (!same) continue;
			const { destination } = each;
			if (destination.available && !(expireQuiescent && destination.weight === 0)) return each;
			// It matches nothing any more and ends when its time has come.
			this.#unhash(each);
			each.port = INVALID;
			each.virtualPort = INVALID;
			each.clientPort = 0;
			this.#hash(each);
			return undefined;
		}
		return undefined;
	}

	/** A new connection, bound to its destination (`ip_vs_conn_new`). */
	add(
		name: ConnectionName,
		destination: Destination,
		port: number,
		options: { readonly template?: boolean; readonly onePacket?: boolean; readonly tracked?: boolean },
	): Connection {
		const connection = new Connection(name, destination, port, {
			template: options.template ?? false,
			onePacket: options.onePacket ?? false,
			tracked: options.tracked ?? false,
			timeout: this.ticks(3),
		});
		bind(connection);
		this.made++;
		this.#size++;
		if (!connection.onePacket) this.#hash(connection);
		return connection;
	}

	/** Makes one the child of a template (`ip_vs_control_add`). */
	control(connection: Connection, template: Connection): void {
		connection.control = template;
		template.controlled++;
	}

	/** Somebody is done with it for now: its time begins anew (`ip_vs_conn_put`). */
	put(connection: Connection): void {
		if (connection.onePacket) return this.#expire(connection);
		this.#restart(connection, connection.timeout);
	}

	/** Ends it at the next tick (`ip_vs_conn_expire_now`). */
	expireNow(connection: Connection): void {
		if (connection.timer?.pending === true) this.#restart(connection, 0);
	}

	/** Ends it now, and with it a template that nobody else needs (`ip_vs_conn_del`). */
	remove(connection: Connection): void {
		if (connection.control !== null) connection.timeout = 0;
		this.#expire(connection);
	}

	/** All, in the order of the table: the order of `ipvsadm -Lc`. */
	*all(): Generator<Connection> {
		for (const first of this.#slots) {
			for (let each = first; each !== null;) {
				const { next } = each;
				yield each;
				each = next;
			}
		}
	}

	/** Whole seconds until it ends. */
	secondsLeft(connection: Connection): number {
		const left = connection.expires - this.#jiffies.jiffiesAt(this.#scheduler.now);
		return Math.floor(this.#jiffies.nanoseconds(Math.max(0, left)) / 1e9);
	}

	#restart(connection: Connection, ticks: number): void {
		const { now } = this.#scheduler;
		const expires = this.#jiffies.jiffiesAt(now) + ticks;
		// The next packet within a jiffy moves nothing (`__mod_timer`).
		if (expires === connection.expires && connection.timer?.pending === true) return;
		connection.expires = expires;
		connection.due = this.#jiffies.fires(now, expires);
		const timer = (connection.timer ??= new Timer(() => {
			this.#fired(connection);
		}));
		// A timer that is due no later looks again when it fires: moving it for every packet would cost more.
		if (!timer.pending || timer.due > connection.due) this.#scheduler.atTick(connection.due, timer);
	}

	#fired(connection: Connection): void {
		if (connection.due > this.#scheduler.now) this.#scheduler.atTick(connection.due, connection.timer!);
		else this.#expire(connection);
	}

	/** `ip_vs_conn_expire`. */
	#expire(connection: Connection): void {
		if (connection.controlled > 0) {
			connection.timeout = this.ticks(CONTROLLING);
			return this.#restart(connection, connection.timeout);
		}
		connection.timer?.cancel();
		this.#unhash(connection);
		this.#size--;
		const { control } = connection;
		connection.control = null;
		this.#ended(connection);
		unbind(connection);
		if (control === null) return;
		control.controlled--;
		if (connection.timeout === 0 && control.controlled === 0 && !(control.template && control.state !== 0)) {
			this.remove(control);
		}
	}

	#slot(protocol: number, client: Ip4, clientPort: number): number {
		return keyedHash(this.#key0, this.#key1, client, clientPort, protocol) & (TABLE_SIZE - 1);
	}

	#hash(connection: Connection): void {
		const slot = this.#slot(connection.protocol, connection.client, connection.clientPort);
		if (this.#slots === EMPTY) this.#slots = EMPTY.slice();
		connection.next = this.#slots[slot] ?? null;
		this.#slots[slot] = connection;
		connection.hashed = true;
	}

	#unhash(connection: Connection): void {
		if (!connection.hashed) return;
		connection.hashed = false;
		const slot = this.#slot(connection.protocol, connection.client, connection.clientPort);
		let before = this.#slots[slot] ?? null;
		if (before === connection) this.#slots[slot] = connection.next;
		else {
			while (before !== null && before.next !== connection) before = before.next;
			if (before !== null) before.next = connection.next;
		}
		connection.next = null;
	}
}

/** `ip_vs_bind_dest`. */
function bind(connection: Connection): void {
	const { destination } = connection;
	destination.references++;
	if (connection.template) destination.persistent++;
	else destination.inactive++;
	if (destination.upper !== 0 && destination.active + destination.inactive >= destination.upper) {
		destination.overloaded = true;
	}
}

/** `ip_vs_unbind_dest`. */
function unbind(connection: Connection): void {
	const { destination } = connection;
	if (connection.template) destination.persistent--;
	else if (connection.inactive) destination.inactive--;
	else destination.active--;
	const total = destination.active + destination.inactive;
	if (destination.lower !== 0) {
		if (total < destination.lower) destination.overloaded = false;
	} else if (destination.upper === 0 || total * 4 < destination.upper * 3) {
		destination.overloaded = false;
	}
	destination.references--;
}
