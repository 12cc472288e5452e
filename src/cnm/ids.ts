import { formatMac, type Ip4, type Mac, macOfParts } from "../addr/index.ts";
import type { Rng } from "../sim/index.ts";

/** What the daemon draws at random: ids and interface names, from the seed of its machine. */
export class Ids {
	readonly #rng: Rng;

	constructor(rng: Rng) {
		this.#rng = rng;
	}

	/** So many hexadecimal digits. */
	hex(digits: number): string {
		const words: string[] = [];
		for (let drawn = 0; drawn < digits; drawn += 8)
			words.push(
				this.#rng
					.uint32()
					.toString(16)
					.padStart(8, "0")
					.slice(0, digits - drawn),
			);
		// Joined it is one string without its parts.
		return words.join("");
	}

	/** The id of a container, network, endpoint or sandbox: 64 digits, the first twelve not all decimal (`stringid`). */
	id(): string {
		for (;;) {
			const id = this.hex(64);
			if (/[a-f]/.test(id.slice(0, 12))) return id;
		}
	}

	/** `veth` and seven digits that no device has (`GenerateIfaceName`). */
	interfaceName(taken: (name: string) => boolean): string {
		for (;;) {
			const name = `veth${this.hex(7)}`;
			if (!taken(name)) return name;
		}
	}

	/** The address of a new bridge: 02:42 and four octets at random (`GenerateRandomMAC`). */
	bridgeMac(): Mac {
		return (0x0242_0000_0000 + this.#rng.uint32()) as Mac;
	}

	/** A whole number below `n`. */
	below(n: number): number {
		return this.#rng.below(n);
	}
}

/** The first twelve digits of an id, as the docker CLI shows it. */
export const shortId = (id: string): string => id.slice(0, 12);

/** The address of a container's interface: 02:42 and its IPv4 address (`GenerateMACFromIP`). */
export const macOf = (ip: Ip4): string => formatMac(macOfParts(0x0242, ip));
