import { createDecipheriv } from "node:crypto";
import type { TimedFrame } from "./golden.ts";

/** An ESP packet of a capture, opened with the machine's own AES: a second opinion on ours. */
export interface OpenedEsp {
	/** The packet that was inside, behind the same Ethernet and IPv4 headers; the time is the first fragment's. */
	readonly plain: TimedFrame;
	/** What was on the wire: one frame, or its fragments. */
	readonly frames: readonly TimedFrame[];
	readonly spi: number;
	readonly sequence: number;
	readonly iv: Uint8Array;
	/** The padding, its length and the next header. */
	readonly trailer: Uint8Array;
}

const [ETHERNET, IP, ESP, IV, SALT] = [14, 20, 8, 8, 4];

/**
 * The ESP packets of a capture in order, fragments put together; `keys` by SPI: AES key and salt. Throws for a wrong
 * tag, for an SPI without a key, and for headers with options.
 */
export function openEsp(
	frames: readonly TimedFrame[],
	keys: Readonly<Record<number, Uint8Array>>,
	icvOctets: number,
): OpenedEsp[] {
	return trains(frames).map((train) => open(train, keys, icvOctets));
}

/** Frames of protocol 50, with those behind that go on with the same packet. */
function trains(frames: readonly TimedFrame[]): TimedFrame[][] {
	const found: TimedFrame[][] = [];
	for (const frame of frames) {
		const view = viewOf(frame.data);
		if (view.getUint16(12) !== 0x0800 || view.getUint8(ETHERNET + 9) !== 50) continue;
		const goesOn = (view.getUint16(ETHERNET + 6) & 0x1fff) > 0;
		if (goesOn) found.at(-1)?.push(frame);
		else found.push([frame]);
	}
	return found;
}

function open(
	train: readonly TimedFrame[],
	keys: Readonly<Record<number, Uint8Array>>,
	icvOctets: number,
): OpenedEsp {
	const [first] = train;
	if (first === undefined) throw new Error("a packet has at least one frame");
	const packet = Buffer.concat(train.map(({ data }) => data.subarray(ETHERNET + IP)));
	const [spi, sequence] = [packet.readUInt32BE(0), packet.readUInt32BE(4)];
	const key = keys[spi];
	if (key === undefined) throw new Error(`no key for SPI ${String(spi)}`);
	const iv = packet.subarray(ESP, ESP + IV);
	const name = `aes-${String((key.length - SALT) * 8)}-gcm` as "aes-128-gcm";
	const nonce = Buffer.concat([key.subarray(-SALT), iv]);
	const cipher = createDecipheriv(name, key.subarray(0, -SALT), nonce, { authTagLength: icvOctets });
	cipher.setAAD(packet.subarray(0, ESP));
	cipher.setAuthTag(packet.subarray(-icvOctets));
	const text = Buffer.concat([cipher.update(packet.subarray(ESP + IV, -icvOctets)), cipher.final()]);
	const pad = text.at(-2) ?? 0;
	const payload = text.subarray(0, text.length - 2 - pad);
	const data = Buffer.concat([first.data.subarray(0, ETHERNET + IP), payload]);
	data.writeUInt16BE(IP + payload.length, ETHERNET + 2);
	data.writeUInt16BE(data.readUInt16BE(ETHERNET + 6) & 0x4000, ETHERNET + 6);
	data[ETHERNET + 9] = text.at(-1) ?? 0;
	data.writeUInt16BE(0, ETHERNET + 10);
	data.writeUInt16BE(headerChecksum(data), ETHERNET + 10);
	return {
		plain: { time: first.time, data },
		frames: train,
		spi,
		sequence,
		iv: Uint8Array.from(iv),
		trailer: Uint8Array.from(text.subarray(payload.length)),
	};
}

function headerChecksum(data: Buffer): number {
	let sum = 0;
	for (let i = 0; i < IP; i += 2) sum += data.readUInt16BE(ETHERNET + i);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
	return ~sum & 0xffff;
}

const viewOf = (bytes: Uint8Array): DataView =>
	new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
