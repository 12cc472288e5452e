import type { Frame } from "../../wire/index.ts";
import type { Waypoint } from "../netfilter/known-ways/known-way.ts";
import type { Connection } from "./connection.ts";
import type { Ipvs } from "./ipvs.ts";

/** What IPVS makes of the packets of a flow: they are of a connection, or of none. See `KnownWays`. */
export class KnownConnection implements Waypoint {
	readonly #ipvs: Ipvs;
	readonly #connection: Connection | null;
	readonly #way: "input" | "output";
	/** A connection that was made since may be one for packets that were of none. */
	readonly #made: number;

	constructor(ipvs: Ipvs, connection: Connection | null, way: "input" | "output") {
		this.#ipvs = ipvs;
		this.#connection = connection;
		this.#way = way;
		this.#made = ipvs.connections.made;
	}

	holds(): boolean {
		const { connections, settings } = this.#ipvs;
		if (connections.made !== this.#made || settings.backup_only !== 0) return false;
		const connection = this.#connection;
		return connection === null || (connection.hashed && connection.destination.available);
	}

	pass(frame: Frame): void {
		if (this.#connection !== null) this.#ipvs.passed(frame, this.#connection, this.#way);
	}
}
