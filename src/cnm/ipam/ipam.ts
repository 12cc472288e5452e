import { contains, network, type Prefix4 } from "../../addr/index.ts";
import { forbidden, invalid, notFound } from "../docker-error.ts";
import { AddressPool } from "./address-pool.ts";

/** What a network wants its addresses from. */
export interface PoolRequest {
	/** A subnet of its own; one of the default pools unless said. */
	readonly subnet?: Prefix4;
	/** The part that addresses are given from. */
	readonly range?: Prefix4;
}

/** True when two blocks share an address. */
export const overlap = (a: Prefix4, b: Prefix4): boolean =>
	contains(a, network(b)) || contains(b, network(a));

/**
 * The default IPAM driver's local address space: which subnets are in use, and which network gets which.
 *
 * The default pools are gone through in a circle: the search goes on behind the subnet given last, so that one just
 * given back is not given again at once (`predefinedStartIndices`).
 */
export class Ipam {
	readonly #predefined: readonly Prefix4[];
	readonly #reserved: () => readonly Prefix4[];
	readonly #pools = new Set<AddressPool>();
	#start = 0;

	/** `reserved`: what default pools must not overlap, such as the host's on-link routes. */
	constructor(predefined: readonly Prefix4[], reserved: () => readonly Prefix4[] = () => []) {
		this.#predefined = predefined;
		this.#reserved = reserved;
	}

	/** The subnets in use. */
	get pools(): readonly AddressPool[] {
		return [...this.#pools];
	}

	/** Takes a subnet. Throws `DockerError`. */
	requestPool({ subnet, range }: PoolRequest): AddressPool {
		if (subnet === undefined && range !== undefined) throw invalid("Invalid Address Pool");
		const wanted = subnet ?? this.#nextPredefined();
		if (range !== undefined && (range.length < wanted.length || !contains(wanted, network(range)))) {
			throw invalid("Invalid Address SubPool", {
				remedy: "The range is a part of the subnet.",
			});
		}
		if (subnet !== undefined && this.#inUse(subnet)) {
			throw forbidden("Pool overlaps with other one on this address space", {
				remedy: "Choose a subnet no other network uses, or leave it out.",
				context: { subnet },
			});
		}
		const pool = new AddressPool(wanted, range);
		this.#pools.add(pool);
		return pool;
	}

	#inUse(subnet: Prefix4): boolean {
		for (const pool of this.#pools) if (overlap(pool.subnet, subnet)) return true;
		return false;
	}

	#nextPredefined(): Prefix4 {
		const count = this.#predefined.length;
		const reserved = this.#reserved();
		const circle = [...this.#predefined.slice(this.#start), ...this.#predefined.slice(0, this.#start)];
		for (const [i, subnet] of circle.entries()) {
			if (this.#inUse(subnet) || reserved.some((each) => overlap(each, subnet))) continue;
			this.#start = (this.#start + i + 1) % count;
			return subnet;
		}
		throw notFound(
			"could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
			{ remedy: "Remove networks that are not needed (docker network prune), or give a subnet." },
		);
	}

	/** Gives a subnet back. */
	releasePool(pool: AddressPool): void {
		this.#pools.delete(pool);
	}
}
