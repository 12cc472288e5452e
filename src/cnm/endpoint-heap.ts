import type { Endpoint } from "./endpoint.ts";
import { GWBRIDGE } from "./gateway.ts";

/**
 * The endpoints of a sandbox as Docker 20.10 keeps them: in a binary heap (`epHeap`, Go's container/heap). The first is
 * the rightful one to have the default route; the others lie as pushing and removing left them, and interfaces are
 * numbered in that order when a container starts: of ingress, overlay and docker_gwbridge the last becomes eth1.
 */
export class EndpointHeap {
	readonly #heap: Endpoint[] = [];

	/** As they lie. */
	get all(): readonly Endpoint[] {
		return [...this.#heap];
	}

	/** One more. */
	push(endpoint: Endpoint): void {
		this.#heap.push(endpoint);
		this.#up(this.#heap.length - 1);
	}

	/** One less; nothing for one that is not there. */
	remove(endpoint: Endpoint): void {
		const heap = this.#heap;
		const at = heap.indexOf(endpoint);
		if (at < 0) return;
		const last = heap.length - 1;
		if (at !== last) {
			this.#swap(at, last);
			if (!this.#down(at, last)) this.#up(at);
		}
		heap.pop();
	}

	#up(from: number): void {
		for (let at = from; at > 0;) {
			const parent = (at - 1) >> 1;
			if (!this.#less(at, parent)) return;
			this.#swap(at, parent);
			at = parent;
		}
	}

	/** Says whether it moved. */
	#down(from: number, size: number): boolean {
		let at = from;
		for (;;) {
			const left = 2 * at + 1;
			if (left >= size) break;
			const child = left + 1 < size && this.#less(left + 1, left) ? left + 1 : left;
			if (!this.#less(child, at)) break;
			this.#swap(at, child);
			at = child;
		}
		return at > from;
	}

	#less(a: number, b: number): boolean {
		const [one, other] = [this.#heap[a], this.#heap[b]];
		return one !== undefined && other !== undefined && before(one.network, other.network);
	}

	#swap(a: number, b: number): void {
		const [one, other] = [this.#heap[a], this.#heap[b]];
		if (one === undefined || other === undefined) return;
		this.#heap[a] = other;
		this.#heap[b] = one;
	}
}

/** Which of two is rather the way out (`epHeap.Less`): docker_gwbridge last, internal networks before it, then by name. */
function before(a: Endpoint["network"], b: Endpoint["network"]): boolean {
	if (a.name === GWBRIDGE || b.name === GWBRIDGE) return a.name !== GWBRIDGE;
	if (a.internal !== b.internal) return b.internal;
	return a.name < b.name;
}
