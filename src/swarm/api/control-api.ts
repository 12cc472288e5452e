import { NetError } from "../../errors.ts";
import type { Rng } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";
import { kernelClock } from "../manager/clock.ts";
import { newId } from "../identity.ts";
import type { Store } from "../store/store.ts";
import type { Reader } from "../store/tables.ts";
import type { Transaction } from "../store/transaction.ts";
import { checkNetworkCreate, checkNetworkRemove, createNetwork } from "./control-networks.ts";
import {
	checkNodeRemove,
	checkNodeUpdate,
	type ManagerStatusOf,
	removeNode,
	updateNode,
} from "./control-nodes.ts";
import {
	checkCreate,
	checkRemove,
	checkRollback,
	checkUpdate,
	createService,
	rollbackService,
	updateService,
} from "./control-services.ts";
import type { ControlClient, ControlRequest, ControlResult } from "./requests.ts";

/** What the control API works on. */
export interface ControlApiOptions {
	/** The leader's. */
	readonly store: Store;
	readonly kernel: Kernel;
	/** A stream of its own: ids of what is made. */
	readonly rng: Rng;
	/** What the raft group knows of a manager; what stands in the node's object unless said. */
	readonly managerStatus?: ManagerStatusOf;
}

/** What a leader is asked by managers' users (swarmkit manager/controlapi). */
export class ControlApi implements ControlClient {
	readonly #store: Store;
	readonly #rng: Rng;
	readonly #now: () => string;
	readonly #statusOf: ManagerStatusOf;

	constructor({ store, kernel, rng, managerStatus }: ControlApiOptions) {
		this.#store = store;
		this.#statusOf = managerStatus ?? ((id) => store.get("node", id)?.managerStatus);
		this.#rng = rng;
		const clock = kernelClock(kernel);
		this.#now = () => clock.timestamp();
	}

	/**
	 * Does what is asked. Throws `DockerError` for what is refused as things are now; `done` is called when it is agreed
	 * upon, or with why it was refused after all.
	 */
	call(request: ControlRequest, done: (result: ControlResult | NetError) => void): void {
		check(this.#store, request, this.#statusOf);
		const id = "id" in request ? request.id : newId(this.#rng);
		this.#store.update(
			(tx) => {
				write(tx, request, id, this.#statusOf, this.#now());
			},
			(error) => {
				if (error !== undefined && !(error instanceof NetError)) throw error as Error;
				done(error ?? { id });
			},
		);
	}
}

function check(reader: Reader, request: ControlRequest, statusOf: ManagerStatusOf): void {
	switch (request.method) {
		case "createService":
			return checkCreate(reader, request.spec);
		case "updateService":
			return checkUpdate(reader, request.id, request.spec, request.specVersion);
		case "rollbackService":
			return checkRollback(reader, request.id);
		case "removeService":
			return checkRemove(reader, request.id);
		case "updateNode":
			return checkNodeUpdate(reader, request.id, request.changes, statusOf);
		case "removeNode":
			return checkNodeRemove(reader, request.id, request.force, statusOf);
		case "createNetwork":
			return checkNetworkCreate(reader, request.spec);
		case "removeNetwork":
			return checkNetworkRemove(reader, request.id);
	}
}

function write(
	tx: Transaction,
	request: ControlRequest,
	id: string,
	statusOf: ManagerStatusOf,
	now: string,
): void {
	switch (request.method) {
		case "createService":
			return createService(tx, id, request.spec, now);
		case "updateService":
			return updateService(tx, id, request.spec, request.specVersion, now);
		case "rollbackService":
			return rollbackService(tx, id, now);
		case "updateNode":
			return updateNode(tx, id, request.changes, statusOf, now);
		case "removeNode":
			return removeNode(tx, id, request.force, statusOf, now);
		case "createNetwork":
			return createNetwork(tx, id, request.spec, now);
		case "removeService":
			check(tx, request, statusOf);
			return tx.delete("service", id);
		case "removeNetwork":
			check(tx, request, statusOf);
			return tx.delete("network", id);
	}
}
