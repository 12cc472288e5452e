import { NetError } from "../errors.ts";
import type { Scheduler } from "./scheduler.ts";
import { type Duration, type Instant, parseDuration } from "./time.ts";

/** Events after which a long run lets the host program breathe. */
const BREATH = 65_536;
/** Turns given to the host program before "nothing is left to happen" is believed. */
const PATIENCE = 4;

/** How an operation ends. The first call counts. */
export interface Settle<T> {
	resolve(value: T): void;
	reject(error: unknown): void;
}

/**
 * Something that takes virtual time. It starts when it is made; the clock runs while somebody awaits it.
 * A rejection that nobody awaits stays unreported.
 */
export class Operation<T> implements PromiseLike<T> {
	readonly #promise: Promise<T>;
	readonly #awaited: () => void;

	constructor(promise: Promise<T>, awaited: () => void) {
		this.#promise = promise;
		this.#awaited = awaited;
		promise.catch(() => undefined);
	}

	then<A = T, B = never>(
		fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
		rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
	): Promise<A | B> {
		this.#awaited();
		return this.#promise.then(fulfilled, rejected);
	}

	/** As a promise's; awaiting by it drives the clock too. */
	catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
		return this.then(null, rejected);
	}

	/** As a promise's; awaiting by it drives the clock too. */
	finally(settled?: (() => void) | null): Promise<T> {
		this.#awaited();
		return this.#promise.finally(settled);
	}
}

/** How an operation waits. */
export interface Manner {
	/** Says in an error what still waits: "recvfrom on c1 udp port 53". */
	readonly what: string;
	/**
	 * `drives` (unless said): the clock runs while somebody awaits it, and when nothing is left to happen it fails with
	 * EDEADLK. `patient`: it drives too, but goes on waiting when nothing is left, as a stream does whose other side may
	 * still be written to. `idle`: others have to drive.
	 */
	readonly manner?: "drives" | "patient" | "idle";
}

interface Waiting {
	readonly what: string;
	readonly patient: boolean;
	readonly reject: (error: unknown) => void;
}

/**
 * Awaiting drives the clock: while an awaited operation is unsettled, events run; when one settles, the run
 * stops at that very instant until the program has taken note. When nobody awaits, time stands still.
 */
export class Driver {
	readonly #scheduler: Scheduler;
	/** Operations that are awaited and not settled. */
	readonly #awaited = new Set<Waiting>();
	/** Instants somebody wants to be reached, earliest first. */
	readonly #targets: { readonly instant: Instant; readonly reached: () => void }[] = [];
	#settled = 0;
	/** How often somebody began to wait. */
	#asked = 0;
	#pumping = false;

	constructor(scheduler: Scheduler) {
		this.#scheduler = scheduler;
	}

	/** Starts an operation. */
	operation<T>(start: (settle: Settle<T>) => void, { what, manner = "drives" }: Manner): Operation<T> {
		let open = true;
		let waiting: Waiting | undefined;
		const finish = (): void => {
			open = false;
			this.#settled++;
			this.#scheduler.halt();
			if (waiting !== undefined) this.#awaited.delete(waiting);
		};
		const promise = new Promise<T>((resolve, reject) => {
			const fail = (error: unknown): void => {
				if (!open) return;
				finish();
				reject(error instanceof Error ? error : new Error(String(error)));
			};
			waiting = { what, patient: manner === "patient", reject: fail };
			start({
				resolve: (value) => {
					if (!open) return;
					finish();
					resolve(value);
				},
				reject: fail,
			});
		});
		return new Operation(promise, () => {
			if (!open || waiting === undefined || manner === "idle") return;
			this.#asked++;
			this.#awaited.add(waiting);
			void this.#pump();
		});
	}

	/** Lets virtual time pass: everything due in it happens. */
	advance(duration: Duration): Operation<undefined> {
		return this.advanceTo(this.#scheduler.now + parseDuration(duration, "duration"));
	}

	/** Lets virtual time pass up to an instant, that instant included. */
	advanceTo(instant: Instant): Operation<undefined> {
		return this.operation<undefined>(
			(settle) => {
				this.#targets.push({ instant, reached: () => settle.resolve(undefined) });
				this.#targets.sort((a, b) => a.instant - b.instant);
			},
			{ what: "advance" },
		);
	}

	async #pump(): Promise<void> {
		if (this.#pumping) return;
		this.#pumping = true;
		let asked = this.#asked;
		try {
			let idle = 0;
			while (this.#awaited.size > 0) {
				const before = this.#settled;
				let done: number;
				try {
					const until = this.#targets[0]?.instant ?? Infinity;
					done = this.#scheduler.run(until, BREATH);
					if (done < BREATH && this.#settled === before) this.#reach(until);
				} catch (error) {
					this.#rejectAll(() => error);
					break;
				}
				await hostTurn();
				idle = done === 0 && this.#settled === before ? idle + 1 : 0;
				if (this.#asked !== asked) idle = 0;
				asked = this.#asked;
				if (idle > PATIENCE) {
					for (const waiting of [...this.#awaited]) {
						if (waiting.patient) continue;
						waiting.reject(
							new NetError("EDEADLK", `nothing is left to happen, and ${waiting.what} still waits`),
						);
					}
					break;
				}
			}
		} finally {
			this.#pumping = false;
		}
		// Somebody may have begun to wait while the last turn ended.
		if (this.#awaited.size > 0 && this.#asked !== asked) void this.#pump();
	}

	/** Nothing more happens up to the next wanted instant: it is that instant now. */
	#reach(instant: Instant): void {
		const target = this.#targets[0];
		if (target === undefined) return;
		this.#targets.shift();
		this.#scheduler.runUntil(instant);
		target.reached();
	}

	#rejectAll(error: (what: string) => unknown): void {
		for (const waiting of [...this.#awaited]) waiting.reject(error(waiting.what));
	}
}

/** Lets the host program run: all its promise continuations, and one turn of its event loop. */
function hostTurn(): Promise<void> {
	const host: { readonly setImmediate?: (then: () => void) => unknown } = globalThis;
	const { setImmediate: immediate } = host;
	if (immediate !== undefined) return new Promise((resolve) => void immediate(resolve));
	return new Promise((resolve) => {
		const { port1, port2 } = new MessageChannel();
		port1.addEventListener("message", () => {
			port1.close();
			resolve();
		});
		port1.start();
		port2.postMessage(null);
	});
}
