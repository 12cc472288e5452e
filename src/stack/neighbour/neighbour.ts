import { type Ip4, type Mac, macHigh, macLow } from "../../addr/index.ts";
import { Timer } from "../../sim/index.ts";
import type { Frame } from "../../wire/index.ts";
import { isConnected, type NeighbourFacts } from "./state.ts";

/**
 * One entry of the neighbour table: the facts of the state machine, the address as a frame wants it,
 * and the packets that wait for it.
 */
export class Neighbour {
	readonly ip: Ip4;
	facts: NeighbourFacts;
	/** Packets may go out at once: the one question on the path of a frame. */
	connected = false;
	/** An address is known and a question about it is under way (`delay`, `probe`): packets go out meanwhile. */
	underWay = false;
	/** When a packet last asked for it outside the connected states; newer than `facts.used`. */
	used = 0;
	/** When an upper layer last heard from it; newer than `facts.confirmed`. */
	confirmed = 0;
	/** The address in the two parts in which it is written. */
	macHigh = 0;
	macLow = 0;
	/** Packets that wait for an answer, oldest first. */
	waiting: Frame[] = [];
	/** What the waiting packets are charged for (`arp_queue_len_bytes`). */
	waitingOctets = 0;
	/** Packets given up because too many waited. */
	unresolvedDiscards = 0;
	/** True once taken out of the table. */
	dead = false;
	// Permanent entries never need a timer: it is made when one is armed.
	#timer: Timer | undefined;
	readonly #onTimer: (neighbour: Neighbour) => void;

	constructor(ip: Ip4, facts: NeighbourFacts, onTimer: (neighbour: Neighbour) => void) {
		this.ip = ip;
		this.facts = facts;
		this.#onTimer = onTimer;
		if (facts.mac !== undefined) this.follow(facts);
	}

	/** Fires when its state has lasted its time. */
	get timer(): Timer {
		return (this.#timer ??= new Timer(() => {
			this.#onTimer(this);
		}));
	}

	/** Nothing is waited for. */
	rest(): void {
		this.#timer?.cancel();
	}

	/** Takes new facts over. */
	follow(facts: NeighbourFacts): void {
		this.facts = facts;
		this.connected = isConnected(facts.state);
		this.underWay = facts.state === "delay" || facts.state === "probe";
		this.used = facts.used;
		this.confirmed = facts.confirmed;
		if (facts.mac !== undefined) this.setMac(facts.mac);
	}

	private setMac(mac: Mac): void {
		this.macHigh = macHigh(mac);
		this.macLow = macLow(mac);
	}
}
