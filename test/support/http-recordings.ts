import type { Netns } from "../../src/index.ts";
import { has, keep, type TimedFrame, value } from "./golden.ts";
import { RecordedScenario, report } from "./recording.ts";

/** One interface, recorded and emulated. */
export interface Interface {
	readonly recorded: readonly TimedFrame[];
	readonly ours: readonly TimedFrame[];
	/** How far the recording's clock ran ahead, as a negative number of seconds; 0 unless said. */
	readonly clock?: number;
	/** The outside client's checksums were added up by its card, behind the capture. */
	readonly offloaded?: boolean;
}

/** The outside client's kernel allowed 32 MiB of receive buffer: its window scale is 10, its windows are counted in KiB. */
export function setClient(outside: Netns): void {
	outside.sysctl.set("net.ipv4.tcp_rmem", [4096, 131_072, 33_554_432]);
}

/** Recordings of HTTP through NAT and load balancers, made on machines that took up to 70 ms for a packet. */
export class HttpRecordings {
	readonly #scenario = new RecordedScenario({ tolerance: { absolute: 80 } });
	readonly #start: number;
	readonly #clientPorts: ReadonlySet<string>;
	readonly #serverPorts: readonly string[];

	/** `start` is the recording's instant at which the lab's clock is 0; `clientPorts` are the outside client's. */
	constructor({
		start,
		clientPorts,
		serverPorts,
	}: {
		readonly start: number;
		readonly clientPorts: ReadonlySet<string>;
		readonly serverPorts: readonly string[];
	}) {
		this.#start = start;
		this.#clientPorts = clientPorts;
		this.#serverPorts = serverPorts;
	}

	/** What differs, all frames in one order. */
	inOrder(name: string, { recorded, ours, clock = 0, offloaded = false }: Interface): string[] {
		const frames = this.#ofClient(recorded);
		const found = this.#scenario.differences(
			name,
			recorded.map(({ time, data }) => ({ time: nanoseconds(time), data })),
			ours.map(({ time, data }) => ({ time: Math.round(time * 1e9), data })),
			{
				anchor: { recorded: nanoseconds(this.#start - clock), emulated: 0 },
				exceptions: [
					...(offloaded ? [{ field: "tcp.checksum", frames, why: "added up behind the capture" }] : []),
				],
			},
		);
		return found.length === 0 ? [] : [report(name, found)];
	}

	/**
	 * What differs, connection by connection and each direction by itself: what a node sends and gets crosses in the order
	 * in which its processors came to it.
	 */
	byDirection(name: string, { recorded, ours, ...about }: Interface): string[] {
		const [theirs, own] = [this.#directions(recorded), this.#directions(ours)];
		return [...new Set([...theirs.keys(), ...own.keys()])].flatMap((key) =>
			this.inOrder(`${name} ${key}`, {
				recorded: theirs.get(key) ?? [],
				ours: own.get(key) ?? [],
				...about,
			}),
		);
	}

	#directions(frames: readonly TimedFrame[]): ReadonlyMap<string, TimedFrame[]> {
		const found = new Map<string, TimedFrame[]>();
		const connections: string[] = [];
		for (const frame of frames) {
			keep([frame], (layers) => {
				const ports = layers.flatMap(({ fields }) => fields).filter(({ name }) => /^tcp\..*Port$/.test(name));
				const port = ports.find(({ text }) => !this.#serverPorts.includes(text))?.text ?? "";
				if (!connections.includes(port)) connections.push(port);
				const way = ["ethernet.src", "ethernet.dst"].map((name) => String(value(layers, name))).join(" > ");
				const what = has(layers, "vxlan") ? "VXLAN" : has(layers, "arp") ? "ARP" : "TCP";
				const key = `${what} ${port === "" ? "" : String(connections.indexOf(port))} ${way}`;
				found.set(key, [...(found.get(key) ?? []), frame]);
				return false;
			});
		}
		return found;
	}

	/** Numbers of the outside client's segments, wherever they pass. */
	#ofClient(frames: readonly TimedFrame[]): number[] {
		return frames.flatMap((frame, i) => {
			const found = keep([frame], (layers) =>
				layers.some(({ fields }) =>
					fields.some(({ name, text }) => name === "tcp.sourcePort" && this.#clientPorts.has(text)),
				),
			);
			return found.length === 0 ? [] : [i + 1];
		});
	}
}

const nanoseconds = (seconds: number): bigint => BigInt(Math.round(seconds * 1e9));
