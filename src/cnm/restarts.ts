import { type Instant, milliseconds, type Nanoseconds, seconds, Timer } from "../sim/index.ts";
import type { IpNamespace, Kernel } from "../stack/index.ts";
import type { Container } from "./container.ts";
import { cliRefuses, invalid } from "./docker-error.ts";

/** `HostConfig.RestartPolicy`. */
export interface ContainerRestartPolicy {
	readonly Name: string;
	/** Starts at most, of `on-failure`; 0 for no end. */
	readonly MaximumRetryCount: number;
}

const FIRST = milliseconds(100);
const LONGEST = seconds(60);
/** Who ran so long begins with the first delay again. */
const WELL = seconds(10);

/** Reads `--restart`: `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:5`. Throws `NetError`, `DockerError` 400. */
export function readRestart(text = "no"): ContainerRestartPolicy {
	const [name = "", count, more] = text.split(":");
	if (more !== undefined) throw cliRefuses("invalid restart policy format");
	if (count !== undefined && !/^[+-]?\d+$/.test(count))
		throw cliRefuses("maximum retry count must be an integer");
	const most = Number(count ?? 0);
	if (name === "on-failure") {
		if (most < 0) throw invalid("maximum retry count cannot be negative");
	} else if (name === "no" || name === "always" || name === "unless-stopped") {
		if (most !== 0) throw invalid(`maximum retry count cannot be used with restart policy '${name}'`);
	} else if (name !== "") throw invalid(`invalid restart policy '${name}'`);
	return { Name: name, MaximumRetryCount: most };
}

interface Waiting {
	readonly timer: Timer;
	delay: Nanoseconds;
	began: Instant;
}

/**
 * Starts containers again whose programs ended, as their policy says: 100 ms later, then 200 ms and so on up to a minute
 * (restartmanager).
 */
export class Restarts<N extends IpNamespace> {
	readonly #kernel: Kernel;
	readonly #start: (container: Container<N>) => void;
	readonly #known = new Map<Container<N>, Waiting>();

	/** `start` starts one whose time has come. */
	constructor(kernel: Kernel, start: (container: Container<N>) => void) {
		this.#kernel = kernel;
		this.#start = start;
	}

	/** It runs; `anew` when a user started it and it counts from the beginning. */
	started(container: Container<N>, anew: boolean): void {
		if (anew) {
			this.cancel(container);
			container.restartCount = 0;
		}
		if (container.restartPolicy.Name === "no" || container.restartPolicy.Name === "") return;
		const known = this.#known.get(container) ?? { timer: this.#timer(container), delay: 0, began: 0 };
		known.began = this.#kernel.world.scheduler.now;
		this.#known.set(container, known);
	}

	#timer(container: Container<N>): Timer {
		return new Timer(() => {
			this.#start(container);
		});
	}

	/** Its program ended by itself: whether it will be started again. */
	ended(container: Container<N>, exitCode: number): boolean {
		const known = this.#known.get(container);
		const { Name, MaximumRetryCount: most } = container.restartPolicy;
		if (known === undefined) return false;
		const spent = most > 0 && container.restartCount >= most;
		if (Name === "on-failure" && (exitCode === 0 || spent)) {
			this.cancel(container);
			return false;
		}
		if (this.#kernel.world.scheduler.now - known.began >= WELL) known.delay = 0;
		known.delay = known.delay === 0 ? FIRST : Math.min(2 * known.delay, LONGEST);
		container.restartCount++;
		// The daemon sleeps by a timer of high resolution. A machine that stands still starts nobody.
		known.timer.power = this.#kernel.power;
		this.#kernel.world.scheduler.after(known.delay, known.timer);
		return true;
	}

	/** A user stopped it, or it is removed. */
	cancel(container: Container<N>): void {
		this.#known.get(container)?.timer.cancel();
		this.#known.delete(container);
	}

	/** The machine loses power. */
	forget(): void {
		for (const { timer } of this.#known.values()) timer.cancel();
		this.#known.clear();
	}
}
