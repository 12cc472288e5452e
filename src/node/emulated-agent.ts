import { Agent, type AgentOptions } from "node:http";
import type { Duplex } from "node:stream";
import type { IpNamespace } from "../stack/index.ts";
import { createConnection } from "./tcp-duplex.ts";

/**
 * An agent of Node's whose connections begin in a namespace: `http.get("http://10.0.0.2/", { agent: new EmulatedAgent(ns) })`.
 * Those it keeps for later (`keepAlive`) let time stand still meanwhile.
 */
export class EmulatedAgent extends Agent {
	readonly #connect: ReturnType<typeof createConnection>;

	constructor(ns: IpNamespace, options: AgentOptions = {}) {
		super(options);
		this.#connect = createConnection(ns);
	}

	/** Called by Node's http: a connection in the lab. */
	override createConnection(options: {
		readonly host?: string | null;
		readonly port?: number | string | null;
	}): Duplex {
		return this.#connect(options);
	}
}
