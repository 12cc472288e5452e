import { formatIp4, type Ip4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import { seconds, Timer } from "../sim/index.ts";
import type { Kernel } from "../stack/index.ts";
import type { ClusterAttachment, ClusterProvider } from "./cluster.ts";
import { DockerError, failed, notFound } from "./docker-error.ts";

/** How long a container waits for an address (`swarmRequestTimeout`). */
const PATIENCE = seconds(20);
const TIMED_OUT =
	"attaching to network failed, make sure your network options are correct and check manager logs: context deadline exceeded";

/** A network of the cluster's that a container wants to be on. */
export interface AttachRequest {
	/** By name or id. */
	readonly target: string;
	readonly ip: Ip4 | undefined;
}

/** Asks the cluster for places on its networks (the daemon's `findAndAttachNetwork`). */
export class ClusterAttacher {
	readonly #cluster: () => ClusterProvider | undefined;
	readonly #kernel: Kernel;

	constructor(cluster: () => ClusterProvider | undefined, kernel: Kernel) {
		this.#cluster = cluster;
		this.#kernel = kernel;
	}

	/**
	 * Places on all networks, asked for one after the other; when one is refused or does not come in 20 s, the others are
	 * given back. `done` is called once, at once or later, and not after what is returned was called, which gives up.
	 */
	attach(
		requests: readonly AttachRequest[],
		containerId: string,
		done: (result: readonly ClusterAttachment[] | DockerError) => void,
	): () => void {
		const got: ClusterAttachment[] = [];
		let open = true;
		/** Whose answers count. */
		let turn = 0;
		const timer = new Timer(() => {
			giveUp();
			done(failed(TIMED_OUT, { remedy: "Look at the managers: is one reachable, is the network theirs?" }));
		});
		// A machine that stands still does not lose patience.
		timer.power = this.#kernel.power;
		const giveUp = (): void => {
			open = false;
			timer.cancel();
			for (const { target } of requests.slice(0, turn)) this.detach(target, containerId);
		};
		const next = (): void => {
			const request = requests[turn];
			if (request === undefined) {
				open = false;
				return done(got);
			}
			const own = ++turn;
			const cluster = this.#cluster();
			if (cluster === undefined) {
				giveUp();
				return done(notFound(`network ${request.target} not found`));
			}
			const { target, ip } = request;
			const { scheduler } = this.#kernel.world;
			scheduler.at(scheduler.now + PATIENCE, timer);
			cluster.attachNetwork(target, containerId, ip === undefined ? [] : [formatIp4(ip)], (result) => {
				if (!open || turn !== own) return;
				timer.cancel();
				if (result instanceof NetError) {
					turn--;
					giveUp();
					return done(refusal(target, result));
				}
				got.push(result);
				next();
			});
		};
		next();
		return () => {
			if (open) giveUp();
		};
	}

	/** The container is there no longer. */
	detach(target: string, containerId: string): void {
		this.#cluster()?.detachNetwork(target, containerId);
	}
}

/** In the daemon's words. */
const refusal = (target: string, error: NetError): DockerError =>
	error instanceof DockerError
		? error
		: failed(`Could not attach to network ${target}: ${error.message}`, {
				context: error.context,
				...(error.remedy === undefined ? {} : { remedy: error.remedy }),
			});
