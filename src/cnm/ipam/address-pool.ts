import {
	broadcast,
	compareIp4,
	contains,
	formatPrefix4,
	type Ip4,
	network,
	type Prefix4,
} from "../../addr/index.ts";
import { failed, forbidden, invalid } from "../docker-error.ts";

/** The addresses of one subnet: which are taken, and which comes next. */
export class AddressPool {
	readonly subnet: Prefix4;
	/** Where addresses come from that nobody asks for by name (`--ip-range`); the subnet unless said. */
	readonly range: Prefix4;
	readonly #taken = new Set<Ip4>();
	/** No address of the range before its `#least`-th is free. */
	#least = 0;
	/** Which address of the range a serial search goes on with. */
	#next = 0;

	constructor(subnet: Prefix4, range: Prefix4 = subnet) {
		this.subnet = { address: network(subnet), length: subnet.length };
		this.range = { address: network(range), length: range.length };
		// Subnets of two hosts or one have no addresses for the net and for everyone (RFC 3021).
		if (subnet.length < 31) {
			this.#taken.add(this.subnet.address);
			this.#taken.add(broadcast(subnet));
		}
	}

	/** `LocalDefault/172.17.0.0/16`. */
	get id(): string {
		const range = this.range.length === this.subnet.length ? "" : `/${formatPrefix4(this.range)}`;
		return `LocalDefault/${formatPrefix4(this.subnet)}${range}`;
	}

	/** Addresses in use, those of the net and for everyone among them, lowest first. */
	get taken(): readonly Ip4[] {
		return [...this.#taken].sort(compareIp4);
	}

	/** Whether the subnet has the address. */
	contains(ip: Ip4): boolean {
		return contains(this.subnet, ip);
	}

	/**
	 * Takes the wanted address, or the lowest free one of the range; `serial` (`com.docker.network.ipam.serial`) goes on
	 * behind the last one given and begins again when it comes to the end. Throws `DockerError`.
	 */
	request(wanted?: Ip4, serial = false): Ip4 {
		if (wanted !== undefined) {
			if (!this.contains(wanted)) throw invalid("Requested address is out of range");
			if (this.#taken.has(wanted)) throw forbidden("Address already in use");
			this.#taken.add(wanted);
			return wanted;
		}
		const found = this.next(serial);
		if (found === undefined) throw failed("No available addresses on this pool");
		return found;
	}

	/** Takes the next address that is free, if there is one. */
	next(serial = false): Ip4 | undefined {
		const count = 2 ** (32 - this.range.length);
		const start = serial ? this.#next : this.#least;
		const found = this.#free(start, count) ?? (serial ? this.#free(0, start) : undefined);
		if (found === undefined) return undefined;
		const ip = this.#at(found);
		this.#taken.add(ip);
		if (serial) this.#next = (found + 1) % count;
		else this.#least = found + 1;
		return ip;
	}

	#at(index: number): Ip4 {
		return ((this.range.address + index) | 0) as Ip4;
	}

	/** The first free address of the range from `from` on and before `end`, by its number. */
	#free(from: number, end: number): number | undefined {
		for (let i = from; i < end; i++) if (!this.#taken.has(this.#at(i))) return i;
		return undefined;
	}

	/** Gives an address back; it is given again at once when it is the lowest. */
	release(ip: Ip4): void {
		if (!this.#taken.delete(ip)) return;
		if (contains(this.range, ip)) this.#least = Math.min(this.#least, (ip - this.range.address) >>> 0);
	}
}
