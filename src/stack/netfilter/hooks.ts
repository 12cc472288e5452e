import type { Device } from "../../link/index.ts";
import type { Frame } from "../../wire/index.ts";
import type { Generation } from "../generation.ts";
import type { InDevice } from "../in-device.ts";
import type { Route } from "../route.ts";

/** The five places where an IPv4 packet meets netfilter (`NF_INET_*`). */
export type HookPoint = "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";

/** What a hook function made of a packet (`NF_DROP`, `NF_ACCEPT`, `NF_STOLEN`). */
export type Verdict = 0 | 1 | 2;
/** The packet ended here; who says so has dropped and counted it. */
export const DROP = 0;
/** The packet goes on: to the next function, then on its way. */
export const ACCEPT = 1;
/** The packet is somebody else's now. */
export const STOLEN = 2;

/** When a function runs at its hook: the lower, the earlier (`enum nf_ip_hook_priorities`). */
export const PRIORITY = {
	defragment: -400,
	raw: -300,
	conntrack: -200,
	mangle: -150,
	natDestination: -100,
	filter: 0,
	security: 50,
	natSource: 100,
	conntrackConfirm: 0x7fff_ffff,
} as const;

/**
 * A function at a hook. The frame starts at its IPv4 header, whole and judged. `inDevice` is null for packets
 * of this host, `out` null where the way out is not known yet (PREROUTING, INPUT); `route` is the way out
 * where there is one. With `ACCEPT` the frame is the caller's again; else it was taken.
 */
export type HookFunction = (
	frame: Frame,
	inDevice: InDevice | null,
	out: Device | null,
	route: Route | null,
) => Verdict;

/** The functions at one hook, first to last. Never empty: a hook without functions is `null`. */
export class HookChain {
	readonly #priorities: readonly number[];
	readonly #functions: readonly HookFunction[];

	constructor(entries: readonly { readonly priority: number; readonly run: HookFunction }[]) {
		this.#priorities = entries.map(({ priority }) => priority);
		this.#functions = entries.map(({ run }) => run);
	}

	/** Shows a frame to all functions (`nf_hook_slow`). Takes the frame unless the answer is `ACCEPT`. */
	run(frame: Frame, inDevice: InDevice | null, out: Device | null, route: Route | null): Verdict {
		const functions = this.#functions;
		for (let i = 0; i < functions.length; i++) {
			const verdict = functions[i]!(frame, inDevice, out, route);
			if (verdict !== ACCEPT) return verdict;
		}
		return ACCEPT;
	}

	/** `run`, for a frame that functions up to a priority have seen (`nf_reinject`). */
	runAfter(
		priority: number,
		frame: Frame,
		inDevice: InDevice | null,
		out: Device | null,
		route: Route | null,
	): Verdict {
		for (let i = 0; i < this.#functions.length; i++) {
			if (this.#priorities[i]! <= priority) continue;
			const verdict = this.#functions[i]!(frame, inDevice, out, route);
			if (verdict !== ACCEPT) return verdict;
		}
		return ACCEPT;
	}
}

/**
 * What a function goes by: the same for all packets of one direction of an established flow, unless it tells `KnownWays`
 * otherwise, or anything.
 */
export type Decides = "by-flow" | "by-packet";

/** Where each hook point's chain is kept. */
const FIELD = {
	PREROUTING: "prerouting",
	INPUT: "input",
	FORWARD: "forward",
	OUTPUT: "output",
	POSTROUTING: "postrouting",
} as const;

interface HookEntry {
	readonly point: HookPoint;
	readonly priority: number;
	readonly run: HookFunction;
	readonly decides: Decides;
}

const NO_ENTRIES: readonly never[] = [];

/**
 * The netfilter hooks of one namespace. Where nothing is registered a packet pays one comparison with null.
 *
 *     in → PREROUTING → route ┬→ INPUT → protocol
 *                             └→ FORWARD ─────────┬→ POSTROUTING → out
 *                      protocol → route → OUTPUT ─┘
 *
 * Reference: net/netfilter/core.c, include/linux/netfilter_ipv4.h.
 */
export class Hooks {
	prerouting: HookChain | null = null;
	input: HookChain | null = null;
	forward: HookChain | null = null;
	output: HookChain | null = null;
	postrouting: HookChain | null = null;
	readonly #changes: Generation;
	/** All functions decide by flow. */
	decideByFlow = true;
	#entries: readonly HookEntry[] = NO_ENTRIES;

	/** Each change of the functions, and of the rules they go by, is one of `changes`. */
	constructor(changes: Generation) {
		this.#changes = changes;
	}

	/**
	 * Adds a function at a hook; of equal priorities the newest runs first. Returns what takes it away again
	 * (`nf_register_net_hook`, `nf_unregister_net_hook`). While one decides by packet, all are
	 * shown all packets.
	 */
	register(
		point: HookPoint,
		priority: number,
		run: HookFunction,
		decides: Decides = "by-packet",
	): () => void {
		const entry = { point, priority, run, decides };
		const at = this.#entries.findIndex((each) => each.priority >= priority);
		this.#entries = this.#entries.toSpliced(at < 0 ? this.#entries.length : at, 0, entry);
		this.#rebuild(point);
		return () => {
			this.#entries = this.#entries.filter((each) => each !== entry);
			this.#rebuild(point);
		};
	}

	/** Says that a function goes by other rules from now on. */
	changed(): void {
		this.#changes.generation++;
	}

	#rebuild(point: HookPoint): void {
		this.#changes.generation++;
		this.decideByFlow = this.#entries.every((each) => each.decides === "by-flow");
		const here = this.#entries.filter((each) => each.point === point);
		this[FIELD[point]] = here.length === 0 ? null : new HookChain(here);
	}
}
