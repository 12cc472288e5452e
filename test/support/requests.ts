import { get } from "node:http";
import type { Host, Lab } from "../../src/index.ts";
import { createConnection, type TcpDuplex } from "../../src/node/index.ts";
import type { Capture } from "../../src/observe/index.ts";
import { Rng, seconds, Timer } from "../../src/sim/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { value } from "./golden.ts";

/** One request: what came of it. */
export interface Request {
	/** Address of the node that was asked. */
	readonly address: string;
	/** Virtual seconds at which it began and ended. */
	readonly begin: number;
	readonly end: number;
	/** The answer's body; undefined when there was none. */
	readonly body: string | undefined;
	/** Why there was none: `ECONNREFUSED`, `ECONNRESET`, `EHOSTUNREACH`, `timeout` … */
	readonly failure: string | undefined;
	readonly localPort: number;
}

/** A client of Node's own `http` on the outside host, each request on a connection of its own, as curl's. */
export class Client {
	readonly #lab: Lab;
	readonly #host: Host;
	readonly #capture: Capture;
	readonly #rng: Rng;
	readonly #timeout: number;
	readonly requests: Request[] = [];

	/** `timeout`: virtual seconds after which it gives up, as `curl -m`. */
	constructor(lab: Lab, host: Host, { timeout = 3 }: { readonly timeout?: number } = {}) {
		this.#lab = lab;
		this.#host = host;
		this.#timeout = timeout;
		this.#capture = lab.capture(`${host.name}:eth0`);
		this.#rng = new Rng("client");
	}

	/** `curl -m TIMEOUT http://ADDRESS:PORT/`. */
	async get(address: string, port: number): Promise<Request> {
		const begin = this.#lab.now / 1e9;
		let connection: TcpDuplex | undefined;
		const told = await new Promise<{ body?: string; failure?: string }>((resolve) => {
			const connect = createConnection(this.#host.netns);
			const request = get(
				{ host: address, port, createConnection: (options) => (connection = connect(options)) },
				(response) => {
					let text = "";
					response.on("data", (part: Buffer) => (text += part.toString()));
					response.on("end", () => {
						timer.cancel();
						resolve({ body: text });
					});
				},
			);
			const timer = new Timer(() => {
				request.destroy();
				resolve({ failure: "timeout" });
			});
			this.#host.kernel.arm(timer, seconds(this.#timeout));
			request.on("error", (error: Error & { code?: string }) => {
				timer.cancel();
				resolve({ failure: error.code ?? error.message });
			});
		});
		const { body, failure } = told;
		const localPort = connection?.localPort ?? 0;
		const made = { address, begin, end: this.#lab.now / 1e9, body, failure, localPort };
		this.requests.push(made);
		return made;
	}

	/** Requests through nodes at random, some virtual milliseconds between them. */
	async ask(addresses: readonly string[], port: number, count: number, pause: number): Promise<Request[]> {
		const found: Request[] = [];
		for (let i = 0; i < count; i++) {
			const address = addresses[this.#rng.below(addresses.length)] ?? "";
			found.push(await this.get(address, port));
			await this.#lab.advance(pause);
		}
		return found;
	}

	/**
	 * What `lab.explain` and the wire say of a request that failed: where and why copies of its packets ended, and what
	 * refused it.
	 */
	why({ localPort, begin, end }: Request): string[] {
		const reasons = new Set<string>();
		for (const { packet, data, time } of this.#capture.sightings()) {
			if (time < begin * 1e9 || time > end * 1e9 + 1e6) continue;
			const layers = dissect(data);
			const arp = value(layers, "arp.operation") !== undefined;
			const [source, destination] = [value(layers, "tcp.sourcePort"), value(layers, "tcp.destinationPort")];
			if (source !== localPort && destination !== localPort && !arp) continue;
			const flags = Number(value(layers, "tcp.flags") ?? 0);
			if (destination === localPort && (flags & 4) !== 0) reasons.add("reset by the other side");
			for (const { place, reason } of this.#lab.explain(packet).drops) reasons.add(`${place}: ${reason}`);
		}
		return [...reasons];
	}
}
