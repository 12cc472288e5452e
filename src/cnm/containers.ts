import { type DnsDefaults, Naming } from "./dns/naming.ts";
import { type Ip4, parseIp4, parseMac } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { IpNamespace, SysctlName } from "../stack/index.ts";
import { type Attachment, type ConnectOptions, Container, type RunOptions } from "./container.ts";
import { cliRefuses, conflict, failed, forbidden, invalid, notFound } from "./docker-error.ts";
import type { PortBinding } from "./driver.ts";
import type { Ids } from "./ids.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import type { NetworkStore } from "./networks.ts";
import { portSpecs, sortBindings } from "./publish.ts";
import { Sandbox } from "./sandbox.ts";
import { undoing } from "./undo.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const LEFT = [
	"brave",
	"calm",
	"eager",
	"gentle",
	"happy",
	"keen",
	"lucid",
	"noble",
	"quiet",
	"swift",
	"vivid",
	"witty",
];
const RIGHT = [
	"bell",
	"cerf",
	"clark",
	"dijkstra",
	"hopper",
	"lamport",
	"liskov",
	"metcalfe",
	"perlman",
	"postel",
	"shannon",
	"turing",
];

const MESSAGES = {
	ipOnDefault: "user specified IP address is supported on user defined networks only",
	ipWithoutSubnet:
		"user specified IP address is supported only when connecting to networks with user configured subnets",
	aliasOnDefault: "network-scoped alias is supported only for containers in user defined networks",
	shared:
		"container sharing network namespace with another container or host cannot be connected to any other network",
	host: "container cannot be disconnected from host network or connected to host network",
	none: "container cannot be connected to multiple networks with one of the networks in private (none) mode",
} as const;

/** The containers of one engine. */
export class ContainerStore<N extends IpNamespace> {
	readonly #machine: Machine<N>;
	readonly #networks: NetworkStore;
	readonly #ids: Ids;
	readonly #now: () => string;
	readonly #naming: Naming<N>;
	readonly #containers = new Map<string, Container<N>>();
	readonly #byEndpoint = new Map<string, Container<N>>();

	constructor(
		machine: Machine<N>,
		networks: NetworkStore,
		ids: Ids,
		now: () => string,
		dnsDefaults: DnsDefaults = {},
	) {
		this.#naming = new Naming(machine, dnsDefaults);
		this.#machine = machine;
		this.#networks = networks;
		this.#ids = ids;
		this.#now = now;
	}

	/** All of them, the oldest first. */
	get all(): readonly Container<N>[] {
		return [...this.#containers.values()];
	}

	/** By name, id, or the first digits of an id. Throws `DockerError` 404. */
	find(term: string | Container<N>): Container<N> {
		if (typeof term !== "string") {
			if (this.#containers.get(term.id) === term) return term;
			throw noSuch(term.id);
		}
		const name = term.replace(/^\//, "");
		const found = this.#containers.get(term) ?? this.all.find((each) => each.name === name);
		if (found !== undefined) return found;
		const byPrefix = term === "" ? [] : this.all.filter(({ id }) => id.startsWith(term));
		const [only, other] = byPrefix;
		if (other !== undefined) throw invalid(`Multiple IDs found with provided prefix: ${term}`);
		if (only === undefined) throw noSuch(term);
		return only;
	}

	/** The container an endpoint belongs to. */
	ofEndpoint(endpointId: string): Container<N> | undefined {
		return this.#byEndpoint.get(endpointId);
	}

	// ── create, remove ────────────────────────────────────────────────────────────────────────────

	/** `docker create`. Throws `DockerError`, `NetError` where the CLI refuses; nothing changed. */
	create(options: RunOptions): Container<N> {
		const mode = modeOf(options.network);
		const ports = portSpecs(options.publish ?? [], options.expose ?? []);
		checkMode(mode, options);
		const ip = readIp(options.ip, "--ip");
		if (options.macAddress !== undefined && parseMac(options.macAddress) === undefined)
			throw cliRefuses(`${options.macAddress} is not a valid mac address`);
		const id = this.#ids.id();
		const name = this.#name(options.name, id);
		const container = new Container<N>(id, name, options, this.#now(), ports, mode);
		if (mode.startsWith("container:")) this.find(mode.slice("container:".length));
		else {
			const network = this.#networks.find(mode === "default" ? "bridge" : mode);
			const { macAddress, links = [], aliases = [] } = options;
			for (const link of links) this.#checkLink(link);
			const userLinks = network.about.predefined ? [] : links;
			const attachment = { ip, macAddress, aliases, links: userLinks, driverOptions: null };
			checkAttachment(network, attachment);
			container.attachments.set(network.id, {
				network,
				...attachment,
				connected: false,
				endpoint: undefined,
			});
		}
		this.#containers.set(id, container);
		return container;
	}

	#checkLink(link: string): void {
		const [to = ""] = link.split(":");
		try {
			this.find(to);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			throw invalid(`could not get container for ${to}: No such container: ${to}`);
		}
	}

	#name(wanted: string | undefined, id: string): string {
		if (wanted === undefined) {
			for (;;) {
				const name = `${String(LEFT[this.#ids.below(LEFT.length)])}_${String(RIGHT[this.#ids.below(RIGHT.length)])}`;
				const numbered = this.all.length > 60 ? `${name}${id.slice(0, 6)}` : name;
				if (!this.#taken(numbered)) return numbered;
			}
		}
		if (!NAME.test(wanted)) {
			throw invalid(`Invalid container name (${wanted}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
		}
		const other = this.all.find(({ name }) => name === wanted);
		if (other === undefined) return wanted;
		throw conflict(
			`Conflict. The container name "/${wanted}" is already in use by container "${other.id}".` +
				" You have to remove (or rename) that container to be able to reuse that name.",
			{ context: { name: wanted, container: other.id } },
		);
	}

	#taken(name: string): boolean {
		return this.all.some((each) => each.name === name);
	}

	/** `docker rm [-f]`. Throws `DockerError` 409 for one that runs, nothing changed. */
	remove(container: Container<N>, force: boolean): void {
		if (container.running) {
			if (!force) {
				throw conflict(
					`You cannot remove a running container ${container.id}.` +
						" Stop the container before attempting removal or force remove",
				);
			}
			this.stop(container);
		}
		this.#containers.delete(container.id);
	}

	// ── start, stop ───────────────────────────────────────────────────────────────────────────────

	/** `docker start`; nothing for one that runs. Throws `DockerError`, nothing changed. */
	start(container: Container<N>): void {
		if (container.running) return;
		const { networkMode } = container;
		if (networkMode.startsWith("container:")) {
			container.runIn(this.#peer(container, networkMode.slice("container:".length)).netns);
			container.status = "running";
			return;
		}
		undoing((undo) => {
			const host = networkMode === "host";
			const ns = host ? this.#machine.netns : this.#machine.addNetns(container.name);
			undo(() => {
				if (!host) this.#machine.delNetns(container.name);
			});
			if (!host) {
				// It is in /var/run/docker/netns, where `ip netns` does not look.
				ns.named = false;
				setSysctls(ns, container.options.sysctls ?? {});
			}
			container.sandbox = new Sandbox(this.#ids.id(), ns, !host, bindings(container));
			container.runIn(ns);
			undo(() => {
				container.sandbox = undefined;
				container.runIn(undefined);
			});
			// The sandbox's order: numbers of interfaces follow it.
			const attachments = [...container.attachments.values()];
			const made = attachments.map((each) => {
				undo(() => {
					this.#detach(each);
				});
				return this.#createEndpoint(container, each);
			});
			container.sandbox.joinAll(made);
			this.#naming.follow(container);
			container.status = "running";
		});
	}

	#peer(container: Container<N>, term: string): Container<N> {
		const peer = this.find(term);
		if (peer === container) throw conflict("cannot join own network namespace");
		if (peer.running) return peer;
		throw conflict(`cannot join network of a non running container: ${peer.id}`, {
			remedy: `Start ${peer.name} first.`,
		});
	}

	#createEndpoint(container: Container<N>, each: Attachment): NonNullable<Attachment["endpoint"]> {
		// It may have been removed while the container did not run.
		if (!this.#networks.all.includes(each.network)) throw notFound(`network ${each.network.id} not found`);
		const endpoint = each.network.createEndpoint({
			id: this.#ids.id(),
			name: container.name,
			ip: each.ip,
			macAddress: each.macAddress,
			options: each.driverOptions ?? {},
			dnsNames: [container.name, ...each.aliases, container.shortId],
		});
		each.endpoint = endpoint;
		this.#byEndpoint.set(endpoint.id, container);
		return endpoint;
	}

	#detach(each: Attachment): void {
		if (each.endpoint === undefined) return;
		this.#byEndpoint.delete(each.endpoint.id);
		each.network.deleteEndpoint(each.endpoint);
		each.endpoint = undefined;
	}

	/** `docker stop`: addresses and ports are free again; nothing for one that does not run. */
	stop(container: Container<N>): void {
		if (!container.running) return;
		this.#naming.end(container);
		if (container.sandbox?.own === true) container.netns.endPrograms();
		container.sandbox?.clear();
		for (const each of container.attachments.values()) this.#detach(each);
		if (container.sandbox?.own === true) this.#machine.delNetns(container.name);
		container.sandbox = undefined;
		container.runIn(undefined);
		container.status = "exited";
	}

	// ── connect, disconnect ───────────────────────────────────────────────────────────────────────

	/** `docker network connect`. Throws `DockerError`, nothing changed. */
	connect(network: Network, container: Container<N>, options: ConnectOptions): void {
		if (container.networkMode.startsWith("container:")) throw forbidden(MESSAGES.shared);
		if (network.driver.type === "host" && container.networkMode !== "host") throw invalid(MESSAGES.host);
		for (const { network: other } of container.attachments.values()) {
			if (other === network) continue;
			if (other.driver.type === "host" || network.driver.type === "host") throw forbidden(MESSAGES.shared);
			if (other.driver.type === "null" || network.driver.type === "null") throw invalid(MESSAGES.none);
		}
		for (const link of options.links ?? []) this.#checkLink(link);
		const about = {
			ip: readIp(options.ip, "--ip"),
			macAddress: undefined,
			aliases: options.aliases ?? [],
			links: options.links ?? [],
			driverOptions: options.driverOptions ?? null,
		};
		checkAttachment(network, about);
		const attachment: Attachment = { network, ...about, connected: true, endpoint: undefined };
		if (container.sandbox === undefined) {
			container.attachments.set(network.id, attachment);
			return;
		}
		const { sandbox } = container;
		undoing((undo) => {
			const endpoint = this.#createEndpoint(container, attachment);
			undo(() => {
				this.#detach(attachment);
			});
			sandbox.join(endpoint);
			container.attachments.set(network.id, attachment);
			this.#naming.follow(container);
		});
	}

	/** `docker network disconnect`. Throws `DockerError`, nothing changed. */
	disconnect(network: Network, container: Container<N>): void {
		const attachment = container.attachments.get(network.id);
		if (container.running && container.networkMode === "host" && network.driver.type === "host")
			throw invalid(MESSAGES.host);
		if (attachment === undefined) {
			throw failed(
				container.running
					? `container ${container.id} is not connected to network ${network.name}`
					: `container ${container.id} is not connected to the network ${network.name}`,
			);
		}
		this.#detach(attachment);
		container.attachments.delete(network.id);
		if (container.running) this.#naming.follow(container);
	}
}

const noSuch = (term: string): Error =>
	notFound(`No such container: ${term}`, { context: { container: term } });

/** `HostConfig.NetworkMode`. */
function modeOf(network: RunOptions["network"]): string {
	if (network === undefined) return "default";
	return typeof network === "string" ? network : network.name;
}

/** What the daemon refuses to combine (runconfig `validateNetMode`). */
function checkMode(mode: string, options: RunOptions): void {
	const refuse = (condition: boolean, text: string): void => {
		if (condition) throw invalid(`conflicting options: ${text}`);
	};
	const links = (options.links ?? []).length > 0;
	const undefinedBehaviour = "This would result in undefined behavior";
	refuse(mode === "host" && links, `host type networking can't be used with links. ${undefinedBehaviour}`);
	if (!mode.startsWith("container:")) {
		if (mode === "container") throw invalid("invalid container format container:<name|id>");
		return;
	}
	if (mode === "container:")
		throw invalid("Invalid network mode: invalid container format container:<name|id>");
	refuse(options.hostname !== undefined, "hostname and the network mode");
	refuse(links, `container type network can't be used with links. ${undefinedBehaviour}`);
	refuse((options.dns ?? []).length > 0, "dns and the network mode");
	refuse((options.addHost ?? []).length > 0, "custom host-to-IP mapping and the network mode");
	refuse(options.macAddress !== undefined, "mac-address and the network mode");
	const published = (options.publish ?? []).length > 0 || options.publishAll === true;
	refuse(published, "port publishing and the container type network mode");
	refuse((options.expose ?? []).length > 0, "port exposing and the container type network mode");
}

function checkAttachment(network: Network, about: Pick<Attachment, "ip" | "aliases">): void {
	if (network.about.predefined) {
		if (about.ip !== undefined) throw invalid(MESSAGES.ipOnDefault);
		if (about.aliases.length > 0) throw invalid(MESSAGES.aliasOnDefault);
	} else if (about.ip !== undefined && !network.about.userSubnets) {
		throw invalid(MESSAGES.ipWithoutSubnet, {
			remedy: `Create ${network.name} with a subnet (docker network create --subnet).`,
		});
	}
}

function readIp(value: Ip4 | string | undefined, flag: string): Ip4 | undefined {
	if (typeof value !== "string") return value;
	const ip = parseIp4(value);
	if (ip === undefined) {
		throw cliRefuses(`invalid argument "${value}" for "${flag}" flag: invalid IP address: ${value}`);
	}
	return ip;
}

/** Ports to publish, in the daemon's order; with `-P` also those that are exposed alone. */
function bindings(container: Container): PortBinding[] {
	const all = container.options.publishAll === true;
	return sortBindings(
		container.ports.map((spec) =>
			spec.bindings.length > 0 || !all
				? spec
				: { ...spec, bindings: [{ proto: spec.proto, port: spec.port, hostPort: 0, hostPortEnd: 0 }] },
		),
	);
}

function setSysctls(ns: IpNamespace, sysctls: Readonly<Record<string, number>>): void {
	for (const [name, value] of Object.entries(sysctls)) {
		try {
			ns.sysctl.set(name as SysctlName, value);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			const path = `/proc/sys/${name.replaceAll(".", "/")}`;
			const why = error.code === "ENOENT" ? "no such file or directory" : "invalid argument";
			throw failed(
				"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container" +
					` process: error during container init: open ${path}: ${why}: unknown`,
				{ context: { [name]: value } },
			);
		}
	}
}
