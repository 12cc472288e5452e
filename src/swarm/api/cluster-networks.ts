import {
	type ClusterNetwork,
	DockerError,
	ipamConfigs,
	type NetworkCreateOptions,
	type NetworkJson,
} from "../../cnm/index.ts";
import type { NetError } from "../../errors.ts";
import type { NetworkSpec } from "../objects.ts";
import { findNetwork } from "./find.ts";
import { clusterNetwork } from "../cluster-network.ts";
import type { ManagerContext } from "./manager-context.ts";
import type { ControlResult } from "./requests.ts";

/** Names no network of a user's may have (`runconfig.IsPreDefinedNetwork`). */
const PREDEFINED: ReadonlySet<string> = new Set(["bridge", "host", "none", "default"]);

/** What `docker network create` takes for a network of the cluster's. */
export interface ClusterNetworkOptions extends NetworkCreateOptions {
	/** `--ingress`: the network of published ports. */
	readonly ingress?: boolean;
}

/** What `docker network inspect` prints of a network of the cluster's that this node has nothing on. */
export interface ClusterNetworkJson extends Omit<NetworkJson, "Containers" | "Options"> {
	readonly Containers: null;
	readonly Options: Readonly<Record<string, string>> | null;
}

/** The cluster's part of `docker network …` on a manager; engines call it through their `ClusterProvider`. */
export class ClusterNetworks {
	readonly #context: ManagerContext;

	constructor(context: ManagerContext) {
		this.#context = context;
	}

	/** All networks of the cluster's but those that stand for the nodes' own. */
	list(): readonly ClusterNetwork[] {
		return this.#context.store
			.all("network")
			.filter(({ predefined }) => !predefined)
			.map(clusterNetwork);
	}

	/** `docker network create -d overlay`. Throws `DockerError`, `NetError`; `done` says the rest. */
	create(
		name: string,
		options: ClusterNetworkOptions,
		done: (result: ControlResult | NetError) => void,
	): void {
		if (PREDEFINED.has(name))
			throw new DockerError(403, `operation is not permitted on predefined ${name} network `);
		const spec: NetworkSpec = {
			name,
			labels: options.labels ?? {},
			driver: options.driver ?? "overlay",
			options: options.options ?? {},
			internal: options.internal ?? false,
			attachable: options.attachable ?? false,
			ingress: options.ingress ?? false,
			ipam: {
				options: options.ipamOptions ?? null,
				configs: ipamConfigs(options).map(({ Subnet, IPRange, Gateway }) => ({
					subnet: Subnet,
					...(IPRange === undefined ? {} : { range: IPRange }),
					...(Gateway === undefined ? {} : { gateway: Gateway }),
				})),
			},
		};
		this.#context.client.call({ method: "createNetwork", spec }, done);
	}

	/** `docker network rm`. Throws `DockerError`; `done` says the rest. */
	rm(term: string, done: (error?: NetError) => void): void {
		const { id } = findNetwork(this.#context.store, term);
		this.#context.client.call({ method: "removeNetwork", id }, (result) => {
			if ("id" in result) done();
			else done(result);
		});
	}

	/** `docker network inspect` of one that this node has nothing on. Throws `DockerError` 404. */
	inspect(term: string): ClusterNetworkJson {
		const network = findNetwork(this.#context.store, term);
		const { id, name, driver, created, internal, attachable, ingress, labels, options, ipam, ipamOptions } =
			clusterNetwork(network);
		return {
			Name: name,
			Id: id,
			Created: created,
			Scope: "swarm",
			Driver: driver,
			EnableIPv6: false,
			IPAM: { Driver: "default", Options: ipamOptions, Config: ipam },
			Internal: internal,
			Attachable: attachable,
			Ingress: ingress,
			ConfigFrom: { Network: "" },
			ConfigOnly: false,
			Containers: null,
			Options: network.allocated === undefined ? null : options,
			Labels: labels,
		};
	}
}
