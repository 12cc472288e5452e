import type { Jiffies, Scheduler } from "../../sim/index.ts";
import { KernelTimer } from "../../sim/index.ts";
import type { stp } from "../../wire/index.ts";

/** 0x80 of 802.1D in the six bits that leave room for 1,023 ports (`BR_PORT_BITS`). */
const PRIORITY = 32;
const NUMBER_BITS = 10;

/** What happens when a port's timers fire; the tree decides. */
export interface PortTimers {
	messageAgeExpired(port: StpPort): void;
	forwardDelayExpired(port: StpPort): void;
	holdExpired(port: StpPort): void;
}

/** What the tree asks of the bridge port it is about. */
export interface StatefulPort {
	/** 802.1D's state; only `forwarding` passes frames. */
	state: PortState;
}

/** What a port does with frames, in the order of 802.1D. */
export type PortState = "disabled" | "listening" | "learning" | "forwarding" | "blocking";

/**
 * What the spanning tree keeps of one port: its number and cost, the best it heard there, and its timers
 * (`struct net_bridge_port`). Made with the port; the timers with their first use.
 */
export class StpPort<Port extends StatefulPort = StatefulPort> {
	readonly port: Port;
	/** 1 to 1023, the lowest that was free. */
	readonly number: number;
	/** 0 to 63. */
	priority: number = PRIORITY;
	/** Of a path by this port. */
	cost: number;
	/** The cost was set by hand and does not follow the device's speed. */
	costSet = false;
	designatedRoot: stp.BridgeId;
	designatedCost = 0;
	designatedBridge: stp.BridgeId;
	designatedPort: number;
	/** Tick at which the information kept here was new. */
	designatedAge = 0;
	topologyChangeAck = false;
	configPending = false;
	readonly #timers: { readonly scheduler: Scheduler; readonly jiffies: Jiffies; readonly tree: PortTimers };
	#messageAge: KernelTimer | undefined;
	#forwardDelay: KernelTimer | undefined;
	#hold: KernelTimer | undefined;

	constructor(
		port: Port,
		number: number,
		cost: number,
		bridge: stp.BridgeId,
		timers: { readonly scheduler: Scheduler; readonly jiffies: Jiffies; readonly tree: PortTimers },
	) {
		this.port = port;
		this.number = number;
		this.cost = cost;
		this.designatedRoot = bridge;
		this.designatedBridge = bridge;
		this.designatedPort = this.id;
		this.#timers = timers;
	}

	/** Priority and number in one word, as BPDUs carry it. */
	get id(): number {
		return (this.priority << NUMBER_BITS) | this.number;
	}

	/** The other end's information is forgotten when it fires. */
	get messageAgeTimer(): KernelTimer {
		return (this.#messageAge ??= this.#timer(() => {
			this.#timers.tree.messageAgeExpired(this);
		}));
	}

	/** From listening to learning, from learning to forwarding. */
	get forwardDelayTimer(): KernelTimer {
		return (this.#forwardDelay ??= this.#timer(() => {
			this.#timers.tree.forwardDelayExpired(this);
		}));
	}

	/** Keeps configuration messages a second apart. */
	get holdTimer(): KernelTimer {
		return (this.#hold ??= this.#timer(() => {
			this.#timers.tree.holdExpired(this);
		}));
	}

	#timer(action: () => void): KernelTimer {
		return new KernelTimer(this.#timers.scheduler, this.#timers.jiffies, action);
	}

	/** What was heard from the other end is not waited for again. */
	cancelMessageAge(): void {
		this.#messageAge?.cancel();
	}

	/** Its state is not about to change. */
	cancelForwardDelay(): void {
		this.#forwardDelay?.cancel();
	}

	/** Stops all its timers. */
	cancelTimers(): void {
		this.#messageAge?.cancel();
		this.#forwardDelay?.cancel();
		this.#hold?.cancel();
	}
}
