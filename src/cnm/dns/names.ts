import type { Ip4 } from "../../addr/index.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Network } from "../network.ts";

/** What the server asks when somebody asks it. */
export interface NameSource {
	/** The addresses of a name, in no order that means anything; undefined for a name that nobody here has. */
	addresses(name: string): readonly Ip4[] | undefined;
	/** The first name of an address with its network, `lc2.localnet.`; undefined for a strange one. */
	nameOf(address: Ip4): string | undefined;
}

/** The names of one network, as all its endpoints may know them. */
export interface NetworkNames {
	/** The addresses of a name, whatever its case; undefined for one that nobody has. */
	addresses(name: string): readonly Ip4[] | undefined;
	/** The first name of an address, without the network's; undefined for a strange one. */
	nameOf(address: Ip4): string | undefined;
}

/** What a sandbox may know: the names on its own networks, and no others (`Sandbox.ResolveName`). */
export class SandboxNames implements NameSource {
	readonly #endpoints: () => readonly Endpoint[];
	readonly #links: () => ReadonlyMap<string, string>;

	/** `endpoints` are the sandbox's own; `links` the container's `--link` aliases, each with the name it stands for. */
	constructor(endpoints: () => readonly Endpoint[], links: () => ReadonlyMap<string, string>) {
		this.#endpoints = endpoints;
		this.#links = links;
	}

	addresses(name: string): readonly Ip4[] | undefined {
		const wanted = name.replace(/\.$/, "").toLowerCase();
		const linked = this.#links().get(wanted)?.toLowerCase();
		const found = (linked === undefined ? undefined : this.#onAny(linked)) ?? this.#onAny(wanted);
		if (found !== undefined) return found;
		// name.network: the network's name may have dots itself.
		for (let dot = wanted.lastIndexOf("."); dot > 0; dot = wanted.lastIndexOf(".", dot - 1)) {
			const network = wanted.slice(dot + 1);
			const own = this.#named().find((each) => each.network.name.toLowerCase() === network);
			const there = own === undefined ? undefined : namesOf(own.network).addresses(wanted.slice(0, dot));
			if (there !== undefined) return there;
		}
		return undefined;
	}

	nameOf(address: Ip4): string | undefined {
		for (const { network } of this.#named()) {
			const name = namesOf(network).nameOf(address);
			if (name !== undefined) return `${name}.${network.name}.`;
		}
		return undefined;
	}

	#onAny(name: string): readonly Ip4[] | undefined {
		for (const { network } of this.#named()) {
			const found = namesOf(network).addresses(name);
			if (found !== undefined) return found;
		}
		return undefined;
	}

	/** The default bridge and its like register no names; networks of the cluster's come before the node's own. */
	#named(): readonly Endpoint[] {
		const named = this.#endpoints().filter(({ network }) => !network.about.predefined);
		const local = ({ network }: Endpoint): number => Number(network.names === undefined);
		return [...named].sort((a, b) => local(a) - local(b));
	}
}

/** Those that the cluster shares, or of a network of this node those of the endpoints on it. */
const namesOf = (network: Network): NetworkNames => network.names ?? localNames(network);

function localNames({ endpoints }: Network): NetworkNames {
	const connected = endpoints.filter(({ sandbox }) => sandbox !== null);
	return {
		addresses(name) {
			const having = connected.filter((each) => has(each, name));
			if (having.length === 0) return undefined;
			return having.flatMap(({ address }) => (address === undefined ? [] : [address.address]));
		},
		nameOf: (wanted) => connected.find(({ address }) => address?.address === wanted)?.dnsNames[0],
	};
}

/** Each endpoint's names as they are compared: a network may have thousands, and all are looked through. */
const LOWER = new WeakMap<Endpoint, ReadonlySet<string>>();

function has(endpoint: Endpoint, name: string): boolean {
	let names = LOWER.get(endpoint);
	if (names === undefined) {
		names = new Set(endpoint.dnsNames.map((own) => own.toLowerCase()));
		LOWER.set(endpoint, names);
	}
	return names.has(name);
}
