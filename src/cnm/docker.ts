import { formatIp4, type Ip4, type Prefix4, toIp4, toPrefix4 } from "../addr/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { Container, ContainerStatus } from "./container.ts";
import { type ContainerJson, containerJson, portsJson } from "./container-json.ts";
import { ContainerStore } from "./containers.ts";
import { Controller } from "./controller.ts";
import { Departures } from "./departures.ts";
import { notFound } from "./docker-error.ts";
import type { DnsDefaults } from "./dns/naming.ts";
import type { NetworkDriver } from "./driver.ts";
import {
	BridgeDriver,
	dockerProxy,
	Firewall,
	heldPort,
	LABELS,
	PortAllocator,
	PortMapper,
	type StartProxy,
} from "./drivers/bridge/index.ts";
import { ChildDriver } from "./drivers/children.ts";
import { OverlayDriver } from "./drivers/overlay/index.ts";
import { SimpleDriver } from "./drivers/simple.ts";
import { Ids } from "./ids.ts";
import { type AddressPoolOptions, cutPools, Ipam, localPools } from "./ipam/index.ts";
import type { Machine } from "./machine.ts";
import { DockerNetworks } from "./docker-networks.ts";
import { ManagedNetworks } from "./managed-networks.ts";
import { type NetworkCreateOptions, NetworkStore } from "./networks.ts";
import type { Program } from "./program.ts";
import type { RunOptions } from "./run-options.ts";
import { ServiceAgent } from "./service/index.ts";
import { timestamp } from "./timestamp.ts";

/** `daemon.json`, as far as networks are concerned. */
export interface DaemonOptions<N extends IpNamespace = IpNamespace> extends DnsDefaults {
	/** `userland-proxy`; true unless said. Without it bridge ports are in hairpin mode. */
	readonly userlandProxy?: boolean;
	/** `default-address-pools`. */
	readonly defaultAddressPools?: readonly AddressPoolOptions[];
	/** `bip`: docker0's address and subnet, "192.168.100.1/24". */
	readonly bip?: string | Prefix4;
	/** `fixed-cidr`: the part of docker0's subnet that addresses are given from. */
	readonly fixedCidr?: string;
	/** `mtu`, of docker0; 1500 unless said. */
	readonly mtu?: number;
	/** `icc`: containers on docker0 reach each other; true unless said. */
	readonly icc?: boolean;
	/** `ip`: where ports are published that say no address; 0.0.0.0 unless said. */
	readonly ip?: Ip4 | string;
	/** `host-gateway-ip`: what `--add-host NAME:host-gateway` stands for; docker0's address unless said. */
	readonly hostGatewayIp?: string;
	/** Drivers beside those that Docker brings. */
	readonly drivers?: readonly NetworkDriver[];
	/** What runs in containers, by image: containers of others run nothing. Looked at when one starts. */
	readonly images?: ReadonlyMap<string, Program<N>>;
	/** What answers at a published port on the host itself; docker-proxy unless said, or what only holds the port without it. */
	readonly portProxy?: StartProxy;
}

/** A line of `docker ps`. */
export interface ContainerLine {
	readonly id: string;
	readonly name: string;
	readonly status: ContainerStatus;
	/** "0.0.0.0:5001->80/tcp". */
	readonly ports: string;
}

/**
 * The Docker engine of one machine, as far as networks are concerned (Docker 20.10).
 *
 * What it refuses is a `DockerError` in the daemon's own words, or a `NetError` in the CLI's; nothing is changed then.
 */
export class Docker<N extends IpNamespace = IpNamespace> {
	/** `docker network …`. */
	readonly networks: DockerNetworks<N>;
	/** `docker container …`. */
	readonly containers: DockerContainers<N>;
	/** What clusters ask of the engine; users need it not. */
	readonly controller: Controller<N>;
	/** This node's part in the services of its cluster. */
	readonly services: ServiceAgent;
	readonly #containers: ContainerStore<N>;

	constructor(machine: Machine<N>, options: DaemonOptions<N> = {}) {
		const { netns, rng } = machine;
		const ids = new Ids(rng);
		const userlandProxy = options.userlandProxy ?? true;
		const firewall = new Firewall(netns, userlandProxy);
		const allocator = new PortAllocator(netns.localPortRange);
		const proxy = userlandProxy ? dockerProxy(netns) : heldPort(netns);
		const ports = new PortMapper(firewall, allocator, options.portProxy ?? proxy, userlandProxy);
		const pools =
			options.defaultAddressPools === undefined ? localPools() : cutPools(options.defaultAddressPools);
		const drivers = [
			new BridgeDriver({ ns: netns, ids, firewall, ports, userlandProxy }),
			new ChildDriver("macvlan", netns, ids),
			new ChildDriver("ipvlan", netns, ids),
			new OverlayDriver({ machine, ids }),
			new SimpleDriver("host"),
			new SimpleDriver("null"),
			...(options.drivers ?? []),
		] satisfies NetworkDriver[];
		const departures = new Departures(netns.kernel);
		const now = (): string => timestamp(netns.kernel);
		const store = new NetworkStore({
			drivers: new Map(drivers.map((driver) => [driver.type, driver])),
			ipam: new Ipam(pools, () => onLink(netns)),
			ids,
			departures,
			clock: netns.kernel.driver,
			now,
			arrange: () => {
				firewall.arrange();
			},
		});
		firewall.start();
		store.predefine("none", { driver: "null" });
		store.predefine("host", { driver: "host" });
		store.predefine("bridge", docker0(options));
		const managed = new ManagedNetworks(store, departures);
		const containers = new ContainerStore<N>({
			machine,
			departures,
			networks: store,
			managed,
			ids,
			now,
			dns: options,
			hostGateway: options.hostGatewayIp ?? addressOf(netns, "docker0"),
			images: options.images ?? new Map<string, Program<N>>(),
		});
		this.#containers = containers;
		this.controller = new Controller({
			machine,
			networks: store,
			managed,
			containers,
			departures,
			drivers,
			ids,
		});
		this.services = new ServiceAgent({
			ns: netns,
			rng: rng.fork("services"),
			sandboxes: this.controller,
			arrange: () => {
				firewall.arrange();
			},
		});
		this.controller.listeners.add(this.services);
		this.controller.services = (network) => this.services.inspect(network);
		this.networks = new DockerNetworks(store, this.controller, containers);
		this.containers = new DockerContainers(this.#containers);
	}

	/**
	 * `docker run -d …`: create and start. On networks of a cluster's the container runs when it got its places there: await
	 * `container.ready`. Throws `DockerError`, `NetError`; then no container is left, nor when `ready` rejects.
	 */
	run(options: RunOptions = {}): Container<N> {
		const container = this.#containers.create(options);
		try {
			this.#containers.start(container, () => {
				this.#containers.remove(container, true);
			});
		} catch (error) {
			this.#containers.remove(container, true);
			throw error;
		}
		return container;
	}

	/** `docker create …`. Throws `DockerError`, `NetError`. */
	create(options: RunOptions = {}): Container<N> {
		return this.#containers.create(options);
	}

	/** `docker start`; see `container.ready` where a cluster has a say. Throws `DockerError`. */
	start(container: string | Container<N>): void {
		this.#containers.start(this.#containers.find(container));
	}

	/**
	 * `docker stop`, with a program that ends at once: it has stopped, its connections are closed, and what they say still
	 * goes out, until its interfaces go 50 ms later or when the next container starts. Throws `DockerError` 404.
	 */
	stop(container: string | Container<N>): void {
		this.#containers.stop(this.#containers.find(container));
	}

	/** `docker restart`: the addresses it does not ask for may be others. Throws `DockerError`. */
	restart(container: string | Container<N>): void {
		const found = this.#containers.find(container);
		this.#containers.stop(found);
		this.#containers.start(found);
	}

	/** `docker rm [-f]`. Throws `DockerError` 404, 409. */
	rm(container: string | Container<N>, options: { readonly force?: boolean } = {}): void {
		this.#containers.remove(this.#containers.find(container), options.force ?? false);
	}

	/**
	 * `docker port NAME`: "80/tcp -> 0.0.0.0:5001" and so on; of one port ("80", "53/udp") the right side alone. Throws
	 * `DockerError` 404, `NetError` for a port that is not published.
	 */
	port(container: string | Container<N>, port?: string): string[] {
		const found = this.#containers.find(container);
		const published = Object.entries(portsJson(found)).flatMap(([key, at]) =>
			(at ?? []).map(({ HostIp, HostPort }) => [key, `${HostIp}:${HostPort}`] as const),
		);
		if (port === undefined) return published.map(([key, at]) => `${key} -> ${at}`);
		const key = port.includes("/") ? port : `${port}/tcp`;
		const wanted = published.filter(([each]) => each === key).map(([, at]) => at);
		if (wanted.length === 0) throw notFound(`No public port '${key}' published for ${found.name}`);
		return wanted;
	}
}

/** docker0's network. */
function docker0(
	options: Pick<DaemonOptions, "bip" | "fixedCidr" | "icc" | "ip" | "mtu">,
): NetworkCreateOptions & { readonly hideGateway: boolean } {
	const { bip, fixedCidr } = options;
	const ip = options.ip === undefined ? "0.0.0.0" : toIpText(options.ip);
	const address = bip === undefined ? undefined : toPrefix4(bip, "bip");
	return {
		hideGateway: bip === undefined,
		...(address === undefined ? {} : subnetOf(address, fixedCidr)),
		options: {
			[LABELS.defaultBridge]: "true",
			[LABELS.icc]: String(options.icc ?? true),
			[LABELS.masquerade]: "true",
			[LABELS.hostBinding]: ip,
			[LABELS.name]: "docker0",
			[LABELS.mtu]: String(options.mtu ?? 1500),
		},
	};
}

/** `docker container …` of one engine; containers are named by name, id or the first digits of it. */
export class DockerContainers<N extends IpNamespace = IpNamespace> {
	readonly #store: ContainerStore<N>;

	constructor(store: ContainerStore<N>) {
		this.#store = store;
	}

	/** The container of a name. Throws `DockerError` 404. */
	get(container: string): Container<N> {
		return this.#store.find(container);
	}

	/** `docker inspect`. Throws `DockerError` 404. */
	inspect(container: string | Container<N>): ContainerJson {
		return containerJson(this.#store.find(container));
	}

	/** `docker ps`, with those that do not run when `all`; the newest first. */
	ls(options: { readonly all?: boolean } = {}): ContainerLine[] {
		return this.#store.all
			.filter(({ running, status }) => running || status === "restarting" || options.all === true)
			.toReversed()
			.map((each) => ({ id: each.shortId, name: each.name, status: each.status, ports: portsText(each) }));
	}

	/** `docker container prune -f`: those that do not run go; returns their ids. */
	prune(): string[] {
		const gone = this.#store.all.filter(({ running, status }) => !running && status !== "restarting");
		for (const each of gone) this.#store.remove(each, false);
		return gone.map(({ id }) => id);
	}
}

function portsText(container: Container): string {
	return Object.entries(container.running ? portsJson(container) : {})
		.flatMap(([key, at]) => (at ?? []).map(({ HostIp, HostPort }) => `${HostIp}:${HostPort}->${key}`))
		.join(", ");
}

/** Subnets on the links of a namespace: default pools keep clear of them (`netutils.CheckRouteOverlaps`). */
const onLink = (ns: IpNamespace): Prefix4[] =>
	ns.fib
		.routes()
		.filter(({ type, scope }) => type === "unicast" && scope === "link")
		.map(({ network, length }) => ({ address: network, length }));

/** The first address of a device. */
function addressOf(ns: IpNamespace, device: string): string {
	const [first] = ns.inDevice(ns.device(device))?.addresses ?? [];
	return first === undefined ? "" : formatIp4(first.prefix.address);
}

function toIpText(ip: Ip4 | string): string {
	const value = toIp4(ip, "ip");
	return [24, 16, 8, 0].map((shift) => String((value >>> shift) & 255)).join(".");
}

function subnetOf(bip: Prefix4, range: string | undefined): NetworkCreateOptions {
	const text = (address: number): string =>
		[24, 16, 8, 0].map((s) => String((address >>> s) & 255)).join(".");
	const mask = bip.length === 0 ? 0 : -1 << (32 - bip.length);
	return {
		subnet: `${text(bip.address & mask)}/${String(bip.length)}`,
		gateway: text(bip.address),
		...(range === undefined ? {} : { ipRange: range }),
	};
}
