import { type Frame, ipv4 } from "../../../wire/index.ts";
import type { InDevice } from "../../in-device.ts";
import type { Neighbour } from "../../neighbour/neighbour.ts";
import type { Route } from "../../route.ts";
import type { Flow, Tuple } from "../conntrack/flow.ts";
import {
	change32,
	type CountedRule,
	folded,
	KnownWay,
	TTL_LESS_ONE,
	type WayOut,
	type Waypoint,
} from "./known-way.ts";

/**
 * What is noted while one packet of an established flow goes the long way: enough to do the same to the next one. Whoever
 * decides by more than the flow says so with `spoil`, and nothing is kept.
 */
export class Notes {
	readonly #frame: Frame;
	readonly #journey: number;
	readonly #tuple: Tuple;
	readonly #inDevice: InDevice | null;
	readonly #route: Route | null;
	readonly #generation: number;
	readonly #mark: number;
	readonly #source: number;
	readonly #destination: number;
	readonly #ports: number;
	readonly #ttl: number;
	readonly #rules: CountedRule[] = [];
	#waypoint: Waypoint | null = null;
	#forwarded = false;
	/** Nothing more is noted: it went its way, or its way is not to be kept. */
	#done = false;

	/** For a frame that starts at its IPv4 header, at the first hook. */
	constructor(
		frame: Frame,
		tuple: Tuple,
		inDevice: InDevice | null,
		route: Route | null,
		generation: number,
	) {
		const { view, start } = frame;
		this.#frame = frame;
		this.#journey = frame.id;
		this.#tuple = tuple;
		this.#inDevice = inDevice;
		this.#route = route;
		this.#generation = generation;
		this.#mark = frame.mark;
		this.#source = ipv4.source(view, start);
		this.#destination = ipv4.destination(view, start);
		this.#ports = view.getInt32(start + ipv4.MIN_OCTETS);
		this.#ttl = ipv4.ttl(view, start);
	}

	/** Whether a frame is the one that is noted: not another that was made meanwhile, in the same place of memory. */
	isOf(frame: Frame): boolean {
		return !this.#done && frame === this.#frame && frame.id === this.#journey;
	}

	/** Somebody decided by more than the flow, or did what cannot be done again like that. */
	spoil(): void {
		this.#done = true;
	}

	/** A rule meant the packet. */
	counted(rule: CountedRule): void {
		this.#rules.push(rule);
	}

	/** It is routed on by `ip_forward`. */
	forwarded(): void {
		this.#forwarded = true;
	}

	/** It passes somebody who keeps account; `stays` when that one has found it to be none of its own. */
	passes(waypoint: Waypoint, stays: boolean): void {
		if (this.#waypoint === null || !stays) this.#waypoint = waypoint;
	}

	/** It is about to be given to its protocol here. */
	delivered(frame: Frame): void {
		this.#keep(frame, null);
	}

	/** It is about to be sent to a neighbour; it starts at its IPv4 header still. */
	sent(frame: Frame, route: Route, neighbour: Neighbour, mtu: number): void {
		if (route.device !== null) this.#keep(frame, { device: route.device, neighbour, mtu });
	}

	#keep(frame: Frame, out: WayOut | null): void {
		const tuple = this.#tuple;
		const flow = frame.flow as Flow | null;
		if (!this.isOf(frame)) return;
		this.#done = true;
		const { view, start } = frame;
		if (flow !== tuple.flow || ipv4.isFragment(view, start)) return;
		const source = ipv4.source(view, start) as number;
		const destination = ipv4.destination(view, start) as number;
		const ports = view.getInt32(start + ipv4.MIN_OCTETS);
		const hops = this.#ttl - ipv4.ttl(view, start);
		if (hops > 1) return;
		const addresses = change32(this.#source, source) + change32(this.#destination, destination);
		tuple.way = new KnownWay(
			{
				inDevice: this.#inDevice,
				route: this.#route,
				mark: this.#mark,
				generation: this.#generation,
				status: flow.status,
			},
			this.#rules,
			{
				source,
				destination,
				ports,
				header: folded(addresses + hops * TTL_LESS_ONE),
				transport: folded(addresses + change32(this.#ports, ports)),
				forwarded: hops === 1,
			},
			this.#waypoint,
			this.#forwarded,
			frame.mark,
			out,
		);
	}
}
