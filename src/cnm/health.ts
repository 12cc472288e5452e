import { type Duration, type Nanoseconds, parseDuration, Timer } from "../sim/index.ts";
import type { Kernel } from "../stack/index.ts";

/** `HEALTHCHECK`, `--health-interval` and so on: how often a container is asked how it is (docker run reference). */
export interface HealthOptions {
	/** 30 s unless said. */
	readonly interval?: Duration;
	/** Failures in a row that make it unhealthy; 3 unless said. */
	readonly retries?: number;
	/** While it starts up failures do not count; 0 unless said. */
	readonly startPeriod?: Duration;
}

/** `State.Health.Status` of `docker inspect`. */
export type HealthStatus = "starting" | "healthy" | "unhealthy";

const INTERVAL = "30s";
const RETRIES = 3;

/** Asks a container how it is, again and again while it runs (daemon/health.go). */
export class HealthMonitor {
	status: HealthStatus = "starting";
	/** Failures since the last success. */
	failing = 0;
	readonly #kernel: Kernel;
	readonly #probe: () => boolean;
	readonly #changed: (status: HealthStatus) => void;
	readonly #interval: Nanoseconds;
	readonly #retries: number;
	readonly #counts: Nanoseconds;
	readonly #timer = new Timer(() => {
		this.#ask();
	});

	/** `probe` says whether it is well; `changed` hears of each new status. The first question comes after an interval. */
	constructor(
		kernel: Kernel,
		options: HealthOptions,
		probe: () => boolean,
		changed: (status: HealthStatus) => void,
	) {
		this.#kernel = kernel;
		this.#probe = probe;
		this.#changed = changed;
		this.#interval = parseDuration(options.interval ?? INTERVAL, "interval");
		this.#retries = options.retries ?? RETRIES;
		this.#counts = kernel.world.scheduler.now + parseDuration(options.startPeriod ?? 0, "startPeriod");
		kernel.sleep(this.#timer, this.#interval);
	}

	#ask(): void {
		const well = this.#probe();
		const now = this.#kernel.world.scheduler.now;
		const old = this.status;
		if (well) {
			this.failing = 0;
			this.status = "healthy";
		} else if (old !== "starting" || now >= this.#counts) {
			if (++this.failing >= this.#retries) this.status = "unhealthy";
		}
		this.#kernel.sleep(this.#timer, this.#interval);
		if (this.status !== old) this.#changed(this.status);
	}

	/** The container stopped. */
	stop(): void {
		this.#timer.cancel();
	}
}
