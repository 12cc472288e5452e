import { formatIp4, type Ip4, type Vni } from "../addr/index.ts";
import { type Device, type Direction, type Drop, IN, type Tap } from "../link/index.ts";
import type { Frame } from "../wire/index.ts";
import type { PcapngRecord } from "./pcap-record.ts";

const CHUNK = 1024 * 1024;
const FIRST_ROWS = 1024;
/** Numbers of a row, side by side. */
const FIELDS = 4;
const TIME = 0;
const PACKET = 1;
/** Where its octets lie: chunk number × chunk size + offset. */
const AT = 2;
/** How many octets, which way and where: (place × 4 + direction) × 2^17 + octets. */
const WHAT = 3;
const OCTETS_SPAN = 0x2_0000;
const OCTETS_BITS = OCTETS_SPAN - 1;
/** Of a row that entered a tunnel: the remote, and the VNI + 1; 0 for none. */
const TUNNEL_FIELDS = 2;
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
	#rows = new Float64Array(FIRST_ROWS * FIELDS);
	#tunnels = new Int32Array(FIRST_ROWS * TUNNEL_FIELDS);
	readonly #ends = new Map<number, Drop>();
	/** Rows forgotten at the front by `forget`. */
	#first = 0;
	/** Rows written so far, forgotten ones included. */
	size = 0;
	/** Somebody may still look at views of the chunks. */
	#lent = false;
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
		if (row * FIELDS === this.#rows.length) this.#grow();
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
		const rows = this.#rows;
		const into = row * FIELDS;
		rows[into + TIME] = this.#clock.now;
		rows[into + PACKET] = frame.id;
		rows[into + AT] = frame.loggedAt + start - frame.loggedStart;
		rows[into + WHAT] = (this.#lastPlace * 4 + direction) * OCTETS_SPAN + end - start;
		this.#tunnels[row * TUNNEL_FIELDS + 1] = 0;
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
		if (row < this.#first || row >= this.size || this.#packetOf(row - this.#first) !== frame.id) return;
		this.#ends.set(row, drop);
	}

	/** Notes at the latest sighting of a frame, if it was sighted here, the tunnel it enters. */
	tunnelled(frame: Frame, remote: Ip4, vni: Vni): void {
		const row = frame.loggedRow - this.#first;
		if (row < 0 || frame.loggedRow >= this.size || this.#packetOf(row) !== frame.id) return;
		this.#tunnels[row * TUNNEL_FIELDS] = remote;
		this.#tunnels[row * TUNNEL_FIELDS + 1] = vni + 1;
	}

	#packetOf(row: number): number {
		return this.#rows[row * FIELDS + PACKET]!;
	}

	#comment(number: number): string | undefined {
		const row = number - this.#first;
		const drop = this.#ends.size === 0 ? undefined : this.#ends.get(number);
		const ended = commentOf(drop);
		const vni = this.#tunnels[row * TUNNEL_FIELDS + 1]!;
		if (vni === 0) return ended;
		const tunnel = `encapsulated: VNI ${String(vni - 1)} to ${formatIp4(this.#tunnels[row * TUNNEL_FIELDS]! as Ip4)}`;
		return ended === undefined ? tunnel : `${tunnel}; ${ended}`;
	}

	/** The sighting in a row from 0 to `size - 1` that was not forgotten. */
	row(number: number): Sighting | undefined {
		const row = number - this.#first;
		if (row < 0 || number >= this.size) return undefined;
		const rows = this.#rows;
		const from = row * FIELDS;
		const chunk = this.#chunks[Math.floor(rows[from + AT]! / CHUNK)];
		if (chunk === undefined) return undefined;
		const offset = rows[from + AT]! % CHUNK;
		const way = Math.floor(rows[from + WHAT]! / OCTETS_SPAN);
		this.#lent = true;
		return {
			time: rows[from + TIME]!,
			place: way >> 2,
			direction: (way & 3) as Direction,
			packet: rows[from + PACKET]!,
			data: chunk.bytes.subarray(offset, offset + (rows[from + WHAT]! & OCTETS_BITS)),
			comment: this.#comment(number),
		};
	}

	/** Puts a row that was not forgotten into a record for a capture file, without an object for each. */
	fill(number: number, record: SightingRecord): void {
		const rows = this.#rows;
		const from = (number - this.#first) * FIELDS;
		const chunk = this.#chunks[Math.floor(rows[from + AT]! / CHUNK)];
		if (chunk === undefined) return;
		const start = rows[from + AT]! % CHUNK;
		const octets = rows[from + WHAT]! & OCTETS_BITS;
		const way = Math.floor(rows[from + WHAT]! / OCTETS_SPAN);
		const comment = this.#comment(number);
		record.time = rows[from + TIME]!;
		record.interface = way >> 2;
		record.direction = (way & 3) === IN ? "in" : "out";
		record.packetId = rows[from + PACKET]!;
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

	/** Forgets everything so far and gives its memory back, but for a chunk to begin with: for captures that are streamed. */
	forget(): void {
		this.#first = this.size;
		this.#chunks = this.#lent ? [] : this.#chunks.slice(0, 1);
		for (const chunk of this.#chunks) chunk.used = 0;
		this.#lent = false;
		this.#token = {};
		this.#ends.clear();
	}

	#grow(): void {
		const [rows, tunnels] = [this.#rows, this.#tunnels];
		this.#rows = new Float64Array(rows.length * 2);
		this.#rows.set(rows);
		this.#tunnels = new Int32Array(tunnels.length * 2);
		this.#tunnels.set(tunnels);
	}
}

function commentOf(drop: Drop | undefined): string | undefined {
	if (drop === undefined) return undefined;
	return `dropped at ${drop.place}: ${drop.reason}${drop.detail === undefined ? "" : ` (${drop.detail})`}`;
}
