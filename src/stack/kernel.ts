import { type Ip4, type Mac, macOfParts } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { World } from "../link/index.ts";
import { KernelLog } from "./kernel-log.ts";
import {
	type Driver,
	type Instant,
	Jiffies,
	keyedHash,
	microseconds,
	type Nanoseconds,
	Power,
	type Rng,
	seconds,
	type Timer,
} from "../sim/index.ts";

/** Slots of the IP identification generator (`ip_idents`, at its smallest). */
const IDENT_SLOTS = 2048;
/** Flows whose slot is remembered, a power of two, each by source, destination, protocol and slot. */
const IDENT_FLOWS = 8;
const IDENT_FLOW_WORDS = 4;
/** `net.ipv4.icmp_msgs_per_sec` and `icmp_msgs_burst`. */
const ICMP_PER_SECOND = 1000;
const ICMP_BURST = 50;
/** From a timer's tick to the program it wakes. */
const WAKE_UP = microseconds(100);
/** How long a machine may have been up when the lab begins: where its timer wheel stands. */
const LONGEST_UPTIME = seconds(3600);

/** How many neighbours there may be: kept whatever their age, kept for a while, kept at all. */
export interface NeighbourGc {
	gc_thresh1: number;
	gc_thresh2: number;
	gc_thresh3: number;
}

/**
 * What all namespaces of one machine share: the secrets drawn at boot, the generator of IP identifications,
 * the tick, and the limit of ICMP errors for the whole machine.
 *
 * The randomness is the machine's own (`rng.fork(name)`), so that one machine more in a lab changes nothing
 * on the others.
 */
export class Kernel {
	readonly name: string;
	readonly world: World;
	readonly driver: Driver;
	readonly rng: Rng;
	/** Rounds timers to jiffies as this machine's timer wheel does. */
	readonly jiffies: Jiffies;
	/** Nanoseconds from 1970 to the lab's epoch: what programs see as the time of day. */
	readonly epoch: bigint;
	/** What the kernel said of packets and devices, oldest first (`dmesg`). */
	readonly log: KernelLog;
	/** Whether the machine runs. */
	readonly power: Power = new Power();
	/** `net.ipv4.neigh.default.gc_thresh*`, one for the machine: seen and set in the namespace it boots with. */
	readonly neighbourGc: NeighbourGc = { gc_thresh1: 128, gc_thresh2: 512, gc_thresh3: 1024 };
	/** ESP is there since the first state that wants it was added anywhere on the machine (`modprobe esp4`). */
	hasEsp = false;
	/** br_netfilter is loaded: IPv4 frames on bridges of all namespaces meet iptables, unless a sysctl says otherwise. */
	hasBridgeNetfilter = false;
	/** The number the next IPsec policy's index is made of (`idx_generator`). */
	nextPolicyIndex = 0;
	// Keys drawn at boot, in fields of their own: they are read for every packet.
	readonly #flowKey0: number;
	readonly #flowKey1: number;
	readonly #identKey0: number;
	readonly #identKey1: number;
	#idents: Uint16Array | undefined;
	#identTimes: Float64Array | undefined;
	/** Flows that asked last, each with its slot: see `#identSlot`. */
	#identFlows: Int32Array | undefined;
	#icmpCredit = ICMP_BURST;
	#icmpStamp: Instant = 0;
	/** The last identifier given to a ping socket (`ping_port_rover`). */
	#pingRover = 0;
	#nextPid: number;

	/** `uptime`: how long the machine has been up when the lab begins; drawn unless said. Its timers' ticks follow from it. */
	constructor(name: string, world: World, driver: Driver, epoch: bigint, uptime?: Nanoseconds) {
		this.name = name;
		this.world = world;
		this.driver = driver;
		this.epoch = epoch;
		this.rng = world.rng.fork(`kernel/${name}`);
		this.log = new KernelLog(world.scheduler);
		const drawn = this.rng.below(LONGEST_UPTIME);
		this.jiffies = new Jiffies({ hz: 250, phase: uptime ?? drawn });
		this.#flowKey0 = this.rng.uint32() | 0;
		this.#flowKey1 = this.rng.uint32() | 0;
		this.#identKey0 = this.rng.uint32() | 0;
		this.#identKey1 = this.rng.uint32() | 0;
		this.#nextPid = 1000 + this.rng.below(3000);
	}

	/** Arms a timer as the kernel would: it fires at a tick, late by what the timer wheel rounds. */
	arm(timer: Timer, delay: Nanoseconds): void {
		const { scheduler } = this.world;
		timer.power = this.power;
		scheduler.atTick(this.jiffies.expiry(scheduler.now, delay), timer);
	}

	/**
	 * Wakes a program that sleeps in a system call with a timeout: the kernel's timer fires, and when the work of
	 * that tick is done the program runs (`schedule_timeout`).
	 */
	sleep(timer: Timer, delay: Nanoseconds): void {
		const { scheduler } = this.world;
		timer.power = this.power;
		scheduler.at(this.jiffies.expiry(scheduler.now, delay) + WAKE_UP, timer);
	}

	/** Hash of a flow's fields under this machine's key, signed, never 0 (`__flow_hash_from_keys`). */
	hashFlow(a: number, b: number, c: number): number {
		return keyedHash(this.#flowKey0, this.#flowKey1, a, b, c) | 0 || 1;
	}

	/**
	 * The next IP identification towards a destination, never 0 here as Linux skips nothing but the field is
	 * drawn from a random start (`__ip_select_ident`, `ip_idents_reserve`): a counter per hash of
	 * (source, destination, protocol) that also leaps by a random part of the jiffies since its last use.
	 */
	nextIdent(source: Ip4, destination: Ip4, protocol: number): number {
		const idents = (this.#idents ??= this.#drawIdents());
		const times = (this.#identTimes ??= new Float64Array(IDENT_SLOTS));
		const slot = this.#identSlot(source, destination, protocol);
		const now = this.jiffies.jiffiesAt(this.world.scheduler.now);
		const passed = now - times[slot]!;
		let leap = 1;
		if (passed > 0) {
			times[slot] = now;
			leap += this.rng.below(Math.min(passed, 0x7fff_ffff));
		}
		const ident = (idents[slot]! + leap) & 0xffff;
		idents[slot] = ident;
		return ident;
	}

	/** The slot of a flow, hashed once while it and few others ask. */
	#identSlot(source: Ip4, destination: Ip4, protocol: number): number {
		const flows = (this.#identFlows ??= new Int32Array(IDENT_FLOWS * IDENT_FLOW_WORDS));
		const at = ((destination ^ (destination >>> 24)) & (IDENT_FLOWS - 1)) * IDENT_FLOW_WORDS;
		// Nobody sends from 0.0.0.0 to itself: what is empty is nobody's.
		if (flows[at] === source && flows[at + 1] === destination && flows[at + 2] === protocol)
			return flows[at + 3]!;
		const hash = keyedHash(this.#identKey0, this.#identKey1, source, destination, protocol);
		const slot = hash & (IDENT_SLOTS - 1);
		flows[at] = source;
		flows[at + 1] = destination;
		flows[at + 2] = protocol;
		flows[at + 3] = slot;
		return slot;
	}

	#drawIdents(): Uint16Array {
		const idents = new Uint16Array(IDENT_SLOTS);
		for (let i = 0; i < IDENT_SLOTS; i++) idents[i] = this.rng.below(0x1_0000);
		return idents;
	}

	/** Whether the machine may send one more ICMP error now (`icmp_global_allow`). */
	mayTellIcmp(): boolean {
		const now = this.world.scheduler.now;
		const earned = Math.floor(((now - this.#icmpStamp) * ICMP_PER_SECOND) / 1e9);
		if (earned > 0) {
			this.#icmpCredit = Math.min(ICMP_BURST, this.#icmpCredit + earned);
			this.#icmpStamp = now;
		}
		if (this.#icmpCredit <= 0) return false;
		this.#icmpCredit--;
		return true;
	}

	/** Milliseconds since midnight UT, as ICMP and IPv4 timestamps have them (`inet_current_timestamp`). */
	get timeOfDay(): number {
		const now = this.epoch / 1_000_000n + BigInt(Math.floor(this.world.scheduler.now / 1e6));
		return Number(now % 86_400_000n);
	}

	/** An identifier for a ping socket that is not in use (`ping_get_port`). */
	nextPingId(taken: (id: number) => boolean): number {
		for (let i = 0; i < 0xffff; i++) {
			this.#pingRover = (this.#pingRover + 1) & 0xffff;
			if (!taken(this.#pingRover)) return this.#pingRover;
		}
		return 0;
	}

	/** An address as Linux draws it for a new device: random, locally administered, no group (`eth_random_addr`). */
	randomMac(): Mac {
		const high = (this.rng.below(0x1_0000) & 0xfeff) | 0x0200;
		return macOfParts(high, this.rng.uint32());
	}

	/** `modprobe MODULE`, for the one module that nothing else loads. Throws `NetError` ENOENT for another. */
	modprobe(module: "br_netfilter"): void {
		if ((module as string) !== "br_netfilter") {
			throw new NetError(
				"ENOENT",
				`modprobe: FATAL: Module ${module} not found in directory /lib/modules/6.1.0`,
				{
					remedy: "What else there is of the kernel is there from the beginning.",
					context: { module },
				},
			);
		}
		this.hasBridgeNetfilter = true;
	}

	/** A process id for programs that put theirs on the wire. */
	nextPid(): number {
		return this.#nextPid++ & 0xffff;
	}
}
