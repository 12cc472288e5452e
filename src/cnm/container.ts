import type { Ip4 } from "../addr/index.ts";
import {
	ping,
	type PingOptions,
	type PingResult,
	type RecordType,
	type Resolution,
	resolve,
} from "../apps/index.ts";
import type { Operation } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import { conflict } from "./docker-error.ts";
import type { EmbeddedDns } from "./dns/embedded-dns.ts";
import type { DriverOptions } from "./driver.ts";
import type { Endpoint } from "./endpoint.ts";
import { shortId } from "./ids.ts";
import type { Network } from "./network.ts";
import type { PortSpec } from "./publish.ts";
import type { Sandbox } from "./sandbox.ts";

/** What `docker run` takes, as far as networks are concerned. */
export interface RunOptions {
	/** Drawn unless said: two words. */
	readonly name?: string;
	/** Shown by inspect; nothing is run of it. */
	readonly image?: string;
	/** A network's name or id, `bridge` unless said; `host`, `none`, `container:NAME`. */
	readonly network?: string | Network;
	/** `--network-alias`. */
	readonly aliases?: readonly string[];
	/** `--ip`. */
	readonly ip?: Ip4 | string;
	/** `--mac-address`. */
	readonly macAddress?: string;
	/** The short id unless said. */
	readonly hostname?: string;
	readonly domainname?: string;
	/** `--link`: "NAME" or "NAME:ALIAS". */
	readonly links?: readonly string[];
	/** `-p`: "80", "5001:80", "127.0.0.1:53:53/udp", "8000-8002:80-82". */
	readonly publish?: readonly string[];
	/** `-P`: every exposed port gets one of the host's. */
	readonly publishAll?: boolean;
	readonly expose?: readonly string[];
	readonly dns?: readonly string[];
	readonly dnsSearch?: readonly string[];
	readonly dnsOptions?: readonly string[];
	/** `--add-host`: "name:address". */
	readonly addHost?: readonly string[];
	/** Set in the container's namespace: `{ "net.ipv4.ip_forward": 0 }`. */
	readonly sysctls?: Readonly<Record<string, number>>;
	readonly labels?: Readonly<Record<string, string>>;
}

/** What `docker network connect` takes. */
export interface ConnectOptions {
	/** `--ip`. */
	readonly ip?: Ip4 | string;
	/** `--alias`. */
	readonly aliases?: readonly string[];
	/** `--link`. */
	readonly links?: readonly string[];
	readonly driverOptions?: DriverOptions;
}

/** One network of a container: what was asked for, and the endpoint while it runs. */
export interface Attachment {
	readonly network: Network;
	readonly ip: Ip4 | undefined;
	readonly macAddress: string | undefined;
	readonly aliases: readonly string[];
	readonly links: readonly string[];
	readonly driverOptions: DriverOptions | null;
	/** `docker network connect` made it: inspect shows empty objects where `run` leaves null. */
	readonly connected: boolean;
	endpoint: Endpoint | undefined;
}

/** `State.Status` of `docker inspect`. */
export type ContainerStatus = "created" | "running" | "exited";

/** A container, as far as networks are concerned: a namespace while it runs, and its networks. */
export class Container<N extends IpNamespace = IpNamespace> {
	readonly id: string;
	/** Without the `/` that the API writes in front. */
	readonly name: string;
	/** What it was run with. */
	readonly options: RunOptions;
	/** RFC 3339. */
	readonly created: string;
	readonly hostname: string;
	readonly ports: readonly PortSpec[];
	/** `HostConfig.NetworkMode`. */
	readonly networkMode: string;
	/** By the network's id, in the order in which they were connected. */
	readonly attachments: Map<string, Attachment> = new Map();
	status: ContainerStatus = "created";
	sandbox: Sandbox | undefined;
	/** Its name server, on networks that have names. */
	dns: EmbeddedDns | undefined;
	#netns: N | undefined;

	constructor(
		id: string,
		name: string,
		options: RunOptions,
		created: string,
		ports: readonly PortSpec[],
		networkMode: string,
	) {
		this.id = id;
		this.name = name;
		this.options = options;
		this.created = created;
		this.hostname = options.hostname ?? shortId(id);
		this.ports = ports;
		this.networkMode = networkMode;
	}

	/** The first twelve digits of its id. */
	get shortId(): string {
		return shortId(this.id);
	}

	/** Whether it runs. */
	get running(): boolean {
		return this.status === "running";
	}

	/** The namespace it runs in. Throws `DockerError` 409 while it does not run. */
	get netns(): N {
		if (this.#netns !== undefined) return this.#netns;
		throw conflict(`Container ${this.id} is not running`, { context: { container: this.name } });
	}

	/** The engine starts and stops it. */
	runIn(ns: N | undefined): void {
		this.#netns = ns;
	}

	/** Its address on its first network, or on the one of a name; "" for none, or while it does not run. */
	ip(network?: string): string {
		for (const each of this.attachments.values()) {
			if (network === undefined || each.network.name === network) return each.endpoint?.ip ?? "";
		}
		return "";
	}

	/** A name as programs in it see it: `docker exec NAME getent hosts …`. Rejects with `NetError` EAI_NONAME, EAI_AGAIN. */
	resolve(name: string, type: RecordType = "A"): Operation<Resolution> {
		return resolve(this.netns, name, type);
	}

	/** `docker exec NAME ping …`. Rejects with `NetError` where ping ends at once. */
	ping(destination: Ip4 | string, options: PingOptions = {}): Operation<PingResult> {
		return ping(this.netns, destination, options);
	}
}
