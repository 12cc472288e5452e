import type { Listing } from "../../cnm/index.ts";
import type { Operation } from "../../sim/index.ts";
import type { ServiceObject } from "../objects.ts";
import type { TaskLine } from "./lists.ts";
import type { PendingCall } from "./pending-call.ts";
import type { ServiceJson } from "./service-json.ts";
import type { ServiceUpdateOptions } from "./service-options.ts";
import type { Services } from "./services.ts";
import type { TaskFilter } from "./task-filter.ts";

/** A service: what `docker service create` gives, and what the commands on it give again. */
export class Service {
	/** As it was asked for. */
	readonly name: string;
	readonly #services: Services;
	readonly #call: PendingCall;

	constructor(name: string, services: Services, call: PendingCall) {
		this.name = name;
		this.#services = services;
		this.#call = call;
	}

	/** 25 digits and letters; "" until the managers have agreed upon it. */
	get id(): string {
		return this.#call.id ?? "";
	}

	/** What was asked for last is agreed upon among the managers. */
	get ready(): Operation<undefined> {
		return this.#call.operation();
	}

	/**
	 * What the command waits for without `-d`: all tasks run, and still do after the monitoring period. Fails with
	 * `NetError` "service update paused: …" when they do not come to it.
	 */
	converged(): Operation<undefined> {
		return this.#services.converged(this.#call, this.name);
	}

	/** The service's object, as managers keep it; undefined when it is not agreed upon, or removed. */
	get object(): ServiceObject | undefined {
		return this.#services.object(this.id);
	}

	/** `docker service inspect`. Throws `DockerError` 404. */
	inspect(): ServiceJson {
		return this.#services.inspect(this.#term);
	}

	/** `docker service ps`; `text()` of it is what the command prints. Throws `DockerError` 404. */
	ps(filter: TaskFilter = {}): Listing<TaskLine> {
		return this.#services.ps(this.#term, filter);
	}

	/** `docker service update`. Throws `DockerError`, `NetError`. */
	update(options: ServiceUpdateOptions): Service {
		return this.#services.update(this.#term, options);
	}

	/** `docker service scale`. Throws `DockerError`, `NetError`. */
	scale(replicas: number): Service {
		return this.#services.scale(this.#term, replicas);
	}

	/** `docker service rollback`. Throws `DockerError`. */
	rollback(): Service {
		return this.#services.rollback(this.#term);
	}

	/** `docker service rm`. Throws `DockerError` 404. */
	rm(): Operation<undefined> {
		return this.#services.rm(this.#term);
	}

	get #term(): string {
		return this.id === "" ? this.name : this.id;
	}
}
