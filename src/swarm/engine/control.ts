import { NetError } from "../../errors.ts";
import type { Rng } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";
import {
	ControlApi,
	controlCalls,
	type ControlClient,
	type ControlRequest,
	type ControlResult,
} from "../api/index.ts";
import type { ClusterLogic } from "../cluster-logic.ts";
import { LeaderLogic } from "../manager/index.ts";
import type { SwarmNode } from "../node.ts";
import type { Store } from "../store/store.ts";

/**
 * The control API of one node: what it decides itself while it leads, and the way to the leader otherwise. While it leads,
 * what is refused is thrown at once.
 */
export class NodeControlApi implements ControlClient {
	readonly #kernel: Kernel;
	readonly #rng: Rng;
	#reigns = 0;
	#own: ControlApi | undefined;
	/** The way to others. */
	node: SwarmNode | undefined;

	constructor(kernel: Kernel, rng: Rng) {
		this.#kernel = kernel;
		this.#rng = rng;
	}

	/** What decides for the cluster while this node leads. */
	logic(store: Store): ClusterLogic {
		const rng = this.#rng.fork(`reign/${String(++this.#reigns)}`);
		const leader = new LeaderLogic({ store, kernel: this.#kernel, rng: rng.fork("logic") });
		const api = new ControlApi({
			store,
			kernel: this.#kernel,
			rng: rng.fork("api"),
			managerStatus: (id) => this.node?.managerStatus(id),
		});
		return {
			start: () => {
				this.#own = api;
				leader.start();
			},
			stop: () => {
				this.#own = undefined;
				leader.stop();
			},
			call: controlCalls(api),
		};
	}

	call(request: ControlRequest, done: (result: ControlResult | NetError) => void): void {
		if (this.#own !== undefined) {
			this.#own.call(request, done);
			return;
		}
		this.node?.control(request.method, request, (result) => {
			done(result instanceof NetError ? result : (result.body as ControlResult));
		});
	}
}
