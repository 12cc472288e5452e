import type { LoadBalancerSandbox } from "./load-balancer-sandbox.ts";

/** A change of the real servers of one service. */
type Change = (sandbox: LoadBalancerSandbox) => void;

/**
 * The real servers of one service of IPVS. Of a large cluster they are put in when somebody looks at them, a packet or
 * `ipvsadm`: few nodes use each service. What changes until then is done then, in the same order.
 */
export class RealServers {
	readonly #sandbox: LoadBalancerSandbox;
	readonly #fwMark: number;
	/** What is to be done when somebody looks; undefined while nothing waits for that. */
	#waiting: Change[] | undefined;

	/** Those of the service by a mark, which is there. */
	constructor(sandbox: LoadBalancerSandbox, fwMark: number) {
		this.#sandbox = sandbox;
		this.#fwMark = fwMark;
	}

	/** Changes them, at once unless something waits. */
	change(change: Change): void {
		if (this.#waiting === undefined) change(this.#sandbox);
		else this.#waiting.push(change);
	}

	/** Changes them when somebody looks. */
	later(change: Change): void {
		if (this.#waiting === undefined) {
			this.#waiting = [];
			this.#sandbox.ns.ipvs.promiseDestinations({ fwmark: this.#fwMark }, () => {
				for (const each of this.drop()) each(this.#sandbox);
			});
		}
		this.#waiting.push(change);
	}

	/** Nothing waits any more: what would have been done. */
	drop(): readonly Change[] {
		const waiting = this.#waiting ?? [];
		this.#waiting = undefined;
		return waiting;
	}
}
