import { ethernet, ipv4, tcp, tls } from "../../src/wire/index.ts";
import type { TimedFrame } from "./golden.ts";

/** One TLS record that went by: from the client or the server, and when its last octet did. */
export interface SeenRecord {
	readonly from: "client" | "server";
	readonly time: number;
	readonly type: number;
	/** Octets of its fragment. */
	readonly octets: number;
}

/** One TCP connection to a port, by its TLS records. */
export interface SeenConnection {
	readonly client: number;
	/** What the client asks for by name. */
	readonly serverName: string | undefined;
	readonly records: readonly SeenRecord[];
}

interface Direction {
	readonly first: number;
	readonly octets: Map<number, number>;
	at: number;
	bytes: Uint8Array;
}

/** The connections to `port` among frames of one interface, in the order in which they began. */
export function tlsConnections(frames: readonly TimedFrame[], port: number): SeenConnection[] {
	const found = new Map<
		number,
		{ hello: tls.ClientHello | undefined; records: SeenRecord[]; ways: Map<string, Direction> }
	>();
	for (const { time, data } of frames) {
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		if (data.length < 54 || view.getUint16(12) !== 0x0800 || view.getUint8(23) !== 6) continue;
		const ip = ethernet.OCTETS;
		const at = ip + ipv4.headerOctets(view, ip);
		const [source, destination] = [tcp.sourcePort(view, at), tcp.destinationPort(view, at)];
		if (source !== port && destination !== port) continue;
		const from = destination === port ? "client" : "server";
		const client = from === "client" ? source : destination;
		const connection = found.get(client) ?? {
			hello: undefined,
			records: [],
			ways: new Map<string, Direction>(),
		};
		found.set(client, connection);
		const sequence = tcp.sequence(view, at);
		if ((tcp.flags(view, at) & tcp.SYN) !== 0)
			connection.ways.set(from, {
				first: (sequence + 1) >>> 0,
				octets: new Map(),
				at: 0,
				bytes: new Uint8Array(0),
			});
		const begin = at + tcp.headerOctets(view, at);
		const end = ip + ipv4.totalLength(view, ip);
		// A connection that was there before the recording is followed from the first segment that begins a record.
		if (!connection.ways.has(from) && end - begin >= tls.OCTETS && beginsRecord(data, begin))
			connection.ways.set(from, { first: sequence, octets: new Map(), at: 0, bytes: new Uint8Array(0) });
		const way = connection.ways.get(from);
		if (way === undefined) continue;
		for (let i = begin; i < end; i++)
			way.octets.set(((sequence - way.first) >>> 0) + i - begin, data[i] ?? 0);
		const fresh: number[] = [];
		for (let octet = way.octets.get(way.at); octet !== undefined; octet = way.octets.get(++way.at))
			fresh.push(octet);
		way.bytes = Uint8Array.from([...way.bytes, ...fresh]);
		for (;;) {
			const record = tls.read(way.bytes);
			if (record === undefined || typeof record === "string") break;
			way.bytes = way.bytes.slice(tls.OCTETS + record.fragment.length);
			connection.records.push({ from, time, type: record.type, octets: record.fragment.length });
			if (record.type !== tls.CONTENT.HANDSHAKE || from !== "client") continue;
			const message = tls.readMessage(record.fragment);
			const hello = typeof message === "string" ? message : tls.readClientHello(message.body);
			if (typeof hello !== "string") connection.hello = hello;
		}
	}
	return [...found].map(([client, { hello, records }]) => ({
		client,
		serverName: hello?.serverName,
		records,
	}));
}

const beginsRecord = (data: Uint8Array, at: number): boolean =>
	data[at] === tls.CONTENT.APPLICATION_DATA && data[at + 1] === 3 && data[at + 2] === 3;

/** Octets of application data that one side sent, sealing aside, between two instants. */
export const plainOctets = (
	{ records }: SeenConnection,
	side: SeenRecord["from"],
	from = -Infinity,
	to = Infinity,
): number =>
	records
		.filter((each) => each.from === side && each.type === tls.CONTENT.APPLICATION_DATA)
		.filter(({ time }) => time >= from && time < to)
		.reduce((sum, { octets }) => sum + octets - tls.SEAL_OCTETS, 0);
