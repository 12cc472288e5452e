import { type Device, Lab, type Netns } from "../../src/index.ts";
import type { TcpSocket, TcpTuning } from "../../src/stack/index.ts";
import { dissect, ethernet, ipv4, tcp } from "../../src/wire/index.ts";
import { recordedFrames } from "./recording.ts";
import { type Difference, RecordedScenario } from "./recording.ts";
import type { Exception } from "./recording.ts";
import { DissectedFrame } from "./recording-fields.ts";

/** A program of the recording's first connection, or of a later one: `client2`. */
export type Who = "client" | "server" | `client${number}` | `server${number}`;

/** One thing that a program of the recording did, at the instant of one of its frames (from 1): 4.5 is halfway from 4 to 5. */
export type Deed =
	| readonly [frame: number, who: Who, what: "write" | "write-more" | "read", octets: number]
	/** `fetch` reads whatever comes and closes at its end. */
	| readonly [frame: number, who: Who, what: "connect" | "shutdown" | "close" | "abort" | "drain" | "fetch"]
	/** Reads `octets` as soon as so many can be read. */
	| readonly [frame: number, who: Who, what: "read-at", readable: number, octets: number]
	/** Every so many milliseconds from that frame on, `octets` are read while there are any, to `until`. */
	| readonly [frame: number, who: Who, what: "read-each", octets: number, period: number, until: number];

/** A recorded TCP scenario between a (10.5.0.1) and b (10.5.0.2). */
export interface TcpRecording {
	/** Folder and file: `k8-tcp/get-a`. */
	readonly capture: string;
	/** Other interfaces compared: `-b`. */
	readonly also?: Readonly<Record<string, "a" | "b">>;
	readonly deeds: readonly Deed[];
	readonly port?: number;
	readonly client?: TcpTuning;
	readonly server?: TcpTuning;
	/** netem on both ends, in milliseconds. */
	readonly delay?: number;
	/** What netem dropped: a connection's n-th frame of that side, both counted from 1. */
	readonly netem?: Readonly<
		Partial<Record<"a" | "b", readonly (readonly [connection: number, frame: number])[]>>
	>;
	/** What iptables dropped in INPUT, of all segments in order. */
	readonly lost?: Readonly<Partial<Record<"a" | "b", (segment: { readonly octets: number }) => boolean>>>;
	/** MTU of a. */
	readonly mtu?: number;
	/** Neighbours are asked for as in the recording; else both know each other. */
	readonly arp?: boolean;
	/** Milliseconds a frame may be off. */
	readonly tolerance?: number;
	readonly exceptions?: readonly Exception[];
	/** Each direction is compared by itself: how they are mixed was the recorded machine's pace. */
	readonly apart?: boolean;
	/** The last frame compared. */
	readonly last?: number;
	/** No one listens. */
	readonly closed?: boolean;
	readonly to?: string;
}

/** The phase of the recorded machine's timer wheel: all recordings are of one boot. */
const uptime = (start: number): string => {
	const phase = (((0.1263 + (start - 1_795_455_385)) % 0.256) + 0.256) % 0.256;
	return `${(256 + phase).toFixed(4)}s`;
};

/** What one side said, by sequence number, from the recording: in its n-th connection. */
export function streamOf(path: string, from: string, connection = 1): Uint8Array {
	const ports: number[] = [];
	let first: number | undefined;
	const octets: number[] = [];
	for (const { data } of recordedFrames(path)) {
		const layers = dissect(data);
		if (!layers.some((layer) => layer.protocol === "tcp")) continue;
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		if (formatted(ipv4.source(view, ethernet.OCTETS)) !== from) continue;
		const at = ethernet.OCTETS + ipv4.headerOctets(view, ethernet.OCTETS);
		if (connectionOf(ports, view, at) !== connection) continue;
		const sequence = tcp.sequence(view, at);
		if ((tcp.flags(view, at) & tcp.SYN) !== 0) first = (sequence + 1) >>> 0;
		const end = ethernet.OCTETS + ipv4.totalLength(view, ethernet.OCTETS);
		const begin = at + tcp.headerOctets(view, at);
		if (first === undefined) continue;
		for (let i = begin; i < end; i++) octets[((sequence - first) >>> 0) + i - begin] = data[i] ?? 0;
	}
	return Uint8Array.from(octets);
}

/** One connection behind the other: how two are mixed was the recorded machine's pace. */
function byConnection<F extends { readonly data: Uint8Array }>(frames: readonly F[], apart: boolean): F[] {
	const ports: number[] = [];
	const of = ({ data }: F): number => {
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		if (ethernet.type(view, 0) !== ethernet.TYPE_IPV4) return 0;
		const connection = connectionOf(ports, view, ethernet.OCTETS + ipv4.headerOctets(view, ethernet.OCTETS));
		return connection + (apart && ipv4.source(view, ethernet.OCTETS) === SERVER ? 0.5 : 0);
	};
	const numbers = new Map(frames.map((frame) => [frame, of(frame)]));
	return [...frames].sort((a, b) => (numbers.get(a) ?? 0) - (numbers.get(b) ?? 0));
}

/** The first of our frames, as many of each side as were recorded; without ARP unless the recording has it. */
function asMany<F extends { readonly data: Uint8Array }>(
	ours: readonly F[],
	theirs: readonly { readonly data: Uint8Array }[],
	{ arp, apart }: TcpRecording,
): F[] {
	const counted = ({ data }: { readonly data: Uint8Array }): boolean =>
		arp === true || !new DissectedFrame(0, data).has("arp");
	const sideOf = ({ data }: { readonly data: Uint8Array }): number => (apart === true ? (data[29] ?? 0) : 0);
	const left = new Map<number, number>();
	for (const frame of theirs.filter(counted)) left.set(sideOf(frame), (left.get(sideOf(frame)) ?? 0) + 1);
	return ours.filter(counted).filter((frame) => {
		const n = left.get(sideOf(frame)) ?? 0;
		left.set(sideOf(frame), n - 1);
		return n > 0;
	});
}

/** Which connection a segment is of, in the order of their first segments, from 1. */
function connectionOf(ports: number[], view: DataView, at: number): number {
	const port = Math.max(tcp.sourcePort(view, at), tcp.destinationPort(view, at));
	if (!ports.includes(port)) ports.push(port);
	return ports.indexOf(port) + 1;
}

const SERVER = 0x0a05_0002;
const formatted = (ip: number): string => [24, 16, 8, 0].map((shift) => (ip >>> shift) & 0xff).join(".");

/** netem's delay, which a frame waits before the interface's capture sees it, and its losses, which no capture sees. */
function holdBack(
	lab: Lab,
	device: Device,
	delay: number,
	losses: readonly (readonly [connection: number, frame: number])[],
	ports: number[],
): void {
	const transmit = device.transmit.bind(device);
	const counts = new Map<number, number>();
	device.transmit = (frame) => {
		const { view, start } = frame;
		if (ethernet.type(view, start) === ethernet.TYPE_IPV4) {
			const ip = start + ethernet.OCTETS;
			const connection = connectionOf(ports, view, ip + ipv4.headerOctets(view, ip));
			const n = (counts.get(connection) ?? 0) + 1;
			counts.set(connection, n);
			if (losses.some(([of, which]) => of === connection && which === n)) return void frame.release();
		}
		lab.world.scheduler.wire({ deliver: transmit }, frame, delay * 1e6);
	};
}

/** `iptables -A INPUT -p tcp … -j DROP`. */
function lose(ns: Netns, which: (segment: { readonly octets: number }) => boolean): void {
	const receive = ns.tcp.receive.bind(ns.tcp);
	ns.tcp.receive = (frame, inDevice) => {
		if (which({ octets: frame.length })) frame.release();
		else receive(frame, inDevice);
	};
}

function instantOf(times: readonly number[], frame: number): number {
	const before = times[Math.floor(frame) - 1] ?? 0;
	const behind = times[Math.floor(frame)] ?? before;
	return before + (behind - before) * (frame % 1);
}

/** Plays the recording's programs again and says what differs, frame by frame. */
export async function replayTcp(
	recording: TcpRecording,
): Promise<{ found: Difference[]; lab: Lab; pcapng: Uint8Array }> {
	const frames = recordedFrames(recording.capture);
	const times = frames.map((frame) => Number(frame.time) / 1e9);
	const start = Math.floor((times[0] ?? 0) * 10) / 10 - 0.1;
	const lab = new Lab({ seed: 1, uptime: uptime(start) });
	const [a, b] = [lab.netns("a"), lab.netns("b")];
	const [aEth, bEth] = lab.veth(
		{ ns: a, name: "eth0", mac: "02:00:00:00:00:0a" },
		{ ns: b, name: "eth0", mac: "02:00:00:00:00:0b" },
	);
	aEth.addAddress("10.5.0.1/24");
	bEth.addAddress("10.5.0.2/24");
	for (const device of [aEth, bEth]) device.up();
	if (recording.mtu !== undefined) aEth.setMtu(recording.mtu);
	if (recording.arp !== true) {
		a.neigh.add("10.5.0.2", { dev: "eth0", lladdr: "02:00:00:00:00:0b" });
		b.neigh.add("10.5.0.1", { dev: "eth0", lladdr: "02:00:00:00:00:0a" });
	}
	if (recording.delay !== undefined) {
		const ports: number[] = [];
		holdBack(lab, aEth, recording.delay, recording.netem?.a ?? [], ports);
		holdBack(lab, bEth, recording.delay, recording.netem?.b ?? [], ports);
	}
	for (const [name, ns] of Object.entries({ a, b })) {
		const loses = recording.lost?.[name as "a" | "b"];
		if (loses !== undefined) lose(ns, loses);
	}
	const capture = lab.capture();
	const side = (who: Who): "client" | "server" => (who.startsWith("client") ? "client" : "server");
	const nth = (who: Who): number => Number(who.slice("client".length) || 1);
	const said = (who: Who): Uint8Array =>
		streamOf(recording.capture, side(who) === "client" ? "10.5.0.1" : "10.5.0.2", nth(who));
	const port = recording.port ?? 80;
	const sockets = new Map<Who, TcpSocket>();
	if (recording.closed !== true) {
		b.tcp.listen({ port, ...recording.server }).onConnection = (socket) => {
			for (const [who, { localPort }] of sockets) {
				if (side(who) !== "client" || localPort !== socket.remotePort) continue;
				sockets.set(`server${who.slice("client".length)}` as Who, socket);
				return;
			}
		};
	}
	const written = new Map<Who, number>();
	const act = async (deed: Deed): Promise<void> => {
		const [, who, what] = deed;
		if (what === "connect") {
			sockets.set(who, a.tcp.connect({ address: recording.to ?? "10.5.0.2", port, ...recording.client }));
			return;
		}
		const socket = sockets.get(who);
		if (socket === undefined) throw new Error(`${who} is not connected at frame ${String(deed[0])}`);
		if (what === "write" || what === "write-more") {
			const from = written.get(who) ?? 0;
			// What was never sent is not in the recording.
			let left = new Uint8Array(deed[3]);
			left.set(said(who).subarray(from, from + deed[3]));
			written.set(who, from + deed[3]);
			const more = (): void => {
				if (left.length === 0) return;
				left = left.subarray(socket.write(left, { more: what === "write-more" }));
			};
			socket.onWritable = more;
			more();
		} else if (what === "read-at") {
			const [, , , readable, octets] = deed;
			let done = false;
			const look = (): void => {
				if (done || socket.readable < readable) return;
				done = true;
				socket.read(octets);
			};
			socket.onReadable = look;
			look();
		} else if (what === "read") socket.read(deed[3]);
		else if (what === "fetch") {
			socket.onReadable = () => {
				socket.read();
				if (socket.ended) socket.close();
			};
		} else if (what === "drain") {
			socket.onReadable = () => void socket.read();
			socket.read();
		} else if (what === "shutdown") socket.shutdown();
		else if (what === "close") socket.close();
		else if (what === "abort") socket.abort();
		else {
			const [, , , octets, period, until] = deed as Extract<
				Deed,
				readonly [number, unknown, "read-each", ...unknown[]]
			>;
			for (;;) {
				socket.read(octets);
				if (lab.now / 1e9 + start >= (times[until - 1] ?? 0)) return;
				await lab.advance(period);
			}
		}
	};
	const late: Promise<void>[] = [];
	for (const deed of recording.deeds) {
		const at = instantOf(times, deed[0]);
		const back = (side(deed[1]) === "server" ? 0.000_006 : 0) + (recording.delay ?? 0) / 1000;
		await lab.advance(Math.max(0, (at - back - start) * 1000 - lab.now / 1e6));
		if (deed[2] === "read-each") late.push(act(deed));
		else await act(deed);
	}
	await Promise.all(late);
	const end = (times[(recording.last ?? times.length) - 1] ?? 0) - start + 0.03;
	await lab.advance(Math.max(0, end * 1000 - lab.now / 1e6));
	const scenario = new RecordedScenario({
		tolerance: { absolute: recording.tolerance ?? 60 },
		...(recording.exceptions !== undefined && { exceptions: recording.exceptions }),
	});
	const places = { [recording.capture]: "a" as const, ...recording.also };
	const found = Object.entries(places).flatMap(([path, ns]) => {
		const apart = recording.apart === true;
		const theirs = byConnection(recordedFrames(path).slice(0, recording.last), apart);
		const all = byConnection(capture.sightings(`${ns}:eth0`), apart);
		// Compared to a frame in the middle, as many as were recorded up to it.
		const ours = recording.last === undefined ? all : asMany(all, theirs, recording);
		return scenario.differences(path, theirs, ours, {
			anchor: { recorded: BigInt(Math.round(start * 1e6)) * 1000n, emulated: 0 },
			...(recording.arp !== true && {
				select: [
					{
						keep: (frame: { has(protocol: string): boolean }) => !frame.has("arp"),
						of: "both" as const,
						why: "neighbours are another scenario's",
					},
				],
			}),
		});
	});
	return { found, lab, pcapng: capture.toPcapng() };
}
