import { cliRefuses, DockerError, type Listing } from "../../cnm/index.ts";
import type { Operation } from "../../sim/index.ts";
import type { ServiceObject } from "../objects.ts";
import { converged } from "./convergence.ts";
import { findNetwork, findService } from "./find.ts";
import { type ServiceLine, serviceLines, type TaskLine, taskLines } from "./lists.ts";
import type { ManagerContext } from "./manager-context.ts";
import { PendingCall } from "./pending-call.ts";
import { randomName } from "./random-name.ts";
import type { ControlRequest } from "./requests.ts";
import { Service } from "./service.ts";
import { type ServiceJson, serviceJson } from "./service-json.ts";
import type { ServiceCreateOptions, ServiceUpdateOptions } from "./service-options.ts";
import { createSpec, updateSpec } from "./service-spec.ts";
import { filtered, type TaskFilter } from "./task-filter.ts";

/** `docker service …` on a manager. Refusals throw, or fail the operation when only the leader finds them. */
export class Services {
	readonly #context: ManagerContext;

	constructor(context: ManagerContext) {
		this.#context = context;
	}

	/** `docker service create -d`. Throws `DockerError`, `NetError`; nothing is changed then. */
	create(options: ServiceCreateOptions): Service {
		const { store, rng } = this.#context;
		const taken = (name: string): boolean => store.all("service").some(({ spec }) => spec.name === name);
		const { name: given = "" } = options;
		const name = given === "" ? randomName(rng, taken) : given;
		const spec = createSpec(options, name, (term) => this.#networkId(term));
		return this.#call(name, { method: "createService", spec }, "create");
	}

	/** `docker service update -d`. Throws `DockerError`, `NetError`. */
	update(term: string, options: ServiceUpdateOptions): Service {
		if (options.rollback === true) return this.rollback(term);
		const { id, spec, specVersion } = findService(this.#context.store, term);
		const changed = updateSpec(spec, options, (network) => this.#networkId(network));
		return this.#call(spec.name, { method: "updateService", id, spec: changed, specVersion }, "update");
	}

	/** `docker service scale -d NAME=REPLICAS`. Throws `DockerError`, `NetError`. */
	scale(term: string, replicas: number): Service {
		const { spec } = findService(this.#context.store, term);
		if (spec.mode.kind !== "replicated")
			throw cliRefuses(`${term}: scale can only be used with replicated or replicated-job mode`);
		if (!Number.isInteger(replicas) || replicas < 0) {
			throw cliRefuses(
				`${term}: invalid replicas value ${String(replicas)}: strconv.ParseUint: parsing "${String(replicas)}": invalid syntax`,
			);
		}
		return this.update(term, { replicas });
	}

	/** `docker service rollback -d`: the spec before the last change. Throws `DockerError`. */
	rollback(term: string): Service {
		const { id, spec } = findService(this.#context.store, term);
		return this.#call(spec.name, { method: "rollbackService", id }, "rollback");
	}

	/** `docker service rm`. Its tasks end after it is gone. Throws `DockerError` 404. */
	rm(term: string): Operation<undefined> {
		const { kernel, client, store } = this.#context;
		const { id } = findService(store, term);
		return new PendingCall(
			kernel,
			client,
			{ method: "removeService", id },
			`docker service rm ${term}`,
		).operation();
	}

	/** `docker service ls`; `text()` of it is what the command prints. */
	ls(): Listing<ServiceLine> {
		return serviceLines(this.#context.store);
	}

	/**
	 * `docker service ps [--filter …]`, of one service or several; `text()` of it is what the command prints. Throws
	 * `DockerError` 404.
	 */
	ps(...terms: readonly (string | TaskFilter)[]): Listing<TaskLine> {
		const { store, clock } = this.#context;
		let tasks = terms.flatMap((term) =>
			typeof term === "string" ? store.tasksOf(findService(store, term).id) : [],
		);
		for (const term of terms) if (typeof term !== "string") tasks = filtered(this.#context, tasks, term);
		return taskLines(store, tasks, clock);
	}

	/** `docker service inspect`. Throws `DockerError` 404. */
	inspect(term: string): ServiceJson {
		return serviceJson(findService(this.#context.store, term));
	}

	/** A service by its id, as managers keep it. */
	object(id: string): ServiceObject | undefined {
		return this.#context.store.get("service", id);
	}

	/** What a command without `-d` waits for, when what it asked for is agreed upon. */
	converged(call: PendingCall, name: string): Operation<undefined> {
		const { store, kernel, clock } = this.#context;
		return converged(store, kernel, clock, call, name);
	}

	#call(name: string, request: ControlRequest, command: string): Service {
		const { kernel, client } = this.#context;
		return new Service(
			name,
			this,
			new PendingCall(kernel, client, request, `docker service ${command} ${name}`),
		);
	}

	/** A network that services may be on (moby daemon/cluster/networks.go `populateNetworkID`). */
	#networkId(term: string): string {
		const { store, localNetwork } = this.#context;
		try {
			return findNetwork(store, term).id;
		} catch (error) {
			if (!(error instanceof DockerError) || error.status !== 404 || localNetwork(term) === undefined)
				throw error;
			throw new DockerError(
				403,
				`The network ${localNetwork(term) ?? term} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
				{ remedy: "Create it with { driver: 'overlay' }." },
			);
		}
	}
}
