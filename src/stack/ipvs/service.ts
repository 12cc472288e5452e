import { BROADCAST_IP4, type Ip4 } from "../../addr/index.ts";
import type { Route } from "../route.ts";
import type { Scheduler } from "./schedulers/index.ts";
import type { Stats } from "./stats.ts";

/** How packets get to a real server: `-m`, `-g`, `-i` of ipvsadm. */
export type ForwardMethod = "masquerading" | "gatewaying" | "ipip";

/** A real server of a virtual service (`struct ip_vs_dest`). */
export class Destination {
	readonly address: Ip4;
	/** 0 when packets keep theirs. */
	readonly port: number;
	/** The service it is bound to, or was: from the trash another one of the same name may pick it up. */
	service: Service;
	readonly stats: Stats;
	forward: ForwardMethod = "gatewaying";
	/** 0: no new connections, those there are live on. */
	weight = 1;
	/** Connections at which it gets no more, 0 for any number (`-x`). */
	upper = 0;
	/** Connections below which it gets some again, 0 for three quarters of `upper` (`-y`). */
	lower = 0;
	overloaded = false;
	/** False once it was removed. */
	available = true;
	active = 0;
	inactive = 0;
	/** Templates of persistence. */
	persistent = 0;
	/** Connections and templates that are bound to it. */
	references = 0;
	/** The tick at which the trash found it without references, 0 for none (`idle_start`). */
	idleSince = 0;

	/** The way to it, good for one generation of the routes. */
	route: Route | undefined = undefined;
	routeGeneration = -1;

	constructor(service: Service, address: Ip4, port: number, stats: Stats) {
		this.service = service;
		this.address = address;
		this.port = port;
		this.stats = stats;
	}

	/** Whether a scheduler may choose it. */
	get eligible(): boolean {
		return this.weight > 0 && !this.overloaded;
	}
}

/** What identifies a virtual service. */
export interface ServiceName {
	/** 6 or 17; 6 for services by mark, which take any. */
	readonly protocol: number;
	readonly address: Ip4;
	readonly port: number;
	/** 0 for services by address. */
	readonly fwmark: number;
}

/** A virtual service (`struct ip_vs_service`). */
export class Service implements ServiceName {
	readonly protocol: number;
	readonly address: Ip4;
	readonly port: number;
	readonly fwmark: number;
	readonly stats: Stats;
	scheduler: Scheduler;
	/** Seconds a client sticks to its real server, 0 for a service that is not persistent (`-p`). */
	persistence = 0;
	/** Clients of one network under this mask stick together (`-M`). */
	netmask: Ip4 = BROADCAST_IP4;
	/** Every datagram is scheduled on its own (`-o`). */
	onePacket = false;
	/** `-b sh-fallback`. */
	fallback = false;
	/** `-b sh-port`. */
	hashPort = false;
	readonly #destinations: Destination[] = [];
	/** Puts further real servers in. */
	#promised: (() => void) | undefined = undefined;

	constructor(name: ServiceName, stats: Stats, scheduler: (service: Service) => Scheduler) {
		this.protocol = name.protocol;
		this.address = name.address;
		this.port = name.port;
		this.fwmark = name.fwmark;
		this.stats = stats;
		this.scheduler = scheduler(this);
	}

	/** The newest first: new ones are put at the head of the kernel's list. */
	get destinations(): Destination[] {
		if (this.#promised !== undefined) this.#keep(this.#promised);
		return this.#destinations;
	}

	/** `fill` puts real servers in before anybody next looks at them: a swarm has services that few nodes use. */
	promise(fill: () => void): void {
		this.#promised = fill;
	}

	#keep(fill: () => void): void {
		this.#promised = undefined;
		fill();
	}
}
