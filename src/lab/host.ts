import type { Ip4, Mac, Prefix4 } from "../addr/index.ts";
import type { Machine, Program } from "../cnm/index.ts";
import { NetError } from "../errors.ts";
import type { Nic, PhysicalSwitch, SwitchPort, SwitchPortOptions } from "../link/index.ts";
import type { Duration, Rng } from "../sim/index.ts";
import type { Kernel } from "../stack/index.ts";
import { Engine, type EngineOptions, type Swarm } from "../swarm/index.ts";
import { type LabCableOptions, plugIn } from "./cabling.ts";
import { losePower } from "./power-cycle.ts";
import { Netns } from "./netns.ts";

/** One network card of a host. */
export interface NicOptions {
	/** `172.31.1.5/24`; several if need be. */
	readonly address?: string | Prefix4 | readonly (string | Prefix4)[];
	/** Default gateway. */
	readonly gateway?: Ip4 | string;
	/** The switch its cable goes to, or a port of one. */
	readonly attach?: PhysicalSwitch | SwitchPort;
	readonly mac?: Mac | string;
	readonly mtu?: number;
	readonly cable?: Omit<LabCableOptions, "port">;
	/** What the new port at the switch is set to. */
	readonly port?: SwitchPortOptions;
}

/** What a host is made of. */
export interface HostOptions {
	readonly nics?: Readonly<Record<string, NicOptions>>;
	/** How long it has been up when the lab begins; drawn unless said. Its timers follow its ticks. */
	readonly uptime?: Duration;
	/** A Docker engine runs on it from the beginning, with these options. */
	readonly docker?: EngineOptions<Netns>;
}

/** What a machine needs of its lab. */
export interface HostLab {
	/** A namespace of the machine's is there, or gone. */
	readonly register: (ns: Netns) => void;
	readonly forget: (ns: Netns) => void;
	/** What runs in containers, by image. */
	readonly images: ReadonlyMap<string, Program<Netns>>;
}

/** A machine: a kernel of its own, the namespace it boots with, and those added to it. */
export class Host implements Machine<Netns> {
	readonly name: string;
	readonly kernel: Kernel;
	/** The namespace the machine boots with. */
	readonly netns: Netns;
	readonly #namespaces = new Map<string, Netns>();
	readonly #register: (ns: Netns) => void;
	readonly #forget: (ns: Netns) => void;
	#docker: Engine<Netns> | undefined;
	/** As it was started last. */
	#daemon: EngineOptions<Netns> = {};
	/** The machine's place in a swarm, once its engine ran. */
	#swarm: Swarm<Netns> | undefined;
	#running = true;
	/** How often it was started anew. */
	#boots = 0;
	/** What its system does at boot: cards up, gateways. */
	readonly #boot: (() => void)[] = [];

	readonly #images: ReadonlyMap<string, Program<Netns>>;

	constructor(name: string, kernel: Kernel, lab: HostLab) {
		this.name = name;
		this.kernel = kernel;
		this.#register = lab.register;
		this.#forget = (ns) => {
			ns.gone = true;
			this.netns.links.forget(ns);
			lab.forget(ns);
		};
		this.#images = lab.images;
		this.netns = new Netns(kernel, name);
		this.#register(this.netns);
	}

	/** Adds a network card, plugs it in, gives it its addresses and sets it up. Throws `NetError`. */
	addNic(name: string, options: NicOptions = {}): Nic {
		const nic = this.netns.addNic(name, options.mac === undefined ? {} : { mac: options.mac });
		try {
			if (options.mtu !== undefined) nic.setMtu(options.mtu);
			if (options.attach !== undefined) {
				const port = options.port === undefined ? {} : { port: options.port };
				plugIn(this.kernel.world, nic, options.attach, { ...options.cable, ...port });
			}
			for (const address of listOf(options.address)) nic.addAddress(address);
			const boot = (): void => {
				nic.up();
				if (options.gateway !== undefined) this.netns.routes.add("default", { via: options.gateway });
			};
			boot();
			this.#boot.push(() => {
				if (!nic.gone) boot();
			});
		} catch (error) {
			nic.delete();
			throw error;
		}
		return nic;
	}

	/** `ip netns add NAME` on this machine; in captures it is `host/name`. Throws `NetError` EEXIST. */
	addNetns(name: string): Netns {
		if (this.#namespaces.has(name)) {
			throw new NetError("EEXIST", `Cannot create namespace file "/var/run/netns/${name}": File exists`, {
				context: { host: this.name, name },
			});
		}
		const ns = new Netns(this.kernel, `${this.name}/${name}`);
		inheritSettings(this.netns, ns);
		this.#namespaces.set(name, ns);
		this.#register(ns);
		return ns;
	}

	/** `ip netns del NAME`: devices in it go, network cards come back to the machine. Throws `NetError` ENOENT. */
	delNetns(name: string): void {
		const ns = this.#namespaces.get(name);
		if (ns === undefined) {
			throw new NetError(
				"ENOENT",
				`Cannot remove namespace file "/var/run/netns/${name}": No such file or directory`,
				{ context: { host: this.name, name } },
			);
		}
		for (const device of [...ns.devices].reverse()) {
			if (device.gone || device === ns.loopback) continue;
			if (device.kind === "nic") ns.move(device, this.netns);
			else device.delete();
		}
		ns.loopback.down();
		ns.purge();
		this.#namespaces.delete(name);
		this.#forget(ns);
	}

	/** The Docker engine on this machine; it starts when it is first asked for, unless `docker` was among the options. */
	get docker(): Engine<Netns> {
		return (this.#docker ??= this.startDocker());
	}

	/** Starts the Docker engine with options. Throws `NetError` EBUSY when it runs. */
	startDocker(options: EngineOptions<Netns> = {}): Engine<Netns> {
		if (this.#docker !== undefined) {
			throw new NetError("EBUSY", "failed to start daemon: pid file found, ensure docker is not running", {
				context: { host: this.name },
			});
		}
		this.#daemon = options;
		return (this.#docker = new Engine<Netns>(this, { images: this.#images, ...options }, this.#swarm));
	}

	/** False from `crash` to `restart`. */
	get running(): boolean {
		return this.#running;
	}

	/**
	 * The machine loses power: containers, namespaces, connections and rules are gone, and nothing is said to anybody. Nothing
	 * when it has none.
	 */
	crash(): void {
		if (!this.#running) return;
		this.#running = false;
		this.kernel.power.resume(this.kernel.world.scheduler);
		if (this.#docker !== undefined) {
			this.#swarm = this.#docker.swarm;
			this.#swarm.crash();
			this.#docker.controller.crash();
		}
		const others = [...this.#namespaces.values()];
		losePower(this.netns, others);
		for (const ns of others) this.#forget(ns);
		this.#namespaces.clear();
		this.#docker = undefined;
	}

	/**
	 * It boots: its cards come up with their addresses and gateways, and its engine starts when it is asked for, or with it
	 * when it is a node of a swarm.
	 */
	restart(): void {
		if (this.#running) this.crash();
		this.#running = true;
		this.#boots++;
		for (const boot of this.#boot) boot();
		if (this.#swarm !== undefined && this.#swarm.info().nodeId !== "") this.startDocker(this.#daemon);
	}

	/**
	 * Pauses the machine, as a virtual machine is: its timers stand still, what comes to its cards is lost
	 * (`machine-paused`), nothing is said. What others call meanwhile in its namespaces still happens.
	 */
	pause(): void {
		this.kernel.power.pause();
	}

	/** It goes on: timers that came due meanwhile fire at once. */
	resume(): void {
		this.kernel.power.resume(this.kernel.world.scheduler);
	}

	/** Chance of the machine's programs, another one after each boot. */
	get rng(): Rng {
		return this.kernel.rng.fork(this.#boots === 0 ? "docker" : `docker/${String(this.#boots)}`);
	}

	/** The namespaces added to this machine, by name. */
	get namespaces(): ReadonlyMap<string, Netns> {
		return this.#namespaces;
	}
}

/** A new namespace begins with the settings of the machine's first (`devinet_init_net`). */
function inheritSettings(from: Netns, to: Netns): void {
	to.confAll = from.confAll;
	to.confDefault = from.confDefault;
	for (const inDevice of to.inDevices) inDevice.conf = from.confDefault;
}

function listOf(addresses: NicOptions["address"]): readonly (string | Prefix4)[] {
	if (addresses === undefined) return [];
	if (typeof addresses === "string") return [addresses];
	return "address" in addresses ? [addresses] : addresses;
}
