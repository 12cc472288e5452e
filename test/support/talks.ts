import type { Ip4 } from "../../src/addr/index.ts";
import type { Netns } from "../../src/index.ts";
import type { ProxyWork, Wake } from "../../src/cnm/index.ts";
import type { TcpSocket } from "../../src/stack/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { has, type TimedFrame, value } from "./golden.ts";

/** What one program did with its connection, and when. */
type Deed =
	| { readonly at: number; readonly what: "write"; readonly octets: Uint8Array }
	| { readonly at: number; readonly what: "shut" };

/** A TCP connection as one interface saw it: who spoke to whom, and what the two programs said and when. */
export interface Talk {
	readonly client: string;
	readonly clientPort: number;
	readonly server: string;
	readonly serverPort: number;
	/** When the client's SYN went. */
	readonly begin: number;
	/** False for one that nobody answered. */
	readonly answered: boolean;
	readonly clientDeeds: readonly Deed[];
	readonly serverDeeds: readonly Deed[];
}

interface Side {
	next: number | undefined;
	shut: boolean;
	readonly deeds: Deed[];
}

const text = (layers: ReturnType<typeof dissect>, name: string): string =>
	layers.flatMap(({ fields }) => fields).find((field) => field.name === name)?.text ?? "";

const SYN = 2;
const FIN = 1;

/** The connections of a recorded interface, in the order they began. What is seen twice counts once. */
export function talksOf(frames: readonly TimedFrame[]): Talk[] {
	const talks = new Map<string, { talk: Talk; client: Side; server: Side; answered: boolean }>();
	for (const { time, data } of frames) {
		const layers = dissect(data);
		if (!has(layers, "tcp") || !has(layers, "ipv4")) continue;
		const [from, to] = [text(layers, "ipv4.source"), text(layers, "ipv4.destination")];
		const [fromPort, toPort] = [
			Number(value(layers, "tcp.sourcePort")),
			Number(value(layers, "tcp.destinationPort")),
		];
		const flags = Number(value(layers, "tcp.flags"));
		const sequence = Number(value(layers, "tcp.sequence"));
		const key = `${from}:${String(fromPort)} ${to}:${String(toPort)}`;
		const back = `${to}:${String(toPort)} ${from}:${String(fromPort)}`;
		let entry = talks.get(key) ?? talks.get(back);
		if (entry === undefined) {
			if ((flags & SYN) === 0) continue;
			const [client, server]: [Side, Side] = [
				{ next: undefined, shut: false, deeds: [] },
				{ next: undefined, shut: false, deeds: [] },
			];
			const talk = {
				client: from,
				clientPort: fromPort,
				server: to,
				serverPort: toPort,
				begin: time,
				answered: false,
				clientDeeds: client.deeds,
				serverDeeds: server.deeds,
			};
			entry = { talk, client, server, answered: false };
			talks.set(key, entry);
		}
		const side = talks.has(key) ? entry.client : entry.server;
		if (side === entry.server) entry.answered = true;
		if ((flags & SYN) !== 0) {
			side.next = (sequence + 1) >>> 0;
			continue;
		}
		const octets = payload(data);
		if (octets.length > 0 && sequence === side.next) {
			side.deeds.push({ at: time, what: "write", octets });
			side.next = (sequence + octets.length) >>> 0;
		}
		if ((flags & FIN) !== 0 && !side.shut) {
			side.shut = true;
			side.deeds.push({ at: time, what: "shut" });
		}
	}
	return [...talks.values()].map(({ talk, answered }) => ({ ...talk, answered }));
}

function payload(data: Uint8Array): Uint8Array {
	const header = ((data[14] ?? 0) & 15) * 4;
	const length = ((data[16] ?? 0) << 8) | (data[17] ?? 0);
	const begin = 14 + header + ((data[14 + header + 12] ?? 0) >> 4) * 4;
	return data.slice(begin, 14 + length);
}

/** Something to do at an instant, as `atInstants` takes it. */
export type Command = readonly [at: number, command: () => unknown];

function act(socket: TcpSocket | undefined, deed: Deed): void {
	if (socket === undefined) throw new Error(`nobody is connected at ${String(deed.at)}`);
	if (deed.what === "shut") return socket.close();
	// A server reads when it is about to answer.
	socket.read();
	const written = socket.write(deed.octets);
	if (written !== deed.octets.length) throw new Error("a recorded write found no room");
}

/**
 * The client's program: connects, speaks and ends as it did there; it reads at once what comes. One that nobody answers
 * gives up after so many seconds; `maxSegment` is its `TCP_MAXSEG`.
 */
export function client(
	ns: Netns,
	talk: Talk,
	{ giveUp, ...tuning }: { readonly giveUp?: number; readonly maxSegment?: number } = {},
): Command[] {
	let socket: TcpSocket | undefined;
	const connect = (): void => {
		const connected = ns.tcp.connect({
			address: talk.server,
			port: talk.serverPort,
			localPort: talk.clientPort,
			...tuning,
		});
		connected.onReadable = () => void connected.read();
		socket = connected;
	};
	return [
		[talk.begin, connect],
		...talk.clientDeeds.map((deed): Command => [deed.at, () => act(socket, deed)]),
		...(giveUp === undefined ? [] : [[talk.begin + giveUp, () => socket?.close()] as const]),
	];
}

/** The servers' programs on one port: what each said in its connection, one after the other. */
export function server(ns: Netns, port: number, talks: readonly Talk[]): Command[] {
	const sockets: TcpSocket[] = [];
	ns.tcp.listen({ port }).onConnection = (socket) => {
		sockets.push(socket);
	};
	return talks
		.filter(({ serverPort, answered }) => serverPort === port && answered)
		.flatMap(({ serverDeeds }, i) =>
			serverDeeds.map((deed): Command => [deed.at, () => act(sockets[i], deed)]),
		);
}

/** docker-proxy's processes get the processor when they did on the recorded, slow machine. */
export class ProxyPace {
	readonly #waiting = new Map<ProxyWork, (() => void)[]>();
	readonly wake: Wake = (work, run) => {
		this.#waiting.set(work, [...(this.#waiting.get(work) ?? []), run]);
	};

	#run(work: ProxyWork): void {
		const waiting = this.#waiting.get(work) ?? [];
		this.#waiting.set(work, []);
		for (const run of waiting) run();
	}

	/** Of one connection that went through it: `front` is the client's, `back` the one to the container. */
	commands(front: Talk, back: Talk): Command[] {
		const more = (octets: number): number => {
			let sum = 0;
			for (const deed of back.serverDeeds) {
				if (deed.what === "write") sum += deed.octets.length;
				if (sum > octets) return deed.at;
			}
			return Infinity;
		};
		let passed = 0;
		const toClient = front.serverDeeds.map((deed): Command => {
			if (deed.what === "shut") return [deed.at, () => this.#run("to-client")];
			passed += deed.octets.length;
			// It was read before more of it came, however long the write took.
			return [Math.min(deed.at, more(passed) - READ), () => this.#run("to-client")];
		});
		return [
			[back.begin, () => this.#run("accept")],
			...back.clientDeeds.map(({ at }): Command => [at, () => this.#run("to-container")]),
			...toClient,
		];
	}
}

/** Seconds by which a program has read before the next segment comes. */
const READ = 0.0001;

/** A recorded question of a resolver: who asked from which port, and what came back, if anything did. */
export interface Question {
	readonly at: number;
	readonly port: number;
	/** Don't Fragment: most resolvers leave it to the kernel, dig forbids it. */
	readonly df: boolean;
	readonly octets: Uint8Array;
}

/** What an interface saw of UDP to port 53, or from it. */
export function questionsOf(frames: readonly TimedFrame[], what: "questions" | "answers"): Question[] {
	const [of, other] =
		what === "questions"
			? ["udp.destinationPort", "udp.sourcePort"]
			: ["udp.sourcePort", "udp.destinationPort"];
	return frames.flatMap(({ time, data }) => {
		const layers = dissect(data);
		if (!has(layers, "udp") || value(layers, of) !== 53) return [];
		const df = ((data[20] ?? 0) & 0x40) !== 0;
		return [{ at: time, port: Number(value(layers, other)), df, octets: data.slice(14 + 20 + 8) }];
	});
}

/** Asks each recorded question from its recorded port, one socket for each port. */
export function asks(ns: Netns, questions: readonly Question[], address: string): Command[] {
	const sockets = new Map<number, ReturnType<Netns["udp"]>>();
	const socketOf = ({ port, df }: Question): ReturnType<Netns["udp"]> => {
		const known = sockets.get(port);
		if (known !== undefined) return known;
		const socket = ns.udp({ port, mtuDiscovery: df ? "want" : "dont" });
		socket.connect(address, 53);
		sockets.set(port, socket);
		return socket;
	};
	return questions.map((each): Command => [each.at, () => socketOf(each).send(each.octets)]);
}

/** A name server that gives each recorded answer, octet for octet, when it was given: to who asked last. */
export function answers(ns: Netns, given: readonly Question[]): Command[] {
	const server = ns.udp({ port: 53 });
	const asked = new Map<string, { readonly address: number; readonly port: number }>();
	const id = (octets: Uint8Array, at = 0): string => `${String(octets[at])} ${String(octets[at + 1])}`;
	server.handler = (frame, at, _octets, address, port) => {
		asked.set(id(frame.bytes, at), { address, port });
	};
	return given.map(({ at, octets }): Command => [
		at,
		() => {
			const to = asked.get(id(octets));
			if (to !== undefined) server.send(octets, { address: to.address as Ip4, port: to.port });
		},
	]);
}
