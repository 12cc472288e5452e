import { type Device, Lab, type Netns } from "../../src/index.ts";
import type { TcpListener, TcpSocket, TcpTuning } from "../../src/stack/index.ts";
import { dissect, ethernet, ipv4, tcp } from "../../src/wire/index.ts";
import { recordedFrames } from "./recording.ts";
import { type Difference, RecordedScenario } from "./recording.ts";
import type { Exception } from "./recording.ts";
import { DissectedFrame } from "./recording-fields.ts";

/** One thing that a program of the recording did, at the instant of one of its frames (from 1). */
export type Deed =
	| readonly [frame: number, who: "client" | "server", what: "write" | "write-more" | "read", octets: number]
	| readonly [
			frame: number,
			who: "client" | "server",
			what: "connect" | "shutdown" | "close" | "abort" | "drain",
	  ]
	/** Reads `octets` as soon as so many can be read. */
	| readonly [frame: number, who: "client" | "server", what: "read-at", readable: number, octets: number]
	/** Every so many milliseconds from that frame on, `octets` are read while there are any, to `until`. */
	| readonly [
			frame: number,
			who: "client" | "server",
			what: "read-each",
			octets: number,
			period: number,
			until: number,
	  ];

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
	/** What iptables dropped in INPUT, of all segments in order. */
	readonly lost?: Readonly<Partial<Record<"a" | "b", (segment: { readonly octets: number }) => boolean>>>;
	/** MTU of a. */
	readonly mtu?: number;
	/** Neighbours are asked for as in the recording; else both know each other. */
	readonly arp?: boolean;
	/** Milliseconds a frame may be off. */
	readonly tolerance?: number;
	readonly exceptions?: readonly Exception[];
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

/** What one side said, by sequence number, from the recording. */
function streamOf(path: string, from: string): Uint8Array {
	let first: number | undefined;
	const octets: number[] = [];
	for (const { data } of recordedFrames(path)) {
		const layers = dissect(data);
		if (!layers.some((layer) => layer.protocol === "tcp")) continue;
		const view = new DataView(data.buffer, data.byteOffset, data.length);
		if (formatted(ipv4.source(view, ethernet.OCTETS)) !== from) continue;
		const at = ethernet.OCTETS + ipv4.headerOctets(view, ethernet.OCTETS);
		const sequence = tcp.sequence(view, at);
		if ((tcp.flags(view, at) & tcp.SYN) !== 0) {
			// The next connection of the recording.
			if (first !== undefined && first !== (sequence + 1) >>> 0) break;
			first = (sequence + 1) >>> 0;
		}
		const end = ethernet.OCTETS + ipv4.totalLength(view, ethernet.OCTETS);
		const begin = at + tcp.headerOctets(view, at);
		if (first === undefined) continue;
		for (let i = begin; i < end; i++) octets[((sequence - first) >>> 0) + i - begin] = data[i] ?? 0;
	}
	return Uint8Array.from(octets);
}

const formatted = (ip: number): string => [24, 16, 8, 0].map((shift) => (ip >>> shift) & 0xff).join(".");

/** netem's delay, which a frame waits before the interface's capture sees it. */
function holdBack(lab: Lab, device: Device, delay: number): void {
	const transmit = device.transmit.bind(device);
	device.transmit = (frame) => lab.world.scheduler.wire({ deliver: transmit }, frame, delay * 1e6);
}

/** `iptables -A INPUT -p tcp … -j DROP`. */
function lose(ns: Netns, which: (segment: { readonly octets: number }) => boolean): void {
	const receive = ns.tcp.receive.bind(ns.tcp);
	ns.tcp.receive = (frame, inDevice) => {
		if (which({ octets: frame.length })) frame.release();
		else receive(frame, inDevice);
	};
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
	if (recording.delay !== undefined)
		for (const device of [aEth, bEth]) holdBack(lab, device, recording.delay);
	for (const [name, ns] of Object.entries({ a, b })) {
		const loses = recording.lost?.[name as "a" | "b"];
		if (loses !== undefined) lose(ns, loses);
	}
	const capture = lab.capture();
	const said = {
		client: streamOf(recording.capture, "10.5.0.1"),
		server: streamOf(recording.capture, "10.5.0.2"),
	};
	const port = recording.port ?? 80;
	let listener: TcpListener | undefined;
	const sockets: { client: TcpSocket | undefined; server: TcpSocket | undefined } = {
		client: undefined,
		server: undefined,
	};
	if (recording.closed !== true) {
		listener = (b).tcp.listen({ port, ...recording.server });
		listener.onConnection = (socket) => {
			sockets.server = socket;
		};
	}
	const written = { client: 0, server: 0 };
	const act = async (deed: Deed): Promise<void> => {
		const [, who, what] = deed;
		if (what === "connect") {
			sockets.client = a.tcp.connect({ address: recording.to ?? "10.5.0.2", port, ...recording.client });
			return;
		}
		const socket = sockets[who];
		if (socket === undefined) throw new Error(`${who} is not connected at frame ${String(deed[0])}`);
		if (what === "write" || what === "write-more") {
			let left = said[who].subarray(written[who], written[who] + deed[3]);
			written[who] += deed[3];
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
		else if (what === "drain") {
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
		const at = times[deed[0] - 1] ?? 0;
		const back = (deed[1] === "server" ? 0.000_006 : 0) + (recording.delay ?? 0) / 1000;
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
		const theirs = recordedFrames(path).slice(0, recording.last);
		const all = capture.sightings(`${ns}:eth0`);
		// Compared to a frame in the middle, as many as were recorded up to it.
		const ours =
			recording.last === undefined
				? all
				: all
						.filter((row) => recording.arp === true || !new DissectedFrame(0, row.data).has("arp"))
						.slice(0, theirs.filter(({ data }) => recording.arp === true || !new DissectedFrame(0, data).has("arp")).length);
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
