import { type Mac, macHigh, macLow, macOfParts } from "../addr/index.ts";
import { keyHigh, spread } from "./mac-table.ts";

/**
 * How an address came to be in a forwarding table.
 * - `local`: the bridge's own or a port's own address; frames to it go up.
 * - `permanent`: the same, set by hand.
 * - `static`: set by hand, never ages.
 * - `extern_learn`: put there by a control plane (EVPN), never ages, becomes dynamic when the address moves.
 * - `dynamic`: learned, or set by hand as if it had been; ages, moves at once.
 */
export type FdbKind = "local" | "permanent" | "static" | "extern_learn" | "dynamic";

/** What addresses are behind. The table numbers its ports; 0 is a port of no table yet. */
export interface FdbPort {
	/** The port's number in its table; set by the table. */
	tableNumber: number;
	/** Where the source of the frame before was found: the first place to look, whatever is there now. */
	sourceSlot: number;
}

/** One line of `bridge fdb show`, as it was when it was asked for. */
export interface FdbEntry<Port extends FdbPort> {
	readonly mac: Mac;
	/** VLAN id, 0 where VLANs play no part. */
	readonly vlan: number;
	readonly kind: FdbKind;
	/** True for what goes up to the bridge itself. */
	readonly isLocal: boolean;
	/** True for what is forgotten after a while. */
	readonly ages: boolean;
	/** Stays at its port even when the address is seen elsewhere. */
	readonly sticky: boolean;
	/** Where frames to this address go; `null` for the bridge itself. */
	readonly port: Port | null;
	/** Nanoseconds since the address was last seen as a source. */
	readonly updated: number;
	/** Nanoseconds since a frame was last sent to it, in whole seconds. */
	readonly used: number;
	/** Its place in the table: later ones come first, as in the kernel's list. */
	readonly order: number;
}

const KINDS: readonly FdbKind[] = ["dynamic", "static", "extern_learn", "permanent", "local"];
const DYNAMIC = 0;
const EXTERN_LEARN = 2;
/** Kinds from here on are the bridge's own addresses. */
const FIRST_LOCAL = 3;

/** Times are kept in ticks of 4 ms, a jiffy of Linux, in 32 bits: what is older than three months looks younger. */
const TICK = 4_000_000;
/** 32-bit words of a slot, 16 octets: a look-up in a large table waits for memory once. */
const WORDS = 4;
const LOW = 0;
/** The upper half of the key in 28 bits, above it the state: 1 + kind, `STICKY`; 0 for an empty slot. */
const HIGH = 1;
/** The port's number in 16 bits, above it the second of the last use: in 18 hours it comes round. */
const PORT = 2;
const UPDATED = 3;
const PORT_BITS = 0xffff;
const USED_SHIFT = 16;
const KEY_BITS = 0x0fff_ffff;
const STATE_SHIFT = 28;
const KIND_BITS = 7;
const STICKY = 8;
const TICKS_PER_SECOND = 250;

/** Slots of a fresh table; a power of two. Most bridges know a handful of addresses. */
const FIRST_SLOTS = 16;
/** Entries that may be there before the first look for aged ones. */
const FIRST_SWEEP = 1024;

/**
 * A learning table of (MAC, VLAN) → port, as bridges and switches keep it. Dynamic entries are forgotten
 * when they were not refreshed for `ageing` nanoseconds; that is judged when they are looked up, and for all
 * when the table has doubled.
 *
 * One flat array with linear probing. For the path of a frame a look-up gives a slot, good until the table next
 * changes; `entries` and `find` describe it in objects. Reference: net/bridge/br_fdb.c.
 */
export class Fdb<Port extends FdbPort> {
	#words = new Int32Array(FIRST_SLOTS * WORDS);
	/** Of each slot, when its entry was made: what a look-up does not read. */
	#orders = new Int32Array(FIRST_SLOTS);
	#mask = FIRST_SLOTS - 1;
	#size = 0;
	/** By their numbers; number 0 is the bridge itself. */
	readonly #ports: (Port | null)[] = [null];
	readonly #freeNumbers: number[] = [];
	readonly #clock: { readonly now: number };
	#tickedAt = 0;
	#lastTick = 0;
	/** The second of now, where it belongs in a slot. */
	#usedNow = 0;
	#made = 0;
	#sweepAt = FIRST_SWEEP;
	#ageing: number;
	#ageingTicks: number;

	constructor(clock: { readonly now: number }, ageing: number) {
		this.#clock = clock;
		this.#ageing = ageing;
		this.#ageingTicks = Math.ceil(ageing / TICK);
	}

	/** Nanoseconds a learned address is kept without being seen; 0 learns nothing. */
	get ageing(): number {
		return this.#ageing;
	}

	set ageing(ageing: number) {
		// What is too old by now has been forgotten, whatever counts from now on.
		this.#sweep();
		this.#ageing = ageing;
		this.#ageingTicks = Math.ceil(ageing / TICK);
	}

	/** Entries, aged ones that nobody looked up since included. */
	get size(): number {
		return this.#size;
	}

	/** Gives a port its number; before anything is learned there. */
	addPort(port: Port): void {
		port.tableNumber = this.#freeNumbers.pop() ?? this.#ports.length;
		this.#ports[port.tableNumber] = port;
	}

	/** Takes a port's number back; everything there must have been removed. */
	removePort(port: Port): void {
		this.#ports[port.tableNumber] = null;
		this.#freeNumbers.push(port.tableNumber);
		port.tableNumber = 0;
	}

	/** The tick of now, worked out once for an instant. A method: V8 calls the runtime for private getters. */
	#tick(): number {
		const { now } = this.#clock;
		if (now !== this.#tickedAt) {
			this.#tickedAt = now;
			this.#lastTick = Math.floor(now / TICK) | 0;
			this.#usedNow = Math.floor(this.#lastTick / TICKS_PER_SECOND) << USED_SHIFT;
		}
		return this.#lastTick;
	}

	// ── for the path of a frame ──────────────────────────────────────────────────────────────────

	/**
	 * Where the address in the frame at `low`, `high` (see `keyHigh`) is kept; -1 when it is not known, or aged. `guess` is a
	 * slot that this table gave before: most frames have the addresses of the one before them.
	 */
	slot(low: number, high: number, guess = 0): number {
		const words = this.#words;
		const guessed = words[guess * WORDS + HIGH]!;
		if (words[guess * WORDS + LOW] === low && (guessed & KEY_BITS) === high && guessed !== 0)
			return this.#unlessAged(guess, guessed);
		const mask = this.#mask;
		let slot = spread(low, high) & mask;
		for (;;) {
			const at = slot * WORDS;
			const word = words[at + HIGH]!;
			if (word === 0) return -1;
			if (words[at + LOW] === low && (word & KEY_BITS) === high) return this.#unlessAged(slot, word);
			slot = (slot + 1) & mask;
		}
	}

	/** The slot, or -1 when the entry there aged, which ends it. */
	#unlessAged(slot: number, word: number): number {
		if (((word >>> STATE_SHIFT) & KIND_BITS) !== DYNAMIC + 1 || !this.#aged(slot * WORDS)) return slot;
		this.#removeAt(slot);
		return -1;
	}

	#aged(at: number): boolean {
		return ((this.#tick() - this.#words[at + UPDATED]!) | 0) >= this.#ageingTicks;
	}

	/** Whether frames to the address go up to the bridge. */
	isLocalAt(slot: number): boolean {
		return ((this.#words[slot * WORDS + HIGH]! >>> STATE_SHIFT) & KIND_BITS) > FIRST_LOCAL;
	}

	/** The port the address is behind; `null` for the bridge itself. */
	portAt(slot: number): Port | null {
		return this.#ports[this.#words[slot * WORDS + PORT]! & PORT_BITS]!;
	}

	/** Notes that a frame is sent to the address now. */
	useAt(slot: number): void {
		const at = slot * WORDS + PORT;
		this.#tick();
		const word = this.#words[at]!;
		// Once a second: a table that is only read stays in the processor's caches.
		if ((word & ~PORT_BITS) !== this.#usedNow) this.#words[at] = (word & PORT_BITS) | this.#usedNow;
	}

	/**
	 * Notes that a source address was seen on `port` (`br_fdb_update`). Returns false when the address is the
	 * bridge's own, which Linux logs as "received packet on … with own address as source address".
	 */
	learn(low: number, high: number, port: Port): boolean {
		if (this.#ageingTicks === 0) return true;
		const slot = this.slot(low, high, port.sourceSlot);
		if (slot < 0) {
			this.#insert(low, high, DYNAMIC, port.tableNumber);
			return true;
		}
		port.sourceSlot = slot;
		const words = this.#words;
		const at = slot * WORDS;
		const state = words[at + HIGH]! >>> STATE_SHIFT;
		if ((state & KIND_BITS) > FIRST_LOCAL) return false;
		words[at + UPDATED] = this.#tick();
		const word = words[at + PORT]!;
		if ((word & PORT_BITS) !== port.tableNumber && (state & STICKY) === 0) {
			words[at + PORT] = (word & ~PORT_BITS) | port.tableNumber;
			if ((state & KIND_BITS) === EXTERN_LEARN + 1) this.#setState(at, DYNAMIC + 1);
		}
		return true;
	}

	// ── for commands ─────────────────────────────────────────────────────────────────────────────

	/** The entry of an address. */
	find(mac: Mac, vlan = 0): FdbEntry<Port> | undefined {
		const slot = this.slot(macLow(mac), keyHigh(macHigh(mac), vlan));
		return slot < 0 ? undefined : this.#entry(slot);
	}

	/** Puts an entry in, in place of the one that was there. */
	put(mac: Mac, vlan: number, kind: FdbKind, port: Port | null): void {
		this.remove(mac, vlan);
		this.#insert(
			macLow(mac),
			keyHigh(macHigh(mac), vlan),
			KINDS.indexOf(kind),
			port === null ? 0 : port.tableNumber,
		);
	}

	/** Changes an entry that is there and keeps its place; nothing happens when it is not. */
	change(
		mac: Mac,
		vlan: number,
		to: { readonly kind: FdbKind; readonly port: Port | null; readonly sticky: boolean },
	): void {
		const slot = this.slot(macLow(mac), keyHigh(macHigh(mac), vlan));
		if (slot < 0) return;
		const at = slot * WORDS;
		this.#setState(at, (KINDS.indexOf(to.kind) + 1) | (to.sticky ? STICKY : 0));
		this.#words[at + UPDATED] = this.#tick();
		this.#words[at + PORT] = (to.port === null ? 0 : to.port.tableNumber) | this.#usedNow;
	}

	#setState(at: number, state: number): void {
		this.#words[at + HIGH] = (this.#words[at + HIGH]! & KEY_BITS) | (state << STATE_SHIFT);
	}

	/** Takes an entry out; says whether it was there. */
	remove(mac: Mac, vlan = 0): boolean {
		const slot = this.slot(macLow(mac), keyHigh(macHigh(mac), vlan));
		if (slot >= 0) this.#removeAt(slot);
		return slot >= 0;
	}

	/** Forgets every entry that `which` picks; without it all that age. */
	flush(which: (entry: FdbEntry<Port>) => boolean = (entry) => entry.ages): void {
		for (const entry of this.entries()) if (which(entry)) this.remove(entry.mac, entry.vlan);
	}

	/** All entries that did not age, the newest first. */
	entries(): FdbEntry<Port>[] {
		const entries: FdbEntry<Port>[] = [];
		for (let slot = 0; slot <= this.#mask; slot++) {
			if (this.#words[slot * WORDS + HIGH] !== 0 && !this.#isAged(slot)) entries.push(this.#entry(slot));
		}
		return entries.sort((a, b) => b.order - a.order);
	}

	#isAged(slot: number): boolean {
		const at = slot * WORDS;
		return ((this.#words[at + HIGH]! >>> STATE_SHIFT) & KIND_BITS) === DYNAMIC + 1 && this.#aged(at);
	}

	#entry(slot: number): FdbEntry<Port> {
		const words = this.#words;
		const at = slot * WORDS;
		const high = words[at + HIGH]! & KEY_BITS;
		const state = words[at + HIGH]! >>> STATE_SHIFT;
		const kind = (state & KIND_BITS) - 1;
		const tick = this.#tick();
		const seconds = ((this.#usedNow >>> USED_SHIFT) - (words[at + PORT]! >>> USED_SHIFT)) & PORT_BITS;
		return {
			mac: macOfParts(high & 0xffff, words[at + LOW]!),
			vlan: high >>> 16,
			kind: KINDS[kind]!,
			isLocal: kind >= FIRST_LOCAL,
			ages: kind === DYNAMIC,
			sticky: (state & STICKY) !== 0,
			port: this.portAt(slot),
			updated: Math.max(0, ((tick - words[at + UPDATED]!) | 0) * TICK),
			used: seconds * 1e9,
			order: this.#orders[slot]!,
		};
	}

	// ── the table ────────────────────────────────────────────────────────────────────────────────

	#insert(low: number, high: number, kind: number, port: number): void {
		if (this.#size >= this.#sweepAt) this.#sweep();
		// Half of it stays empty: at three quarters a look-up reads three slots, waits for two lines and guesses wrong once.
		if (this.#size * 2 > this.#mask) this.#grow();
		const words = this.#words;
		let slot = spread(low, high) & this.#mask;
		while (words[slot * WORDS + HIGH] !== 0) slot = (slot + 1) & this.#mask;
		const at = slot * WORDS;
		words[at + LOW] = low;
		words[at + HIGH] = high | ((kind + 1) << STATE_SHIFT);
		words[at + UPDATED] = this.#tick();
		words[at + PORT] = port | this.#usedNow;
		this.#orders[slot] = this.#made++;
		this.#size++;
	}

	#removeAt(gone: number): void {
		const words = this.#words;
		const mask = this.#mask;
		this.#size--;
		// Close the gap: entries behind it move up unless that would put them before their own home.
		let gap = gone;
		let slot = gone;
		for (;;) {
			slot = (slot + 1) & mask;
			const at = slot * WORDS;
			if (words[at + HIGH] === 0) break;
			const home = spread(words[at + LOW]!, words[at + HIGH]! & KEY_BITS) & mask;
			if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
			words.copyWithin(gap * WORDS, at, at + WORDS);
			this.#orders[gap] = this.#orders[slot]!;
			gap = slot;
		}
		words.fill(0, gap * WORDS, gap * WORDS + WORDS);
	}

	#grow(): void {
		const [old, orders] = [this.#words, this.#orders];
		const slots = (this.#mask + 1) * 2;
		const words = (this.#words = new Int32Array(slots * WORDS));
		this.#orders = new Int32Array(slots);
		this.#mask = slots - 1;
		for (let from = 0; from * WORDS < old.length; from++) {
			const at = from * WORDS;
			if (old[at + HIGH] === 0) continue;
			let slot = spread(old[at + LOW]!, old[at + HIGH]! & KEY_BITS) & this.#mask;
			while (words[slot * WORDS + HIGH] !== 0) slot = (slot + 1) & this.#mask;
			words.set(old.subarray(at, at + WORDS), slot * WORDS);
			this.#orders[slot] = orders[from]!;
		}
	}

	/** Takes out what aged without being looked up. */
	#sweep(): void {
		for (let slot = 0; slot <= this.#mask;) {
			if (this.#isAged(slot)) this.#removeAt(slot);
			else slot++;
		}
		this.#sweepAt = Math.max(FIRST_SWEEP, this.#size * 2);
	}
}
