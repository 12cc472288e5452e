import { Lab, type NetemOptions, type Netns } from "../../src/index.ts";
import type { TcpSocket, TcpTuning } from "../../src/stack/index.ts";

/** Two hosts on one cable that may be bad. */
export function cabled(netem: NetemOptions | undefined, seed = 1): { lab: Lab; a: Netns; b: Netns } {
	const lab = new Lab({ seed });
	const [a, b] = [lab.host("a"), lab.host("b")];
	const [x, y] = [a.addNic("eth0", { address: "10.0.0.1/24" }), b.addNic("eth0", { address: "10.0.0.2/24" })];
	lab.cable(x, y, netem === undefined ? {} : { netem });
	a.netns.neigh.add("10.0.0.2", { dev: "eth0", lladdr: y.mac });
	b.netns.neigh.add("10.0.0.1", { dev: "eth0", lladdr: x.mac });
	return { lab, a: a.netns, b: b.netns };
}

/** Octets that tell their place in the stream. */
export const pattern = (octets: number, salt: number): Uint8Array =>
	Uint8Array.from({ length: octets }, (_, i) => (i * 31 + (i >>> 8) * 7 + salt) & 0xff);

/** One side of a conversation: says all of `words`, hears until the other side ends, closes when both are done. */
export class Talker {
	readonly heard: Uint8Array[] = [];
	error: { readonly code: string } | undefined;
	over = false;
	ended = false;
	#left: Uint8Array;
	#shut = false;

	constructor(words: Uint8Array) {
		this.#left = words;
	}

	use(socket: TcpSocket, connected: boolean): void {
		socket.onConnect = () => this.#say(socket);
		socket.onWritable = () => this.#say(socket);
		socket.onReadable = () => {
			const data = socket.read();
			if (data.length > 0) this.heard.push(data);
			this.ended ||= socket.ended;
			this.#part(socket);
		};
		socket.onClose = (error) => {
			this.over = true;
			this.error = error;
		};
		if (connected) this.#say(socket);
	}

	#say(socket: TcpSocket): void {
		if (this.over || this.#shut || (socket.state !== "established" && socket.state !== "close-wait")) return;
		while (this.#left.length > 0) {
			const taken = socket.write(this.#left);
			if (taken === 0) return;
			this.#left = this.#left.subarray(taken);
		}
		this.#shut = true;
		socket.shutdown();
		this.#part(socket);
	}

	#part(socket: TcpSocket): void {
		if (this.ended && this.#shut && !this.over) socket.close();
	}

	get text(): Uint8Array {
		return Uint8Array.from(this.heard.flatMap((each) => [...each]));
	}
}

/** Lets two hosts talk until both are done, or for a day of theirs. */
export async function converse(
	net: { lab: Lab; a: Netns; b: Netns },
	said: { readonly a: Uint8Array; readonly b: Uint8Array },
	tuning: { readonly a?: TcpTuning; readonly b?: TcpTuning } = {},
): Promise<{ a: Talker; b: Talker }> {
	const talkers = { a: new Talker(said.a), b: new Talker(said.b) };
	net.b.tcp.listen({ port: 80, ...tuning.b }).onConnection = (socket) => talkers.b.use(socket, true);
	talkers.a.use(net.a.tcp.connect({ address: "10.0.0.2", port: 80, ...tuning.a }), false);
	for (let i = 0; i < 1440 && net.a.tcp.count + net.b.tcp.count > 0; i++) await net.lab.advance("60s");
	return talkers;
}
