import type { Ip4, Vni } from "../addr/index.ts";
import { type Device, type Drop, IN, type Tap, type World } from "../link/index.ts";
import type { Frame } from "../wire/index.ts";
import type { CaptureName } from "./capture-file.ts";
import { CaptureLog, type Sighting, type SightingRecord } from "./capture-log.ts";
import { type PcapOptions, writePcap } from "./pcap.ts";
import { PcapngWriter } from "./pcapng.ts";
import { glob } from "./glob.ts";

/** Which interfaces: a glob over `namespace:device` (`"node*:*"`), several, or a question asked of each device. */
export type CaptureSelection = string | readonly string[] | ((device: Device) => boolean);

/** Takes a capture file in parts, as they are written. */
export interface CaptureSink {
	/** Takes the next part of the file. */
	write(part: Uint8Array): void;
}

/** What a capture needs of its lab. */
export interface CaptureHost {
	readonly world: World;
	/** Nanoseconds from 1970 to the lab's epoch. */
	readonly epoch: bigint;
	/** Every device of the lab now. */
	devices(): Iterable<Device>;
	/** Addresses and their names, for readers of the file. */
	names(): readonly CaptureName[];
	/** Calls back for each device that comes later, moves or is renamed; returns what ends it. */
	onDevice(listener: (device: Device) => void): () => void;
}

/** Rows after which a streamed capture writes. */
const STREAM_ROWS = 4096;

/**
 * A running capture: what passed the chosen interfaces since it was started, and how packets ended there.
 * Interfaces that come later are captured too when they are chosen. Stop it to keep what it has.
 */
export class Capture {
	readonly log: CaptureLog;
	readonly #host: CaptureHost;
	readonly #chosen: (device: Device) => boolean;
	readonly #removals = new Map<Device, () => void>();
	readonly #stopListening: () => void;
	readonly #onDrop: (drop: Drop, frame: Frame) => void;
	readonly #onTunnel = (frame: Frame, remote: Ip4, vni: Vni): void => {
		this.log.tunnelled(frame, remote, vni);
	};
	#stream: { readonly sink: CaptureSink; readonly writer: PcapngWriter; interfaces: number } | undefined;
	#stopped = false;

	constructor(host: CaptureHost, selection: CaptureSelection = "*") {
		this.#host = host;
		this.log = new CaptureLog(host.world.scheduler);
		this.#chosen = choice(selection);
		for (const device of host.devices()) this.#consider(device);
		this.#stopListening = host.onDevice((device) => {
			this.#consider(device);
		});
		this.#onDrop = (drop, frame) => {
			this.log.ended(frame, drop);
		};
		host.world.dropListeners.push(this.#onDrop);
		host.world.tunnelListeners.push(this.#onTunnel);
	}

	#consider(device: Device): void {
		this.#removals.get(device)?.();
		this.#removals.delete(device);
		if (this.#stopped || !this.#chosen(device)) return;
		this.log.enter(device);
		const tap = this.#stream === undefined ? this.log : { see: this.#seeAndWrite };
		// What leaves by loopback comes in by it as well, and is shown once (libpcap's `linux_check_direction`).
		const once: Tap = {
			see: (frame, from, direction) => {
				if (direction === IN) tap.see(frame, from, direction);
			},
		};
		this.#removals.set(device, device.addTap(device.kind === "loopback" ? once : tap));
	}

	readonly #seeAndWrite = (frame: Frame, device: Device, direction: 1 | 2): void => {
		this.log.see(frame, device, direction);
		if (this.log.size % STREAM_ROWS === 0) this.flush();
	};

	/** Names of the captured interfaces, in the order of the file. */
	get interfaces(): readonly string[] {
		return this.log.places;
	}

	/** Ends the capture; what it has stays. */
	stop(): this {
		if (this.#stopped) return this;
		this.#stopped = true;
		for (const remove of this.#removals.values()) remove();
		this.#removals.clear();
		this.#stopListening();
		const { dropListeners, tunnelListeners } = this.#host.world;
		dropListeners.splice(dropListeners.indexOf(this.#onDrop), 1);
		tunnelListeners.splice(tunnelListeners.indexOf(this.#onTunnel), 1);
		this.flush();
		return this;
	}

	/** Sightings so far, in order; of one interface when `place` is given. */
	sightings(place?: string): Sighting[] {
		const wanted = place === undefined ? -1 : this.log.places.indexOf(place);
		if (place !== undefined && wanted < 0) return [];
		return [...this.log.rows()].filter((row) => wanted < 0 || row.place === wanted);
	}

	/** Everything so far as a pcapng file: one interface each, directions, packet ids, comments, names. */
	toPcapng(): Uint8Array {
		const writer = this.#writer();
		for (const place of this.log.places) writer.addInterface({ name: place, os: "Linux" });
		this.#write(writer);
		return writer.sink.drain();
	}

	/** One interface's packets as a classic pcap file. Throws RangeError for an interface that is not captured. */
	toPcap(place: string, options: PcapOptions = {}): Uint8Array {
		if (!this.log.places.includes(place)) {
			throw new RangeError(`place is "${place}", expected one of ${this.log.places.join(", ")}`);
		}
		const packets = this.sightings(place).map((row) => ({
			time: this.#host.epoch + BigInt(row.time),
			data: row.data,
		}));
		return writePcap(packets, options);
	}

	/**
	 * Writes the file to a sink as packets come, so that memory stays bounded: from now on the capture keeps
	 * only what was not written yet. `stop` writes the rest.
	 */
	streamTo(sink: CaptureSink): this {
		this.#stream = { sink, writer: this.#writer(), interfaces: 0 };
		for (const device of [...this.#removals.keys()]) this.#consider(device);
		this.flush();
		return this;
	}

	/** Writes what is not written yet, of a capture that is streamed. */
	flush(): void {
		const stream = this.#stream;
		if (stream === undefined) return;
		for (; stream.interfaces < this.log.places.length; stream.interfaces++) {
			stream.writer.addInterface({ name: this.log.places[stream.interfaces] ?? "", os: "Linux" });
		}
		this.#packets(stream.writer);
		this.log.forget();
		stream.sink.write(stream.writer.sink.drain());
	}

	#writer(): PcapngWriter {
		return new PcapngWriter({ os: "Linux 6.1", application: "vethwork", epoch: this.#host.epoch });
	}

	#write(writer: PcapngWriter): void {
		writer.names(this.#host.names());
		this.#packets(writer);
	}

	#packets(writer: PcapngWriter): void {
		const record: SightingRecord = {
			time: 0,
			interface: 0,
			view: EMPTY,
			start: 0,
			end: 0,
			originalLength: 0,
			direction: undefined,
			packetId: undefined,
			comments: undefined,
		};
		for (let row = this.log.first; row < this.log.size; row++) {
			this.log.fill(row, record);
			writer.frame(record);
		}
	}
}

const EMPTY = new DataView(new ArrayBuffer(0));

function choice(selection: CaptureSelection): (device: Device) => boolean {
	if (typeof selection === "function") return selection;
	const patterns = (typeof selection === "string" ? [selection] : selection).map((pattern) =>
		glob(pattern.includes(":") ? pattern : `${pattern}:*`),
	);
	return (device) => patterns.some((pattern) => pattern(device.place));
}
