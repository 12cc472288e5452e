import { formatIp4, type Ip4, type Vni } from "../addr/index.ts";
import { type Device, type Direction, type Drop, IN, type Tap } from "../link/index.ts";
import type { Frame } from "../wire/index.ts";
import type { PcapngRecord } from "./pcap-record.ts";

const CHUNK = 1024 * 1024;
const FIRST_ROWS = 1024;
/** Shorter copies go word by word, without a view. */
const LOOP_COPY_LIMIT = 192;

/** A row on its way into a capture file; one object serves all rows. */
export type SightingRecord = { -readonly [Key in keyof PcapngRecord]: PcapngRecord[Key] };

/** One sighting of a packet at an interface, as `CaptureLog.row` gives it. */
export interface Sighting {
	/** Virtual nanoseconds since the lab's epoch. */
	readonly time: number;
	/** Index into `CaptureLog.places`. */
	readonly place: number;
	readonly direction: Direction;
	/** The journey, see `Frame.id`. */
	readonly packet: number;
	/** The octets; a view that lives as long as the log. */
	readonly data: Uint8Array;
	readonly comment: string | undefined;
}

/**
 * What taps saw: octets are copied once per version of a frame, and each interface it passes adds a row.
 * A frame remembers where its copy lies (`Frame.log`), so that ten interfaces cost one or two copies.
 */
export class CaptureLog implements Tap {
	/** Names of the interfaces, `namespace:device`, in the order of first sight of each. */
	readonly places: string[] = [];
	readonly #placeOf = new Map<Device, number>();
	readonly #placeByName = new Map<string, number>();
	readonly #clock: { readonly now: number };
	/** Octets, in chunks that never move. */
	#chunks: { readonly bytes: Uint8Array; readonly view: DataView; used: number }[] = [];
	#time = new Float64Array(FIRST_ROWS);
	#packet = new Float64Array(FIRST_ROWS);
	#chunk = new Uint32Array(FIRST_ROWS);
	#offset = new Uint32Array(FIRST_ROWS);
	#octets = new Uint32Array(FIRST_ROWS);
	#place = new Uint16Array(FIRST_ROWS);
	#direction = new Uint8Array(FIRST_ROWS);
	readonly #ends = new Map<number, Drop>();
	/** Where a sighted frame was tunnelled to, and its VNI + 1; 0 for none. */
	#remote = new Int32Array(FIRST_ROWS);
	#vni = new Uint32Array(FIRST_ROWS);
	/** Rows forgotten at the front by `forget`. */
	#first = 0;
	/** Rows written so far, forgotten ones included. */
	size = 0;
	/** What frames carry whose octets lie in these chunks; another one once chunks are forgotten. */
	#token: object = {};
	#lastDevice: Device | null = null;
	#lastPlace = 0;

	constructor(clock: { readonly now: number }) {
		this.#clock = clock;
	}

	/** Gives a device its interface; done when the tap is set. */
	enter(device: Device): void {
		const known = this.#placeByName.get(device.place) ?? this.places.push(device.place) - 1;
		this.#placeByName.set(device.place, known);
		this.#placeOf.set(device, known);
		this.#lastDevice = null;
	}

	/** Adds a row for a sighting, and copies the octets unless they are here already. */
	see(frame: Frame, device: Device, direction: Direction): void {
		const row = this.size - this.#first;
		if (row === this.#time.length) this.#grow();
		const start = frame.start;
		const end = frame.end;
		if (frame.log !== this.#token || start < frame.loggedStart || end > frame.loggedEnd) {
			frame.loggedAt = this.#copy(frame, start, end - start);
			frame.loggedStart = start;
			frame.loggedEnd = end;
			frame.log = this.#token;
		}
		if (this.#lastDevice !== device) {
			this.#lastPlace = this.#placeOf.get(device) ?? 0;
			this.#lastDevice = device;
		}
		this.#time[row] = this.#clock.now;
		this.#packet[row] = frame.id;
		const at = frame.loggedAt + start - frame.loggedStart;
		this.#chunk[row] = Math.floor(frame.loggedAt / CHUNK);
		this.#offset[row] = at % CHUNK;
		this.#octets[row] = end - start;
		this.#place[row] = this.#lastPlace;
		this.#direction[row] = direction;
		this.#vni[row] = 0;
		frame.loggedRow = this.size++;
	}

	/** Copies octets into the log and returns where they lie: chunk number × chunk size + offset. */
	#copy(frame: Frame, from: number, octets: number): number {
		let chunk = this.#chunks.at(-1);
		if (chunk === undefined || chunk.used + octets > CHUNK) {
			const bytes = new Uint8Array(CHUNK);
			chunk = { bytes, view: new DataView(bytes.buffer), used: 0 };
			this.#chunks.push(chunk);
		}
		const at = chunk.used;
		if (octets > LOOP_COPY_LIMIT) {
			chunk.bytes.set(frame.bytes.subarray(from, from + octets), at);
		} else {
			const source = frame.view;
			const target = chunk.view;
			const words = octets & ~3;
			let i = 0;
			for (; i < words; i += 4) target.setInt32(at + i, source.getInt32(from + i, true), true);
			for (; i < octets; i++) target.setUint8(at + i, source.getUint8(from + i));
		}
		chunk.used += octets;
		return (this.#chunks.length - 1) * CHUNK + at;
	}

	/** Notes at the latest sighting of a frame, if it was sighted here, how it ended. */
	ended(frame: Frame, drop: Drop): void {
		const row = frame.loggedRow;
		if (row < this.#first || row >= this.size || this.#packet[row - this.#first] !== frame.id) return;
		this.#ends.set(row, drop);
	}

	/** Notes at the latest sighting of a frame, if it was sighted here, the tunnel it enters. */
	tunnelled(frame: Frame, remote: Ip4, vni: Vni): void {
		const row = frame.loggedRow - this.#first;
		if (row < 0 || frame.loggedRow >= this.size || this.#packet[row] !== frame.id) return;
		this.#remote[row] = remote;
		this.#vni[row] = vni + 1;
	}

	#comment(number: number): string | undefined {
		const row = number - this.#first;
		const drop = this.#ends.size === 0 ? undefined : this.#ends.get(number);
		const ended = commentOf(drop);
		const vni = this.#vni[row]!;
		if (vni === 0) return ended;
		const tunnel = `encapsulated: VNI ${String(vni - 1)} to ${formatIp4(this.#remote[row]! as Ip4)}`;
		return ended === undefined ? tunnel : `${tunnel}; ${ended}`;
	}

	/** The sighting in a row from 0 to `size - 1` that was not forgotten. */
	row(number: number): Sighting | undefined {
		const row = number - this.#first;
		const chunk = this.#chunks[this.#chunk[row]!];
		if (row < 0 || number >= this.size || chunk === undefined) return undefined;
		const offset = this.#offset[row]!;
		return {
			time: this.#time[row]!,
			place: this.#place[row]!,
			direction: this.#direction[row] as Direction,
			packet: this.#packet[row]!,
			data: chunk.bytes.subarray(offset, offset + this.#octets[row]!),
			comment: this.#comment(number),
		};
	}

	/** Puts a row that was not forgotten into a record for a capture file, without an object for each. */
	fill(number: number, record: SightingRecord): void {
		const row = number - this.#first;
		const chunk = this.#chunks[this.#chunk[row]!];
		if (chunk === undefined) return;
		const start = this.#offset[row]!;
		const octets = this.#octets[row]!;
		const comment = this.#comment(number);
		record.time = this.#time[row]!;
		record.interface = this.#place[row]!;
		record.direction = this.#direction[row] === IN ? "in" : "out";
		record.packetId = this.#packet[row]!;
		record.view = chunk.view;
		record.start = start;
		record.end = start + octets;
		record.originalLength = octets;
		record.comments = comment === undefined ? undefined : [comment];
	}

	/** The first row that was not forgotten. */
	get first(): number {
		return this.#first;
	}

	/** All sightings that were not forgotten, in order. */
	*rows(): Generator<Sighting> {
		for (let number = this.#first; number < this.size; number++) {
			const row = this.row(number);
			if (row !== undefined) yield row;
		}
	}

	/** Forgets everything so far and gives its memory back: for captures that are streamed. */
	forget(): void {
		this.#first = this.size;
		this.#chunks = [];
		this.#token = {};
		this.#ends.clear();
	}

	#grow(): void {
		const rows = this.#time.length * 2;
		const widen = <T extends Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array>(
			from: T,
			to: T,
		): T => {
			to.set(from);
			return to;
		};
		this.#time = widen(this.#time, new Float64Array(rows));
		this.#packet = widen(this.#packet, new Float64Array(rows));
		this.#chunk = widen(this.#chunk, new Uint32Array(rows));
		this.#offset = widen(this.#offset, new Uint32Array(rows));
		this.#octets = widen(this.#octets, new Uint32Array(rows));
		this.#place = widen(this.#place, new Uint16Array(rows));
		this.#remote = widen(this.#remote, new Int32Array(rows));
		this.#vni = widen(this.#vni, new Uint32Array(rows));
		this.#direction = widen(this.#direction, new Uint8Array(rows));
	}
}

function commentOf(drop: Drop | undefined): string | undefined {
	if (drop === undefined) return undefined;
	return `dropped at ${drop.place}: ${drop.reason}${drop.detail === undefined ? "" : ` (${drop.detail})`}`;
}
