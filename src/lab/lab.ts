/// <reference lib="esnext.disposable" preserve="true" />
import { formatIp4, type Ip4 } from "../addr/index.ts";
import type { Program } from "../cnm/index.ts";
import { NetError } from "../errors.ts";
import {
	type Cable,
	Device,
	type Drop,
	PhysicalSwitch,
	type Plug,
	type SwitchOptions,
	type Veth,
	World,
} from "../link/index.ts";
import {
	Capture,
	type CaptureHost,
	type CaptureName,
	type CaptureSelection,
	type Hop,
	trace,
} from "../observe/index.ts";
import {
	Driver,
	type Duration,
	type Instant,
	microseconds,
	type Operation,
	parseDuration,
	Rng,
	Scheduler,
} from "../sim/index.ts";
import { IpNamespace, Kernel } from "../stack/index.ts";
import { type SettleOptions, Swarm } from "../swarm/index.ts";
import { type LabCableOptions, plugIn } from "./cabling.ts";
import { type Fault, partition } from "./faults.ts";
import { Host, type HostOptions } from "./host.ts";
import { Netns } from "./netns.ts";

/** What a lab is made with. */
export interface LabOptions {
	/** All chance comes from it: the same seed and program give the same bytes. 1 unless said. */
	readonly seed?: number | string;
	/** The time of day at which virtual time begins, ISO 8601. */
	readonly epoch?: string;
	/** How long hops take where nothing else says so. */
	readonly latency?: { readonly veth?: Duration; readonly cable?: Duration };
	/** How long the machine of `lab.netns` has been up when the lab begins; drawn unless said. Kernel timers follow its ticks. */
	readonly uptime?: Duration;
	/** Deliveries that may wait at once before the lab takes it for a storm. */
	readonly maxPending?: number;
}

/** What became of a packet. */
export interface Explanation {
	/** Where captures saw it, in order. */
	readonly hops: readonly Hop[];
	/** Where copies of it ended. */
	readonly drops: readonly Drop[];
	/** Both, for people, a line each. */
	text(): string;
}

/** One end of a veth pair. */
export interface LabVethEnd {
	readonly ns: Netns;
	readonly name: string;
	readonly mac?: string;
}

const EPOCH = "2026-01-01T00:00:00Z";
/** What a softirq and a LAN take on an ordinary machine. */
const VETH_LATENCY = microseconds(5);
const CABLE_LATENCY = microseconds(50);
const MOST_PENDING = 1_000_000;

/** A name without the characters that captures use between names. */
const NAME = /^[^\s:*?{}/]+$/;

/**
 * A network in one process: hosts, namespaces, switches, one clock, one seed.
 *
 * Awaiting an operation (`ns.ping`, `lab.advance` …) drives the clock until it settles; while nobody awaits,
 * time stands still.
 */
export class Lab implements CaptureHost {
	readonly world: World;
	/** Nanoseconds from 1970 to the beginning of virtual time. */
	readonly epoch: bigint;
	readonly #scheduler: Scheduler;
	readonly #driver: Driver;
	readonly #kernel: Kernel;
	readonly #namespaces = new Map<string, Netns>();
	readonly #hosts = new Map<string, Host>();
	readonly #switches = new Map<string, PhysicalSwitch>();
	readonly #images = new Map<string, Program<Netns>>();
	readonly #captures: Capture[] = [];
	readonly #drops: Drop[] = [];
	#closed = false;

	constructor(options: LabOptions = {}) {
		this.#scheduler = new Scheduler({ maxPending: options.maxPending ?? MOST_PENDING });
		this.#driver = new Driver(this.#scheduler);
		const { latency = {} } = options;
		this.world = new World(this.#scheduler, new Rng(options.seed ?? 1), {
			veth: latency.veth === undefined ? VETH_LATENCY : parseDuration(latency.veth, "latency.veth"),
			cable: latency.cable === undefined ? CABLE_LATENCY : parseDuration(latency.cable, "latency.cable"),
		});
		this.#scheduler.onOverflow = (pending) => {
			throw this.world.storm(`${String(pending)} frames are on their way at once`);
		};
		this.epoch = readEpoch(options.epoch ?? EPOCH);
		this.#kernel = this.#boot("lab", options.uptime);
	}

	/** Virtual nanoseconds since the lab's epoch. */
	get now(): Instant {
		return this.#scheduler.now;
	}

	/** A network namespace on a machine that all such namespaces of the lab share. Throws `NetError` EEXIST. */
	netns(name: string): Netns {
		this.#checkName(name);
		const ns = new Netns(this.#kernel, name);
		this.#register(ns);
		return ns;
	}

	/** A machine with its network cards. Throws `NetError` EEXIST, and what its cards throw. */
	host(name: string, options: HostOptions = {}): Host {
		this.#checkName(name);
		const kernel = this.#boot(name, options.uptime);
		const host = new Host(name, kernel, {
			register: (ns) => {
				this.#register(ns);
			},
			forget: (ns) => {
				this.#namespaces.delete(ns.name);
			},
			images: this.#images,
		});
		this.#hosts.set(name, host);
		try {
			for (const [nic, about] of Object.entries(options.nics ?? {})) host.addNic(nic, about);
			if (options.docker !== undefined) host.startDocker(options.docker);
		} catch (error) {
			this.#hosts.delete(name);
			this.#namespaces.delete(name);
			throw error;
		}
		return host;
	}

	#boot(name: string, uptime: Duration | undefined): Kernel {
		const up = uptime === undefined ? undefined : parseDuration(uptime, "uptime");
		return new Kernel(name, this.world, this.#driver, this.epoch, up);
	}

	/** Says what runs in containers of an image, on all hosts; containers that run already go on as they are. */
	image(name: string, program: Program<Netns>): void {
		this.#images.set(name, program);
	}

	/** A physical learning switch, unmanaged until a port is configured. Throws `NetError` EEXIST, RangeError. */
	switch(name: string, options: SwitchOptions = {}): PhysicalSwitch {
		this.#checkName(name);
		const made = new PhysicalSwitch(this.world, name, options);
		this.#switches.set(name, made);
		return made;
	}

	/** `ip link add … type veth peer …`, both ends in their namespaces, down. Throws `NetError` EEXIST. */
	veth(a: LabVethEnd, b: LabVethEnd): [Veth, Veth] {
		return IpNamespace.addVethPair(a, b);
	}

	/**
	 * A cable between two cards, ports or switches; at a switch it goes into a new port, set to `port`. Throws
	 * RangeError, TypeError for options out of range, `NetError` EBUSY for a plug that has a cable.
	 */
	cable(a: Plug | PhysicalSwitch, b: Plug | PhysicalSwitch, options: LabCableOptions = {}): Cable {
		return plugIn(this.world, a, b, options);
	}

	/**
	 * Cuts groups of hosts off from each other: what one sends, the cards of the others drop (`partition`). Hosts in no group
	 * hear everybody. Several partitions may hold at once; each ends with its `heal()`. Throws RangeError.
	 */
	partition(...groups: readonly (readonly (Host | string)[])[]): Fault {
		return partition(
			this.world,
			groups.map((group) => group.map((host) => (typeof host === "string" ? this.#host(host) : host))),
		);
	}

	/**
	 * Makes these hosts, nodes of one swarm, hear at once what they should have heard of each other by gossip: nodes, networks,
	 * entries. Nothing is sent. For labs of hundreds of nodes, in which each telling each takes longer than what the lab is
	 * for: let them join with `gossip: "waits"`, place tasks, and settle all, or the few whose containers are to talk. What
	 * happens later they tell each other; with `gossip: "waits"` here, too, they do so at the next `settle`. Hosts that are no nodes are passed over; throws RangeError for an unknown name.
	 */
	settle(hosts: readonly (Host | string)[], options: SettleOptions = {}): void {
		const nodes = hosts.map((host) => (typeof host === "string" ? this.#host(host) : host));
		Swarm.settle(
			nodes.map(({ docker }) => docker.swarm),
			options,
		);
	}

	#host(name: string): Host {
		const host = this.#hosts.get(name);
		if (host === undefined)
			throw new RangeError(`no host "${name}", there are ${[...this.#hosts.keys()].join(", ") || "none"}`);
		return host;
	}

	#register(ns: Netns): void {
		this.#namespaces.set(ns.name, ns);
	}

	#checkName(name: string): void {
		if (!NAME.test(name)) {
			throw new RangeError(
				`name is "${name}", expected a name without spaces and the characters : * ? { } /`,
			);
		}
		if (this.#namespaces.has(name) || this.#switches.has(name)) {
			throw new NetError("EEXIST", `"${name}" exists already`, {
				remedy: "Hosts, namespaces and switches of a lab have names of their own.",
				context: { name },
			});
		}
	}

	/** All namespaces, by their names in captures: `blue`, `node1`, `node1/1-m768rftdak`. */
	get namespaces(): ReadonlyMap<string, Netns> {
		return this.#namespaces;
	}

	/** All hosts by name. */
	get hosts(): ReadonlyMap<string, Host> {
		return this.#hosts;
	}

	/** Lets virtual time pass: everything due in it happens. */
	advance(duration: Duration): Operation<undefined> {
		return this.#driver.advance(duration);
	}

	/** Starts a capture: all interfaces, or those a glob over `namespace:device` or a function chooses. */
	capture(selection: CaptureSelection = "*:*"): Capture {
		const capture = new Capture(this, selection);
		// Packets are followed to their end from the first capture on: nobody pays for that before.
		if (this.#captures.length === 0) this.onDrop((drop) => this.#drops.push(drop));
		this.#captures.push(capture);
		return capture;
	}

	/** Every device of the lab now. */
	*devices(): Generator<Device> {
		for (const ns of this.#namespaces.values()) yield* ns.devices;
	}

	/** Names of the addresses in the lab, for readers of captures. */
	names(): CaptureName[] {
		const names = new Map<Ip4, string>();
		for (const ns of this.#namespaces.values()) {
			for (const inDevice of ns.inDevices) {
				for (const { prefix, scope } of inDevice.addresses) {
					// The same address in two places is nobody's name.
					if (scope !== "host") names.set(prefix.address, names.has(prefix.address) ? "" : ns.name);
				}
			}
		}
		return [...names]
			.filter(([, name]) => name !== "")
			.map(([ip, name]) => ({ address: formatIp4(ip), names: [name] }));
	}

	/** Calls back for each device that comes later, moves or is renamed; returns what ends it. */
	onDevice(listener: (device: Device) => void): () => void {
		const heard = (place: { readonly place: string }): void => {
			if (place instanceof Device) listener(place);
		};
		this.world.deviceListeners.push(heard);
		return () => {
			this.world.deviceListeners.splice(this.world.deviceListeners.indexOf(heard), 1);
		};
	}

	/** Calls back for each packet that ends without arriving; returns what ends it. */
	onDrop(listener: (drop: Drop) => void): () => void {
		this.world.dropListeners.push(listener);
		return () => {
			const at = this.world.dropListeners.indexOf(listener);
			if (at >= 0) this.world.dropListeners.splice(at, 1);
		};
	}

	/** What became of a packet: where it was seen by the lab's captures, and where and why copies of it ended. */
	explain(packet: number): Explanation {
		const hops = this.#captures.flatMap((capture) => trace(capture, packet)).sort((a, b) => a.time - b.time);
		const drops = this.#drops.filter((drop) => drop.frame === packet);
		return { hops, drops, text: () => explanation(hops, drops) };
	}

	/** Stops all captures. Nothing of the lab runs by itself, so nothing else needs an end. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		for (const capture of this.#captures) capture.stop();
	}

	/** `await using lab = new Lab()` closes it at the end of its scope. */
	[Symbol.asyncDispose](): Promise<void> {
		this.close();
		return Promise.resolve();
	}
}

function explanation(hops: readonly Hop[], drops: readonly Drop[]): string {
	const lines = hops.map((hop) => {
		const tunnel = hop.outer === undefined ? "" : ` in ${hop.outer} VNI ${String(hop.vni)}`;
		const ttl = hop.ttl === undefined ? "" : ` ttl ${String(hop.ttl)}`;
		return {
			time: hop.time,
			text: `${hop.place} ${hop.direction}: ${hop.inner}${ttl}${tunnel}, ${String(hop.octets)} octets`,
		};
	});
	for (const drop of drops) {
		const detail = drop.detail === undefined ? "" : ` (${drop.detail})`;
		lines.push({
			time: drop.time,
			text: `${drop.place}: a copy ends, ${drop.reason}: ${drop.text}${detail}`,
		});
	}
	lines.sort((a, b) => a.time - b.time);
	return lines.map((line) => `${(line.time / 1e6).toFixed(3)} ms  ${line.text}`).join("\n");
}

/** Nanoseconds of an ISO 8601 instant since 1970. */
function readEpoch(text: string): bigint {
	const match = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d))?Z?)?$/.exec(text);
	if (match === null)
		throw new RangeError(`epoch is "${text}", expected an instant such as "2026-01-01T00:00:00Z"`);
	const [year, month, day, hour, minute, second] = match.slice(1).map((part) => Number(part || 0));
	const days = daysSince1970(year ?? 1970, month ?? 1, day ?? 1);
	return BigInt(days * 86_400 + (hour ?? 0) * 3600 + (minute ?? 0) * 60 + (second ?? 0)) * 1_000_000_000n;
}

/** Days of the Gregorian calendar from 1970-01-01, counted from March so that leap days come last. */
function daysSince1970(year: number, month: number, day: number): number {
	const shifted = month <= 2 ? year - 1 : year;
	const era = Math.floor(shifted / 400);
	const ofEra = shifted - era * 400;
	const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
	return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}
