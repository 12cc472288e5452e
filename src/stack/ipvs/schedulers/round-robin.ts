import type { Destination, Service } from "../service.ts";
import type { Scheduler } from "./scheduler.ts";

/** Round robin, net/netfilter/ipvs/ip_vs_rr.c: the next in the list, which has the newest first. */
export class RoundRobin implements Scheduler {
	readonly name = "rr";
	readonly #service: Service;
	/** The one chosen last; undefined stands for the head of the list. */
	#last: Destination | undefined;
	/** Where it was found, and most often still is. */
	#at = -1;

	constructor(service: Service) {
		this.#service = service;
	}

	schedule(): Destination | undefined {
		const { destinations } = this.#service;
		if (this.#last === undefined) this.#at = -1;
		else if (destinations[this.#at] !== this.#last) this.#at = destinations.indexOf(this.#last);
		for (let i = 1; i <= destinations.length; i++) {
			// From the head all are asked once; from one of the list that one is asked last.
			const at = (this.#at + i) % destinations.length;
			const destination = destinations[at]!;
			if (!destination.eligible) continue;
			this.#at = at;
			return (this.#last = destination);
		}
		return undefined;
	}

	changed(): void {
		// The list alone says who is next.
	}

	removed(destination: Destination, index: number): void {
		// What follows the one removed is next: its neighbour before it counts as chosen last.
		if (this.#last === destination) this.#last = this.#service.destinations[index - 1];
	}
}

/**
 * Weighted round robin, net/netfilter/ipvs/ip_vs_wrr.c. Passes over the list: the first takes those of the highest
 * weight, each further one lowers the bar by the weights' greatest common divisor.
 */
export class WeightedRoundRobin implements Scheduler {
	readonly name = "wrr";
	readonly #service: Service;
	/** Where the pass stands; -1 for the head of the list. */
	#at = -1;
	/** Weight that is asked for now (`cw`), where passes begin (`mw`), and the step between them (`di`). */
	#bar: number;
	#highest: number;
	#step: number;

	constructor(service: Service) {
		this.#service = service;
		this.#step = this.#commonStep();
		this.#highest = this.#heaviest() - (this.#step - 1);
		this.#bar = this.#highest;
	}

	schedule(): Destination | undefined {
		if (this.#highest <= 0) return undefined;
		const { destinations } = this.#service;
		const begun = this.#at;
		let stop = -1;
		let lastPass = false;
		let restarted = false;
		for (;;) {
			for (this.#at++; this.#at < destinations.length; this.#at++) {
				const destination = destinations[this.#at]!;
				if (!destination.overloaded && destination.weight >= this.#bar) return destination;
				if (this.#at === stop) return undefined;
			}
			this.#at = -1;
			this.#bar -= this.#step;
			if (this.#bar <= 0) {
				this.#bar = this.#highest;
				if (lastPass || begun === -1) return undefined;
				restarted = true;
			}
			lastPass = this.#bar <= this.#step;
			if (lastPass && restarted && begun !== -1) stop = begun;
		}
	}

	changed(): void {
		this.#at = -1;
		this.#step = this.#commonStep();
		this.#highest = this.#heaviest() - (this.#step - 1);
		if (this.#bar > this.#highest || this.#bar === 0) this.#bar = this.#highest;
		else if (this.#step > 1) this.#bar = Math.trunc(this.#bar / this.#step) * this.#step + 1;
	}

	removed(): void {
		this.changed();
	}

	#heaviest(): number {
		return this.#service.destinations.reduce((most, { weight }) => Math.max(most, weight), 0);
	}

	#commonStep(): number {
		const weights = this.#service.destinations.map(({ weight }) => weight).filter((weight) => weight > 0);
		return weights.reduce(greatestCommonDivisor, 0) || 1;
	}
}

const greatestCommonDivisor = (a: number, b: number): number =>
	b === 0 ? a : greatestCommonDivisor(b, a % b);
