import type { Mac } from "../../src/addr/index.ts";
import { Rng } from "../../src/sim/index.ts";
import type { TcpSocket } from "../../src/stack/index.ts";
import { checksum, ethernet, ipv4, tcp } from "../../src/wire/index.ts";
import { cabled, pattern } from "./tcp-cable.ts";

/** Mutated segments that one connection has to bear before another takes its place. */
const PER_CONNECTION = 500;

/** What came of a bombardment. */
export interface Bombardment {
	readonly segments: number;
	/** Rules that were broken, in words; empty when all held. */
	readonly broken: readonly string[];
	/** The most memory that one receive queue was charged with, as a part of what it may be. */
	readonly fullest: number;
	/** Segments whose octets were taken: they lay in the window. */
	readonly taken: number;
}

/**
 * Bombards a connection, its listener and closed ports with mutated segments of a talking client: headers of IPv4 and
 * TCP, options, sequence numbers, lengths, checksums right or wrong, fragments. After each one: only octets inside of
 * the window may be taken, only a RST at the very next octet or behind a reported block may end the connection, the receive queue keeps to its
 * memory. After all, nothing may be left.
 */
export async function bombard(segments: number, seed: number): Promise<Bombardment> {
	const rng = new Rng(seed);
	const broken: string[] = [];
	let fullest = 0;
	let [done, taken] = [0, 0];
	while (done < segments) {
		const net = cabled({ delay: 1 }, seed + done);
		let server: TcpSocket | undefined;
		net.b.tcp.listen({ port: 80, backlog: 8 }).onConnection = (socket) => {
			server ??= socket;
			let reads = 0;
			socket.onReadable = () => {
				// A program that reads some of the time.
				if (reads++ % 3 === 0) socket.read();
			};
		};
		const client = net.a.tcp.connect({ address: "10.0.0.2", port: 80 });
		client.onConnect = () => void client.write(pattern(3000, 1));
		await net.lab.advance("20ms");
		const device = net.b.device("eth0");
		for (let i = 0; i < PER_CONNECTION && done < segments; i++, done++) {
			const target = server;
			if (target === undefined) throw new Error("nobody is connected");
			const { tcb } = target;
			const before = { next: tcb.rcvNxt, end: (tcb.rcvNxt + tcb.offeredWindow) | 0, state: tcb.state };
			// Behind what was reported as arrived a reset counts as well (`tcp_validate_incoming`).
			const resets = [before.next, ...tcb.sacks];
			const frame = net.lab.world.frames.from(mutated(rng, target, client.localPort, device.mac));
			const said = summary(frame.view, frame.start, frame.end);
			try {
				device.receive(frame);
			} catch (error) {
				broken.push(`${String(error)} by ${said.text}`);
			}
			const advanced = (tcb.rcvNxt - before.next) | 0;
			if (advanced < 0 || ((before.end - tcb.rcvNxt) | 0) < -1)
				broken.push(
					`took ${String(advanced)} octets where ${String((before.end - before.next) | 0)} were offered: ${said.text}`,
				);
			if (
				tcb.error?.code === "ECONNRESET" &&
				before.state === "established" &&
				!resets.includes(said.sequence)
			)
				broken.push(
					`a reset at ${String(said.sequence)} ended a connection that expects ${String(before.next)}`,
				);
			if (advanced > 0) taken++;
			fullest = Math.max(fullest, tcb.charged / (2 * tcb.receiveBuffer));
			if (rng.below(8) === 0) await net.lab.advance(rng.below(30));
			// A connection that was ended by a right segment is no target any more.
			if (tcb.state === "closed" || tcb.state === "time-wait") break;
		}
		for (const each of [...net.a.tcp.sockets(), ...net.b.tcp.sockets()]) each.abort();
		await net.lab.advance("200s");
		const left = [net.a.tcp.count, net.b.tcp.count, net.lab.world.frames.taken];
		if (left.some((each) => each !== 0)) broken.push(`left behind: ${left.join(", ")} (a, b, frames)`);
	}
	return { segments: done, broken, fullest, taken };
}

interface Summary {
	readonly text: string;
	readonly sequence: number;
}

function summary(view: DataView, start: number, end: number): Summary {
	const at = start + ethernet.OCTETS + ipv4.MIN_OCTETS;
	if (at + tcp.MIN_OCTETS > end) return { text: "a short frame", sequence: 0 };
	const sequence = tcp.sequence(view, at) | 0;
	return { text: `flags ${tcp.flags(view, at).toString(16)} at ${String(sequence)}`, sequence };
}

/** One frame: near the truth, then changed here and there; its checksums are right nine times of ten. */
function mutated(rng: Rng, server: TcpSocket, clientPort: number, mac: Mac): Uint8Array {
	const { tcb } = server;
	const octets = rng.below(4) === 0 ? rng.below(1460) : rng.below(40);
	const options = 4 * rng.below(11);
	const header = tcp.MIN_OCTETS + options;
	const total = ipv4.MIN_OCTETS + header + octets;
	const data = new Uint8Array(ethernet.OCTETS + total);
	const view = new DataView(data.buffer);
	const [ip, at] = [ethernet.OCTETS, ethernet.OCTETS + ipv4.MIN_OCTETS];
	ethernet.write(view, 0, { dst: mac, src: mac, type: ethernet.TYPE_IPV4 });
	ipv4.writePlain(view, ip, total, 0, rng.below(65_536), 0, 64, 6, server.remoteAddress, server.localAddress);
	const near = (number: number, spread: number): number =>
		(rng.below(6) === 0 ? rng.uint32() : number + rng.below(2 * spread) - spread) >>> 0;
	view.setUint16(at, rng.below(20) === 0 ? rng.below(65_536) : clientPort);
	view.setUint16(at + 2, rng.below(20) === 0 ? rng.below(65_536) : 80);
	view.setUint32(at + 4, near(tcb.rcvNxt, rng.below(2) === 0 ? 3 : 70_000));
	view.setUint32(at + 8, near(tcb.sndNxt, rng.below(2) === 0 ? 2 : 70_000));
	// Resets at exactly the next octet are right ones: rarer than chance would have them.
	const flags = rng.below(4) === 0 ? rng.below(256) : tcp.ACK;
	view.setUint16(at + 12, ((header >> 2) << 12) | flags);
	view.setUint16(at + 14, rng.below(65_536));
	writeOptions(rng, view, at + tcp.MIN_OCTETS, options, tcb.tsRecent);
	for (let i = at + header; i < data.length; i++) data[i] = i & 0xff;
	for (let n = rng.below(3); n > 0; n--) data[ip + rng.below(ipv4.MIN_OCTETS + header)] = rng.below(256);
	if (rng.below(10) !== 0) mend(view, ip, data.length);
	return rng.below(25) === 0 ? data.subarray(0, rng.below(data.length + 1)) : data;
}

/** Kinds and lengths that exist, and some that do not. */
function writeOptions(rng: Rng, view: DataView, from: number, octets: number, tsRecent: number): void {
	const end = from + octets;
	for (let at = from; at < end;) {
		const kind = [0, 1, 1, 2, 3, 4, 5, 8, 8, 30, 255][rng.below(11)] ?? 1;
		view.setUint8(at, kind);
		if (kind < 2) {
			at++;
			continue;
		}
		const length = rng.below(5) === 0 ? rng.below(256) : ([0, 0, 4, 3, 2, 10, 0, 0, 10][kind] ?? 6);
		if (at + 1 < end) view.setUint8(at + 1, length);
		for (let i = at + 2; i < Math.min(end, at + length); i++) view.setUint8(i, rng.below(256));
		if (kind === 8 && at + 6 <= end) view.setUint32(at + 2, (tsRecent + rng.below(2000) - 500) >>> 0);
		at += Math.max(2, length);
	}
}

function mend(view: DataView, ip: number, length: number): void {
	const header = (view.getUint8(ip) & 15) * 4;
	const octets = Math.min(view.getUint16(ip + 2), length - ip) - header;
	if (header < ipv4.MIN_OCTETS || octets < tcp.MIN_OCTETS || ip + header > length) return;
	ipv4.writeChecksum(view, ip);
	view.setUint16(ip + header + 16, 0);
	const seed = checksum.pseudoHeader4(ipv4.source(view, ip), ipv4.destination(view, ip), 6, octets);
	view.setUint16(ip + header + 16, ~checksum.fold(checksum.sum(view, ip + header, octets, seed)) & 0xffff);
}
