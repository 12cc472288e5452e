import type { Instant } from "../../sim/index.ts";
import type { Frame } from "../../wire/index.ts";

/** Frames by the instant they are due, and of one instant in the order they came: a binary heap over arrays. */
export class TimeQueue {
	readonly #due: number[] = [];
	readonly #order: number[] = [];
	readonly #frames: Frame[] = [];
	#next = 0;

	/** Frames in the queue. */
	get size(): number {
		return this.#frames.length;
	}

	/** When the first is due; Infinity when there is none. */
	get headDue(): Instant {
		return this.#due[0] ?? Infinity;
	}

	/** Puts a frame in. Takes it. */
	push(frame: Frame, due: Instant): void {
		let at = this.#frames.length;
		this.#place(at, due, this.#next++, frame);
		while (at > 0) {
			const parent = (at - 1) >> 1;
			if (!this.#before(at, parent)) break;
			this.#swap(at, parent);
			at = parent;
		}
	}

	/** Takes the first out; the caller owns it. */
	shift(): Frame | undefined {
		const first = this.#frames[0];
		const [due, order, frame] = [this.#due.pop(), this.#order.pop(), this.#frames.pop()];
		if (due === undefined || order === undefined || frame === undefined || this.#frames.length === 0)
			return first;
		this.#place(0, due, order, frame);
		this.#sink();
		return first;
	}

	#sink(): void {
		for (let at = 0; ;) {
			let least = 2 * at + 1;
			if (least >= this.#frames.length) return;
			if (least + 1 < this.#frames.length && this.#before(least + 1, least)) least++;
			if (!this.#before(least, at)) return;
			this.#swap(least, at);
			at = least;
		}
	}

	#place(at: number, due: number, order: number, frame: Frame): void {
		this.#due[at] = due;
		this.#order[at] = order;
		this.#frames[at] = frame;
	}

	#before(a: number, b: number): boolean {
		const [dueA, dueB] = [this.#due[a]!, this.#due[b]!];
		return dueA < dueB || (dueA === dueB && this.#order[a]! < this.#order[b]!);
	}

	#swap(a: number, b: number): void {
		const [due, order, frame] = [this.#due[a]!, this.#order[a]!, this.#frames[a]!];
		this.#place(a, this.#due[b]!, this.#order[b]!, this.#frames[b]!);
		this.#place(b, due, order, frame);
	}
}
