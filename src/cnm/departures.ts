import { milliseconds, type Nanoseconds, Timer } from "../sim/index.ts";
import type { Kernel } from "../stack/index.ts";
import type { Network } from "./network.ts";
import type { Sandbox } from "./sandbox.ts";

/** From the end of a container's process to the removal of its network, on an ordinary machine. */
export const NETWORK_RELEASE: Nanoseconds = milliseconds(50);

interface Departure {
	readonly sandbox: Sandbox;
	readonly release: () => void;
	readonly timer: Timer;
}

/**
 * Sandboxes whose container has stopped and that the daemon has not yet taken away: the kernel closed the sockets of its
 * processes, and what TCP still has to say is said, heard and answered meanwhile.
 *
 *     stop ── FIN out ── answers in ──────── release: rules, names, interfaces, addresses, namespace
 *     └─────────── NETWORK_RELEASE ─────────────────┘
 *
 * Commands are asked for in no time here, where each of them takes the daemon longer than this: what must not find the old
 * sandbox in its way has it taken away first (`finish`).
 */
export class Departures {
	readonly #kernel: Kernel;
	readonly #going = new Set<Departure>();

	constructor(kernel: Kernel) {
		this.#kernel = kernel;
	}

	/** The processes in a sandbox have ended; `release` takes away what there still is, once. */
	begin(sandbox: Sandbox, release: () => void): void {
		sandbox.leaving = true;
		const timer = new Timer(() => {
			this.#going.delete(departure);
			release();
		});
		const departure: Departure = { sandbox, release, timer };
		this.#going.add(departure);
		this.#kernel.sleep(timer, NETWORK_RELEASE);
	}

	/** What still goes, of one network if said, is gone now; what it sent is on its way. */
	finish(network?: Network): void {
		for (const departure of [...this.#going]) {
			const { sandbox, release, timer } = departure;
			if (network !== undefined && !sandbox.endpoints.some((each) => each.network === network)) continue;
			// The taking away of another one may have done it.
			if (!this.#going.delete(departure)) continue;
			timer.cancel();
			if (sandbox.own) sandbox.ns.flush();
			release();
		}
	}

	/** The machine loses power: nobody takes anything away any more. */
	forget(): void {
		for (const { timer } of this.#going) timer.cancel();
		this.#going.clear();
	}
}
