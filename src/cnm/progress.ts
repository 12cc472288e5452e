import { type Driver, type Operation, type Settle } from "../sim/index.ts";

/** Work of the daemon's that may take time: how it ended, for all who ask. */
export class Progress<T> {
	readonly #driver: Driver;
	readonly #what: string;
	readonly #waiting: Settle<T>[] = [];
	#outcome: ((settle: Settle<T>) => void) | undefined;

	/** `what` says in an error what still waits. */
	constructor(driver: Driver, what: string) {
		this.#driver = driver;
		this.#what = what;
	}

	/** Work that is done already. */
	static done<T>(driver: Driver, value: T): Progress<T> {
		const progress = new Progress<T>(driver, "nothing");
		progress.resolve(value);
		return progress;
	}

	/** Whether it goes on. */
	get pending(): boolean {
		return this.#outcome === undefined;
	}

	/** It is done. The first end counts. */
	resolve(value: T): void {
		this.#end((settle) => {
			settle.resolve(value);
		});
	}

	/** It failed. */
	reject(error: unknown): void {
		this.#end((settle) => {
			settle.reject(error);
		});
	}

	#end(outcome: (settle: Settle<T>) => void): void {
		if (this.#outcome !== undefined) return;
		this.#outcome = outcome;
		for (const settle of this.#waiting.splice(0)) outcome(settle);
	}

	/** To be awaited; the clock runs while somebody does. */
	get operation(): Operation<T> {
		return this.#driver.operation<T>(
			(settle) => {
				if (this.#outcome === undefined) this.#waiting.push(settle);
				else this.#outcome(settle);
			},
			{ what: this.#what },
		);
	}
}
