import { unreachable } from "../../assert.ts";
import type { Mac } from "../../addr/index.ts";
import type { Instant, Nanoseconds } from "../../sim/index.ts";

// Read RFC 4861 §7.3.2 for the states and net/core/neighbour.c for what Linux makes of them (also for ARP).

/** The states of `ip neigh`, in lower case. */
export const NUD_STATES = [
	"none",
	"incomplete",
	"reachable",
	"stale",
	"delay",
	"probe",
	"failed",
	"noarp",
	"permanent",
] as const;
/** One of them. */
export type NudState = (typeof NUD_STATES)[number];

/** What is known of one neighbour. */
export interface NeighbourFacts {
	readonly state: NudState;
	/** The address, once known; kept through `stale`, `delay` and `probe`. */
	readonly mac: Mac | undefined;
	/** Requests sent since the last answer. Resolution starts at `ucastSolicit`, as Linux counts. */
	readonly probes: number;
	/** When the neighbour was last known to answer. */
	readonly confirmed: Instant;
	/** When a packet last asked for it outside the connected states. */
	readonly used: Instant;
	/** When address or state last changed. */
	readonly updated: Instant;
}

/** The sysctls of `net.ipv4.neigh.<device>`, times in nanoseconds. */
export interface NeighbourTimes {
	/** `base_reachable_time` × 0.5 … 1.5, drawn anew every five minutes. */
	readonly reachable: Nanoseconds;
	readonly baseReachable: Nanoseconds;
	readonly retrans: Nanoseconds;
	readonly delayFirstProbe: Nanoseconds;
	readonly ucastSolicit: number;
	readonly mcastSolicit: number;
}

/** What can happen to an entry. */
export type NeighbourEvent =
	/** A packet wants to go there (`neigh_event_send`). */
	| { readonly kind: "wanted" }
	| { readonly kind: "timer" }
	/** Its address was heard: as an answer to us (`reachable`) or in passing (`stale`). */
	| {
			readonly kind: "heard";
			readonly mac: Mac;
			readonly as: "reachable" | "stale";
			readonly override: boolean;
	  }
	/** Set by hand: `ip neigh replace … nud …`. */
	| { readonly kind: "set"; readonly mac: Mac | undefined; readonly state: NudState };

/** What the caller has to do now. The machine itself sends nothing and waits for nothing. */
export type NeighbourEffect =
	/** Send a request: to everyone, or to the address it had. */
	| { readonly kind: "ask"; readonly to: Mac | undefined }
	/** Give the next `timer` event after this long. */
	| { readonly kind: "wake"; readonly after: Nanoseconds }
	/** No timer event is wanted any more. */
	| { readonly kind: "rest" }
	/** Send the packets that wait. */
	| { readonly kind: "release" }
	/** Drop the packets that wait: their senders get "host unreachable". */
	| { readonly kind: "give-up" };

type Step = readonly [NeighbourFacts, readonly NeighbourEffect[]];

/** True where packets go out without a question (`NUD_CONNECTED`). */
export const isConnected = (state: NudState): boolean =>
	state === "reachable" || state === "permanent" || state === "noarp";

/** True where an address is known and may be used (`NUD_VALID`). */
export const isValid = (state: NudState): boolean =>
	isConnected(state) || state === "stale" || state === "delay" || state === "probe";

/** A new entry: nobody asked for it yet, or its address, if that is said, needs no asking (`arp_constructor`). */
export const created = (now: Instant, mac?: Mac): NeighbourFacts => ({
	state: mac === undefined ? "none" : "noarp",
	mac,
	probes: 0,
	confirmed: 0,
	used: now,
	updated: now,
});

/** One step of address resolution. Pure: the same facts, event, times and instant give the same result. */
export function step(old: NeighbourFacts, event: NeighbourEvent, times: NeighbourTimes, now: Instant): Step {
	switch (event.kind) {
		case "wanted":
			return wanted({ ...old, used: now }, times, now);
		case "timer":
			return timer(old, times, now);
		case "heard":
			return heard(old, event.mac, event.as, event.override, times, now);
		case "set":
			return set(old, event.mac, event.state, times, now);
		default:
			return unreachable(event);
	}
}

/** `__neigh_event_send`. */
function wanted(old: NeighbourFacts, times: NeighbourTimes, now: Instant): Step {
	switch (old.state) {
		case "none":
		case "failed": {
			const asking: NeighbourFacts = {
				...old,
				state: "incomplete",
				probes: times.ucastSolicit,
				updated: now,
			};
			return ask(asking, times);
		}
		case "stale":
			return [{ ...old, state: "delay", updated: now }, [{ kind: "wake", after: times.delayFirstProbe }]];
		default:
			return [old, []];
	}
}

/** `neigh_timer_handler`. */
function timer(old: NeighbourFacts, times: NeighbourTimes, now: Instant): Step {
	switch (old.state) {
		case "reachable":
			if (now <= old.confirmed + times.reachable)
				return [old, [{ kind: "wake", after: old.confirmed + times.reachable - now }]];
			if (now <= old.used + times.delayFirstProbe) {
				return [{ ...old, state: "delay", updated: now }, [{ kind: "wake", after: times.delayFirstProbe }]];
			}
			return [{ ...old, state: "stale", updated: now }, [{ kind: "rest" }]];
		case "delay":
			if (now <= old.confirmed + times.delayFirstProbe) {
				const wait = Math.max(0, old.confirmed + times.reachable - now);
				return [{ ...old, state: "reachable", updated: now }, [{ kind: "wake", after: wait }]];
			}
			return ask({ ...old, state: "probe", probes: 0, updated: now }, times);
		case "probe":
		case "incomplete":
			return ask(old, times);
		default:
			return [old, []];
	}
}

/** One more request, or the end of patience. */
function ask(old: NeighbourFacts, times: NeighbourTimes): Step {
	const most = times.ucastSolicit + (old.state === "probe" ? 0 : times.mcastSolicit);
	if (old.probes >= most) {
		return [{ ...old, state: "failed", mac: undefined }, [{ kind: "rest" }, { kind: "give-up" }]];
	}
	const to = old.probes < times.ucastSolicit ? old.mac : undefined;
	return [
		{ ...old, probes: old.probes + 1 },
		[
			{ kind: "wake", after: times.retrans },
			{ kind: "ask", to },
		],
	];
}

/** `neigh_update` as ARP calls it. */
function heard(
	old: NeighbourFacts,
	mac: Mac,
	as: "reachable" | "stale",
	override: boolean,
	times: NeighbourTimes,
	now: Instant,
): Step {
	if (old.state === "permanent" || old.state === "noarp") return [old, []];
	const same = isValid(old.state) && old.mac === mac;
	const confirmed = as === "reachable" ? now : old.confirmed;
	let state: NudState = as;
	if (isValid(old.state)) {
		if (!same && !override) return [{ ...old, confirmed }, []];
		// A known address heard in passing proves nothing about the way back.
		if (same && as === "stale") state = old.state;
	}
	return become({ ...old, confirmed }, state, mac, times, now);
}

function set(
	old: NeighbourFacts,
	mac: Mac | undefined,
	state: NudState,
	times: NeighbourTimes,
	now: Instant,
): Step {
	if (!isValid(state)) {
		const waiting = old.state === "incomplete" || old.state === "probe";
		const effects: NeighbourEffect[] = [{ kind: "rest" }];
		if (waiting && state === "failed") effects.push({ kind: "give-up" });
		return [{ ...old, state, mac: undefined, updated: now }, effects];
	}
	const confirmed = isConnected(state) ? now : old.confirmed;
	return become({ ...old, confirmed }, state, mac ?? old.mac, times, now);
}

function become(
	old: NeighbourFacts,
	state: NudState,
	mac: Mac | undefined,
	times: NeighbourTimes,
	now: Instant,
): Step {
	const moved = mac !== old.mac;
	const changed = state !== old.state;
	if (!moved && !changed) return [old, []];
	const next: NeighbourFacts = {
		state,
		mac,
		probes: state === "probe" ? 0 : old.probes,
		// A new address that was not confirmed is not believed to be fresh.
		confirmed: moved && !isConnected(state) ? now - 2 * times.baseReachable : old.confirmed,
		used: old.used,
		updated: now,
	};
	const effects: NeighbourEffect[] = [];
	if (changed)
		effects.push(
			timed(state) ? { kind: "wake", after: state === "reachable" ? times.reachable : 0 } : { kind: "rest" },
		);
	if (!isValid(old.state)) effects.push({ kind: "release" });
	return [next, effects];
}

/** States that wait for a timer (`NUD_IN_TIMER`). */
const timed = (state: NudState): boolean =>
	state === "incomplete" || state === "reachable" || state === "delay" || state === "probe";
