import { formatIp4, type Ip4, isMulticastIp4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { KernelTimer } from "../../sim/index.ts";
import type { Namespace } from "../namespace.ts";
import type { Conntrack } from "../netfilter/conntrack/conntrack.ts";
import { Ipvs } from "./ipvs.ts";
import {
	type DestinationOptions,
	readDestination,
	readService,
	readServiceName,
	type ServiceOptions,
	type ServiceSelector,
	type WantedDestination,
	type WantedService,
} from "./options.ts";
import { SCHEDULERS } from "./schedulers/index.ts";
import { Destination, Service } from "./service.ts";
import type { IpvsSettings } from "./settings.ts";
import { Stats } from "./stats.ts";
import { ESTABLISHED, FIN_WAIT } from "./tcp-state.ts";

/** Seconds a removed real server without connections is kept for its return (`IP_VS_DEST_TRASH_PERIOD`). */
const TRASH_PERIOD = 120;

/** `ipvsadm --set` and `ipvsadm -L --timeout`: seconds. */
export interface IpvsTimeouts {
	readonly tcp: number;
	readonly tcpFin: number;
	readonly udp: number;
}

/**
 * What `ipvsadm` does, as calls. Each throws a `NetError` with ipvsadm's words and changes nothing when it cannot be
 * done. Reference: net/netfilter/ipvs/ip_vs_ctl.c, libipvs of ipvsadm 1.31.
 */
export class IpvsCommands {
	/** The data path. */
	readonly core: Ipvs;
	readonly #ns: Namespace;
	/** Removed real servers that connections still know: they come back with them (`dest_trash`). */
	#trash: Destination[] = [];
	readonly #trashTimer: KernelTimer;
	readonly #orphansTimer: KernelTimer;

	/** `conntrack` gives connection tracking once it is on. */
	constructor(ns: Namespace, conntrack: () => Conntrack | undefined) {
		this.#ns = ns;
		this.core = new Ipvs(ns, conntrack);
		const { scheduler } = ns.world;
		this.#trashTimer = new KernelTimer(scheduler, ns.jiffies, () => {
			this.#emptyTrash();
		});
		this.#orphansTimer = new KernelTimer(scheduler, ns.jiffies, () => {
			this.#endOrphans();
		});
	}

	/** `net.ipv4.vs.*`. */
	get settings(): IpvsSettings {
		return this.core.settings;
	}

	// ── services ──────────────────────────────────────────────────────────────────────────────────

	/** `ipvsadm -A`. Throws `NetError` EEXIST "Service already exists", ENOENT for an unknown scheduler, EINVAL. */
	addService(options: ServiceOptions): void {
		const wanted = readService(options);
		const { services, estimator } = this.core;
		if (services.get(wanted.name) !== undefined) throw failure("EEXIST", "Service already exists", options);
		const scheduler = this.#scheduler(wanted.scheduler);
		const service = new Service(wanted.name, new Stats(estimator), scheduler);
		configure(service, wanted);
		services.add(service);
		this.#ns.hooks.changed();
		if (services.size === 1) this.core.listen(true);
	}

	/** `ipvsadm -E`. Another scheduler begins anew. Throws `NetError` ESRCH "No such service", ENOENT, EINVAL. */
	editService(options: ServiceOptions): void {
		const wanted = readService(options);
		const service = this.#service(wanted.name, "No such service");
		const scheduler = this.#scheduler(wanted.scheduler);
		this.#ns.hooks.changed();
		if (service.scheduler.name !== wanted.scheduler) service.scheduler = scheduler(service);
		configure(service, wanted);
	}

	/** `ipvsadm -D`. Connections live on while there is another service. Throws `NetError` ESRCH "No such service". */
	deleteService(selector: ServiceSelector): void {
		this.#remove(this.#service(readServiceName(selector), "No such service"));
	}

	/** `ipvsadm -C`. */
	flush(): void {
		for (const service of this.core.services.sorted()) this.#remove(service);
	}

	#remove(service: Service): void {
		const { services } = this.core;
		services.remove(service);
		this.#ns.hooks.changed();
		if (services.size === 0) this.core.listen(false);
		service.stats.stop();
		for (const destination of service.destinations.splice(0)) this.#discard(destination);
	}

	// ── real servers ──────────────────────────────────────────────────────────────────────────────

	/**
	 * `ipvsadm -a`: the newest is the first its scheduler comes to. Throws `NetError` ESRCH "Service not defined",
	 * EEXIST "Destination already exists", ERANGE for a lower threshold above the upper one, EINVAL.
	 */
	addDestination(selector: ServiceSelector, options: DestinationOptions): void {
		const service = this.#service(readServiceName(selector), "Service not defined");
		const wanted = readDestination(options, service);
		this.#checkThresholds(wanted);
		if (find(service, wanted) !== undefined) throw failure("EEXIST", "Destination already exists", options);
		const known = this.#fromTrash(service, wanted);
		if (known === undefined && !this.#isUnicast(wanted.address)) {
			throw failure(
				"EINVAL",
				"Invalid operation.  Possibly wrong module version, address not unicast, ...",
				options,
			);
		}
		const destination =
			known ?? new Destination(service, wanted.address, wanted.port, new Stats(this.core.estimator));
		if (destination.service !== service) {
			destination.stats.clear();
			destination.service = service;
		}
		destination.available = true;
		this.#ns.hooks.changed();
		destination.stats.start();
		adjust(destination, wanted);
		service.destinations.unshift(destination);
		service.scheduler.changed();
	}

	/**
	 * `fill` adds, changes and removes real servers of a service before anybody next looks at them: a packet, or a command. In
	 * place of what was to do so before. Throws `NetError` ESRCH "Service not defined".
	 */
	promiseDestinations(selector: ServiceSelector, fill: () => void): void {
		this.#service(readServiceName(selector), "Service not defined").promise(fill);
	}

	/** `ipvsadm -e`. Throws `NetError` ESRCH "Service not defined", ENOENT "No such destination", ERANGE, EINVAL. */
	editDestination(selector: ServiceSelector, options: DestinationOptions): void {
		const service = this.#service(readServiceName(selector), "Service not defined");
		const wanted = readDestination(options, service);
		this.#checkThresholds(wanted);
		const destination = find(service, wanted);
		if (destination === undefined) throw failure("ENOENT", "No such destination", options);
		adjust(destination, wanted);
		this.#ns.hooks.changed();
		service.scheduler.changed();
	}

	/** `ipvsadm -d`. Throws `NetError` ESRCH "Service not defined", ENOENT "No such destination". */
	deleteDestination(selector: ServiceSelector, options: Pick<DestinationOptions, "address">): void {
		const service = this.#service(readServiceName(selector), "Service not defined");
		// Without a method the port is taken as it is given.
		const wanted = readDestination({ ...options, forward: "masquerading" }, service);
		const destination = find(service, wanted);
		if (destination === undefined) throw failure("ENOENT", "No such destination", options);
		const index = service.destinations.indexOf(destination);
		service.destinations.splice(index, 1);
		service.scheduler.removed(destination, index);
		this.#discard(destination);
	}

	// ── counters and times ────────────────────────────────────────────────────────────────────────

	/** `ipvsadm -Z`, of one service or all. Throws `NetError` ESRCH "No such service". */
	zero(selector?: ServiceSelector): void {
		const services =
			selector === undefined
				? this.core.services.sorted()
				: [this.#service(readServiceName(selector), "No such service")];
		for (const { stats, destinations } of services) {
			stats.clear();
			for (const destination of destinations) destination.stats.clear();
		}
	}

	/** `ipvsadm -L --timeout`. */
	get timeouts(): IpvsTimeouts {
		const seconds = (ticks = 0): number => Math.floor(this.#ns.jiffies.nanoseconds(ticks) / 1e9);
		const { tcpTimeouts, udpTimeout } = this.core;
		return {
			tcp: seconds(tcpTimeouts[ESTABLISHED]),
			tcpFin: seconds(tcpTimeouts[FIN_WAIT]),
			udp: seconds(udpTimeout),
		};
	}

	/** `ipvsadm --set TCP TCPFIN UDP`: seconds from the next packet on; 0 leaves one as it is. Throws `NetError` EINVAL. */
	setTimeouts({ tcp, tcpFin, udp }: IpvsTimeouts): void {
		for (const seconds of [tcp, tcpFin, udp]) {
			if (Number.isInteger(seconds) && seconds >= 0 && seconds <= MOST_SECONDS) continue;
			throw failure("EINVAL", `invalid timeout value \`${String(seconds)}' specified`, { tcp, tcpFin, udp });
		}
		const { connections, tcpTimeouts } = this.core;
		if (tcp > 0) tcpTimeouts[ESTABLISHED] = connections.ticks(tcp);
		if (tcpFin > 0) tcpTimeouts[FIN_WAIT] = connections.ticks(tcpFin);
		if (udp > 0) this.core.udpTimeout = connections.ticks(udp);
	}

	// ── what is behind them ───────────────────────────────────────────────────────────────────────

	#service(name: Parameters<Ipvs["services"]["get"]>[0], message: string): Service {
		const service = this.core.services.get(name);
		if (service === undefined) throw failure("ESRCH", message, name);
		return service;
	}

	#scheduler(name: string): NonNullable<ReturnType<typeof SCHEDULERS.get>> {
		const scheduler = SCHEDULERS.get(name);
		if (scheduler !== undefined) return scheduler;
		throw new NetError("ENOENT", "Scheduler or persistence engine not found", {
			remedy: `Schedulers here: ${[...SCHEDULERS.keys()].join(", ")}.`,
			context: { scheduler: name },
		});
	}

	#checkThresholds({ upper, lower }: WantedDestination): void {
		if (lower > upper) throw failure("ERANGE", "Numerical result out of range", { upper, lower });
	}

	/** An address that may be a real server's: one of a host (`inet_addr_type`). */
	#isUnicast(address: Ip4): boolean {
		return (
			address >>> 24 !== 0 &&
			!isMulticastIp4(address) &&
			address >>> 28 !== 15 &&
			!this.#ns.isBroadcast(address)
		);
	}

	/** `__ip_vs_unlink_dest`, `__ip_vs_del_dest`. */
	#discard(destination: Destination): void {
		destination.available = false;
		this.#ns.hooks.changed();
		destination.stats.stop();
		destination.idleSince = 0;
		if (this.#trash.length === 0) this.#trashTimer.after(this.core.connections.ticks(TRASH_PERIOD / 2));
		this.#trash.unshift(destination);
		if (this.settings.expire_nodest_conn !== 0) this.#orphansTimer.after(1);
	}

	#fromTrash(service: Service, { address, port }: WantedDestination): Destination | undefined {
		const at = this.#trash.findIndex((each) => {
			const of = each.service;
			return (
				each.address === address &&
				each.port === port &&
				of.fwmark === service.fwmark &&
				of.protocol === service.protocol &&
				(service.fwmark !== 0 || (of.address === service.address && of.port === service.port))
			);
		});
		return at < 0 ? undefined : this.#trash.splice(at, 1)[0];
	}

	/** Forgets the removed that were without connections for a while (`ip_vs_dest_trash_expire`). */
	#emptyTrash(): void {
		const now = this.#ns.jiffies.jiffiesAt(this.#ns.world.scheduler.now);
		const period = this.core.connections.ticks(TRASH_PERIOD);
		this.#trash = this.#trash.filter((each) => {
			if (each.references > 0) return true;
			if (each.idleSince === 0) {
				each.idleSince = Math.max(1, now);
				return true;
			}
			return now < each.idleSince + period;
		});
		if (this.#trash.length > 0) this.#trashTimer.after(period / 2);
	}

	/** Ends the connections of removed real servers (`ip_vs_expire_nodest_conn_flush`). */
	#endOrphans(): void {
		const { connections } = this.core;
		for (const connection of [...connections.all()]) {
			if (connection.destination.available || connection.controlled > 0) continue;
			connections.remove(connection);
		}
	}
}

/** The most seconds a timeout may have (`MAX_TIMEOUT`: a month of 31 days). */
const MOST_SECONDS = 86_400 * 31;

const find = (service: Service, { address, port }: WantedDestination): Destination | undefined =>
	service.destinations.find((each) => each.address === address && each.port === port);

/** `ip_vs_edit_service`. */
function configure(service: Service, wanted: WantedService): void {
	service.persistence = wanted.persistence;
	service.netmask = wanted.netmask;
	service.onePacket = wanted.onePacket;
	service.fallback = wanted.fallback;
	service.hashPort = wanted.hashPort;
}

/** `__ip_vs_update_dest`. */
function adjust(destination: Destination, wanted: WantedDestination): void {
	destination.weight = wanted.weight;
	destination.forward = wanted.forward;
	if (wanted.upper === 0 || wanted.upper > destination.upper) destination.overloaded = false;
	destination.upper = wanted.upper;
	destination.lower = wanted.lower;
	destination.routeGeneration = -1;
}

const failure = (code: string, message: string, about: object): NetError =>
	new NetError(code, message, { context: shown(about) });

/** What was asked for, addresses as text. */
const shown = (about: object): Record<string, unknown> =>
	Object.fromEntries(
		Object.entries(about).map(([name, value]: [string, unknown]) => [
			name,
			name === "address" && typeof value === "number" ? formatIp4(value as Ip4) : value,
		]),
	);
