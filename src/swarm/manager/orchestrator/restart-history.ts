import type { Instant } from "../../../sim/index.ts";
import type { Clock } from "../clock.ts";
import type { RestartPolicy, ServiceObject, TaskObject } from "../../objects.ts";
import { placeKey, placeOf } from "./task.ts";

interface Restarted {
	readonly specVersion: number | undefined;
	total: number;
	/** When, for policies with a window. */
	times: number[];
}

/** How often each place of a service was restarted: `--restart-max-attempts` within `--restart-window`. */
export class RestartHistory {
	readonly #clock: Clock;
	readonly #services = new Map<string, Map<string, Restarted>>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** A task is made because another one ended; `at` is when, now unless said. */
	record(service: ServiceObject, task: TaskObject, at: Instant = this.#clock.now): void {
		if (task.spec.restart.maxAttempts === 0) return;
		let places = this.#services.get(service.id);
		if (places === undefined) this.#services.set(service.id, (places = new Map<string, Restarted>()));
		const key = placeKey(placeOf(service, task));
		let found = places.get(key);
		// Another spec begins to count anew.
		if (found === undefined || found.specVersion !== task.specVersion)
			places.set(key, (found = { specVersion: task.specVersion, total: 0, times: [] }));
		found.total++;
		if (task.spec.restart.window > 0) found.times.push(at);
	}

	/** Whether the policy lets a task that ended have a successor. */
	allows(service: ServiceObject, task: TaskObject): boolean {
		const { restart } = task.spec;
		if (!conditionHolds(restart, task)) return false;
		if (restart.maxAttempts === 0) return true;
		const found = this.#services.get(service.id)?.get(placeKey(placeOf(service, task)));
		if (found === undefined || found.specVersion !== task.specVersion) return true;
		if (restart.window === 0) return found.total < restart.maxAttempts;
		const since = this.#clock.now - restart.window;
		found.times = found.times.filter((at) => at > since);
		return found.times.length < restart.maxAttempts;
	}

	/** The service is gone. */
	forget(serviceId: string): void {
		this.#services.delete(serviceId);
	}
}

const conditionHolds = ({ condition }: RestartPolicy, task: TaskObject): boolean =>
	condition === "any" || (condition === "on-failure" && task.status.state !== "complete");
