import type { Ip4 } from "../addr/index.ts";
import type { DriverOptions } from "./driver.ts";
import type { HealthOptions } from "./health.ts";
import type { Network } from "./network.ts";

/** What `docker run` takes, as far as networks are concerned. */
export interface RunOptions {
	/** Drawn unless said: two words. */
	readonly name?: string;
	/** What runs in it: the program that `images` has of that name; nothing when it has none. */
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
	/** `--restart`: "no" unless said, "always", "unless-stopped", "on-failure", "on-failure:5". */
	readonly restart?: string;
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
	/** It is asked how it is (`container.probe`); never unless said. */
	readonly healthcheck?: HealthOptions;
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
