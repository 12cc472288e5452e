import { compareIp4, type Ip4, type Mac } from "../../addr/index.ts";
import { milliseconds, type Nanoseconds, seconds } from "../../sim/index.ts";
import { ethernet, type Frame } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Kernel } from "../kernel.ts";
import { Neighbour } from "./neighbour.ts";
import { created, isValid, type NeighbourEvent, type NeighbourTimes, type NudState, step } from "./state.ts";

/** `reachable_time` is drawn anew this often (`neigh_periodic_work`). */
const REDRAW = seconds(300);

/** What the table needs from ARP and IPv4. Implemented by the namespace. */
export interface NeighbourHost {
	/** The link address of a neighbour that need not be asked for it: of groups, of everybody, of all there is without ARP. */
	mapped(inDevice: InDevice, ip: Ip4): Mac | undefined;
	/** Sends an ARP request for `target` out of the device; to `to` alone when it is known. */
	solicit(inDevice: InDevice, target: Ip4, to: Mac | undefined, forPacket: Frame | undefined): void;
	/** The packet waited for a neighbour that did not answer. Takes the frame, which starts at its IPv4 header. */
	unreachable(frame: Frame, inDevice: InDevice): void;
}

/** Permanent neighbours that were said and are made when somebody first asks for them: a swarm has more than are spoken to. */
export interface PromisedNeighbours {
	/** Gives away the neighbour at an address, if there is one that was not given away before. */
	take(ip: Ip4): Mac | undefined;
	/** Gives away all that are left. */
	takeAll(): Iterable<readonly [ip: Ip4, mac: Mac]>;
}

/**
 * The neighbour entries of one device: IPv4 address → MAC, with the states of `ip neigh`.
 * Packets for a neighbour that is being asked wait here. Reference: net/core/neighbour.c.
 */
export class NeighbourTable {
	readonly inDevice: InDevice;
	readonly #kernel: Kernel;
	readonly #host: NeighbourHost;
	readonly #entries = new Map<number, Neighbour>();
	#promised: PromisedNeighbours | undefined;
	#reachable: Nanoseconds = 0;
	#drawn = -REDRAW;
	#base = 0;
	readonly #onTimer = (neighbour: Neighbour): void => {
		this.#apply(neighbour, { kind: "timer" });
	};

	constructor(inDevice: InDevice, kernel: Kernel, host: NeighbourHost) {
		this.inDevice = inDevice;
		this.#kernel = kernel;
		this.#host = host;
	}

	/** The entry of an address, if there is one. */
	get(ip: Ip4): Neighbour | undefined {
		return this.#entries.get(ip) ?? (this.#promised === undefined ? undefined : this.#keep(ip));
	}

	/**
	 * Further entries come from `promised`, each when it is first asked for, as if all had been set by hand now. In place of
	 * others promised before.
	 */
	promise(promised: PromisedNeighbours): void {
		this.#promised = promised;
	}

	/** Makes a promised entry. */
	#keep(ip: Ip4): Neighbour | undefined {
		const mac = this.#promised?.take(ip);
		return mac === undefined ? undefined : this.#make(ip, mac);
	}

	#make(ip: Ip4, mac: Mac): Neighbour {
		const neighbour = this.#add(ip);
		this.#apply(neighbour, { kind: "set", mac, state: "permanent" });
		return neighbour;
	}

	/** All entries, by address. */
	entries(): Neighbour[] {
		for (const [ip, mac] of this.#promised?.takeAll() ?? []) this.#make(ip, mac);
		this.#promised = undefined;
		return [...this.#entries.values()].sort((a, b) => compareIp4(a.ip, b.ip));
	}

	/** The entry of an address, made when it is not there (`__neigh_create`). */
	ensure(ip: Ip4): Neighbour {
		return this.get(ip) ?? this.#add(ip);
	}

	#add(ip: Ip4): Neighbour {
		if (this.#entries.size >= this.#kernel.neighbourGc.gc_thresh3) this.#makeRoom();
		const facts = created(this.#kernel.world.scheduler.now, this.#host.mapped(this.inDevice, ip));
		const neighbour = new Neighbour(ip, facts, this.#onTimer);
		this.#entries.set(ip, neighbour);
		return neighbour;
	}

	/** The oldest entries that nobody set by hand go first (`neigh_forced_gc`). */
	#makeRoom(): void {
		for (const neighbour of this.#entries.values()) {
			if (neighbour.facts.state === "permanent") continue;
			this.remove(neighbour.ip);
			if (this.#entries.size < this.#kernel.neighbourGc.gc_thresh3) return;
		}
	}

	/**
	 * Sends an IPv4 packet to a neighbour, or lets it wait while the neighbour is asked. Takes the frame,
	 * which starts at its IPv4 header.
	 */
	output(frame: Frame, neighbour: Neighbour): void {
		if (neighbour.underWay) {
			neighbour.used = this.#kernel.world.scheduler.now;
		} else if (!neighbour.connected) {
			this.#apply(neighbour, { kind: "wanted" });
			if (!isValid(neighbour.facts.state)) return this.#wait(frame, neighbour);
		}
		const device = this.inDevice.device;
		frame.push(ethernet.OCTETS);
		ethernet.writeParts(
			frame.view,
			frame.start,
			neighbour.macHigh,
			neighbour.macLow,
			device.macHigh,
			device.macLow,
			ethernet.TYPE_IPV4,
		);
		device.transmit(frame);
	}

	/** Queues a packet of an entry that is being asked; the oldest go when too much waits. */
	#wait(frame: Frame, neighbour: Neighbour): void {
		if (neighbour.facts.state === "failed" || neighbour.facts.state === "none") {
			return this.inDevice.device.dropOut(frame, "neigh-failed");
		}
		const octets = truesize(frame.length);
		while (
			neighbour.waiting.length > 0 &&
			neighbour.waitingOctets + octets > this.inDevice.neigh.unres_qlen_bytes
		) {
			const oldest = neighbour.waiting.shift();
			if (oldest === undefined) break;
			neighbour.waitingOctets -= truesize(oldest.length);
			neighbour.unresolvedDiscards++;
			this.inDevice.device.dropOut(oldest, "neigh-queuefull");
		}
		neighbour.waiting.push(frame);
		neighbour.waitingOctets += octets;
		// The first request goes out with the packet that asked already waiting: ARP takes its source address.
		if (this.#unasked === neighbour) {
			this.#unasked = undefined;
			this.#host.solicit(this.inDevice, neighbour.ip, undefined, frame);
		}
	}

	/** An entry whose first request waits for its first packet to be queued. */
	#unasked: Neighbour | undefined;

	/** Starts resolution without a packet (`neigh_event_send` with none). */
	probe(ip: Ip4): void {
		const neighbour = this.ensure(ip);
		this.#apply(neighbour, { kind: "wanted" });
		if (this.#unasked !== neighbour) return;
		this.#unasked = undefined;
		this.#host.solicit(this.inDevice, ip, undefined, undefined);
	}

	/** An address was heard in ARP. `create` makes an entry for it (`neigh_event_ns`). */
	heard(ip: Ip4, mac: Mac, as: "reachable" | "stale", override: boolean, create: boolean): void {
		const neighbour = create ? this.ensure(ip) : this.get(ip);
		if (neighbour !== undefined) this.#apply(neighbour, { kind: "heard", mac, as, override });
	}

	/** An upper layer hears from the neighbour (`dst_confirm`). */
	confirm(ip: Ip4): void {
		const neighbour = this.get(ip);
		if (neighbour === undefined) return;
		// With every segment that acknowledges something: the facts take it over with the next event.
		const { now } = this.#kernel.world.scheduler;
		this.#redraw(now);
		neighbour.confirmed = now;
	}

	/** `ip neigh replace`. */
	set(ip: Ip4, mac: Mac | undefined, state: NudState): void {
		this.#apply(this.ensure(ip), { kind: "set", mac, state });
	}

	/** `ip neigh del`: what waits is dropped; says whether the entry was there. */
	remove(ip: Ip4): boolean {
		const neighbour = this.get(ip);
		if (neighbour === undefined) return false;
		this.#entries.delete(ip);
		neighbour.dead = true;
		neighbour.connected = false;
		neighbour.rest();
		for (const frame of neighbour.waiting.splice(0)) this.inDevice.device.dropOut(frame, "neigh-dead");
		return true;
	}

	/** `ip neigh flush`: everything but what was set by hand. */
	flush(): void {
		for (const { ip, facts } of [...this.#entries.values()]) {
			if (facts.state !== "permanent" && facts.state !== "noarp") this.remove(ip);
		}
	}

	/** The device lost its carrier: everything but what is there for good goes (`neigh_carrier_down`). */
	carrierDown(): void {
		for (const { ip, facts } of [...this.#entries.values()]) if (facts.state !== "permanent") this.remove(ip);
	}

	/**
	 * All entries go: the device went down, or has another address (`neigh_ifdown`, `neigh_changeaddr`).
	 */
	clear(): void {
		this.#promised = undefined;
		for (const { ip } of this.entries()) this.remove(ip);
	}

	#apply(neighbour: Neighbour, event: NeighbourEvent): void {
		const now = this.#kernel.world.scheduler.now;
		const before = neighbour.facts.state;
		const { used, confirmed } = neighbour;
		const known =
			used > neighbour.facts.used || confirmed > neighbour.facts.confirmed
				? { ...neighbour.facts, used, confirmed }
				: neighbour.facts;
		const [facts, effects] = step(known, event, this.#times(now), now);
		neighbour.follow(facts);
		for (const effect of effects) {
			switch (effect.kind) {
				case "wake":
					this.#kernel.arm(neighbour.timer, effect.after);
					break;
				case "rest":
					neighbour.rest();
					break;
				case "ask":
					if (event.kind === "wanted" && (before === "none" || before === "failed"))
						this.#unasked = neighbour;
					else this.#host.solicit(this.inDevice, neighbour.ip, effect.to, neighbour.waiting.at(-1));
					break;
				case "release":
					this.#release(neighbour);
					break;
				case "give-up":
					this.#giveUp(neighbour);
					break;
			}
		}
	}

	#release(neighbour: Neighbour): void {
		const waiting = neighbour.waiting;
		neighbour.waiting = [];
		neighbour.waitingOctets = 0;
		for (const frame of waiting) this.output(frame, neighbour);
	}

	#giveUp(neighbour: Neighbour): void {
		const waiting = neighbour.waiting;
		neighbour.waiting = [];
		neighbour.waitingOctets = 0;
		for (const frame of waiting) this.#host.unreachable(frame, this.inDevice);
	}

	#redraw(now: number): void {
		const base = milliseconds(this.inDevice.neigh.base_reachable_time_ms);
		if (now - this.#drawn < REDRAW && base === this.#base) return;
		this.#drawn = now;
		this.#base = base;
		this.#reachable = base / 2 + this.#kernel.rng.below(Math.max(1, Math.floor(base / 1000))) * 1000;
	}

	#times(now: number): NeighbourTimes {
		this.#redraw(now);
		const conf = this.inDevice.neigh;
		return {
			reachable: this.#reachable,
			baseReachable: this.#base,
			retrans: milliseconds(conf.retrans_time_ms),
			delayFirstProbe: seconds(conf.delay_first_probe_time),
			ucastSolicit: conf.ucast_solicit,
			mcastSolicit: conf.mcast_solicit,
		};
	}
}

/** What a queued packet of this many octets is charged for: data rounded up, `sk_buff`, shared info. */
function truesize(octets: number): number {
	const data = octets + 64 + 320;
	return 256 + 2 ** Math.ceil(Math.log2(data));
}
