import { NetError } from "../../errors.ts";
import type { Operation } from "../../sim/index.ts";
import type { Kernel } from "../../stack/index.ts";
import type { ControlClient, ControlRequest } from "./requests.ts";

/** Something asked of the leader, and who waits for its end. */
export class PendingCall {
	readonly #kernel: Kernel;
	readonly #what: string;
	readonly #waiting: ((error?: NetError) => void)[] = [];
	#ended = false;
	#error: NetError | undefined;
	#id: string | undefined;

	/** Asks at once. What is refused at once is thrown. */
	constructor(kernel: Kernel, client: ControlClient, request: ControlRequest, what: string) {
		this.#kernel = kernel;
		this.#what = what;
		client.call(request, (result) => {
			this.#ended = true;
			if (result instanceof NetError) this.#error = result;
			else this.#id = result.id;
			for (const tell of this.#waiting.splice(0)) tell(this.#error);
		});
	}

	/** What was made; undefined before that is agreed upon. */
	get id(): string | undefined {
		return this.#id;
	}

	/** Calls back when it is agreed upon or refused, at once if it is already. */
	whenEnded(tell: (error?: NetError) => void): void {
		if (this.#ended) tell(this.#error);
		else this.#waiting.push(tell);
	}

	/** Agreed upon, or refused. */
	operation(): Operation<undefined> {
		return this.#kernel.driver.operation<undefined>(
			(settle) => {
				this.whenEnded((error) => {
					if (error === undefined) settle.resolve(undefined);
					else settle.reject(error);
				});
			},
			{ what: this.#what },
		);
	}
}
