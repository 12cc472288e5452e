import type { Ip4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { type Instant, type Nanoseconds, Timer } from "../../sim/index.ts";
import type { IpSocket, MtuDiscovery } from "../ipv4/send.ts";
import type { Namespace } from "../namespace.ts";
import type { SocketFamily, SocketProgram } from "../socket-program.ts";
import type { Tcp } from "./connections.ts";
import { COMPRESSED_ACK, type Effects, LEAVE, STOP, type TimerIndex } from "./effects.ts";
import {
	icmpError,
	pathMtuChanged,
	programCloses,
	programReads,
	programShuts,
	programWrites,
	segmentArrived,
	setNoDelay,
	timerExpired,
} from "./machine.ts";
import type { Segment } from "./segment.ts";
import { sendSegment } from "./send-segment.ts";
import type { Tcb, TcpTuning } from "./tcb.ts";
import { hasRoom } from "./write.ts";

const NEVER = Infinity;

/** What `ss -ti` shows of a connection. */
export interface TcpInfo {
	readonly state: string;
	/** Octets of data a segment carries. */
	readonly mss: number;
	/** Segments. */
	readonly cwnd: number;
	readonly ssthresh: number;
	/** Milliseconds. */
	readonly rtt: number;
	readonly rto: number;
	readonly retransmitted: number;
	/** Octets that wait to be acknowledged, and to be read. */
	readonly sendQueue: number;
	readonly receiveQueue: number;
	readonly congestion: "cubic" | "reno";
}

/**
 * One TCP connection as programs hold it: calls that do not wait, and calls back when something changed. The thin
 * shell around the state machine: it has the clock, the timers and the way to the network, and decides nothing.
 *
 * A stream for programs that rather wait is `TcpStream`.
 */
export class TcpSocket implements IpSocket {
	readonly localAddress: Ip4;
	readonly localPort: number;
	readonly remoteAddress: Ip4;
	readonly remotePort: number;
	ttl = 64;
	tos = 0;
	/** `SO_LINGER`, in nanoseconds; undefined when closing is no matter of waiting. */
	linger: Nanoseconds | undefined;
	/** Who has it. */
	readonly program: SocketProgram | undefined;
	readonly family: SocketFamily;
	readonly mtuDiscovery: MtuDiscovery = "do";
	/** The handshake is complete. */
	onConnect: (() => void) | null = null;
	/** Data or the end of the stream can be read. */
	onReadable: (() => void) | null = null;
	/** There is room to write again. */
	onWritable: (() => void) | null = null;
	/** The connection is over: in good order, or with the error that ended it. Called once. */
	onClose: ((error: NetError | undefined) => void) | null = null;
	/** The next in the same slot of the table of connections. */
	next: TcpSocket | null = null;

	readonly #ns: Namespace;
	readonly #tcp: Tcp;
	readonly #tcb: Tcb;
	readonly #flowHash: number;
	#ident: number;
	#identBare = false;
	#closed = false;
	#confirm = false;
	readonly #deadlines: [Instant, Instant, Instant, Instant] = [NEVER, NEVER, NEVER, NEVER];
	#timers: (Timer | undefined)[] | undefined;

	constructor(
		ns: Namespace,
		owner: Tcp,
		tcb: Tcb,
		tuning: TcpTuning,
		local: readonly [Ip4, number],
		remote: readonly [Ip4, number],
	) {
		this.#ns = ns;
		this.#tcp = owner;
		this.#tcb = tcb;
		this.linger = tuning.linger;
		this.family = tuning.family ?? "inet";
		this.program = tuning.program;
		[this.localAddress, this.localPort] = local;
		[this.remoteAddress, this.remotePort] = remote;
		const { rng } = ns.kernel;
		this.#flowHash = rng.uint32() | 0 || 1;
		this.#ident = rng.below(0x1_0000);
	}

	// ── for programs ──────────────────────────────────────────────────────────────────────────────

	/** `established`, `time-wait` … as `ss` names them. */
	get state(): string {
		return this.#tcb.state === "time-wait" || this.#tcb.waitsForFin ? "time-wait" : this.#tcb.state;
	}

	/** True once the other side said that it sends no more, and everything was read. */
	get ended(): boolean {
		return (this.#tcb.finReceived || this.#tcb.state === "closed") && this.#tcb.readable === 0;
	}

	/** Octets that can be read now. */
	get readable(): number {
		return this.#tcb.readable;
	}

	/** Whether `write` would take anything. */
	get writable(): boolean {
		const { state } = this.#tcb;
		return (state === "established" || state === "close-wait") && hasRoom(this.#tcb);
	}

	/** Everything written was acknowledged. */
	get flushed(): boolean {
		return this.#tcb.sndUna === this.#tcb.writeSeq || this.#closed;
	}

	/** Why it failed, if it did. */
	get error(): NetError | undefined {
		const { error } = this.#tcb;
		return error === undefined ? undefined : new NetError(error.code, error.text, { context: this.#context });
	}

	get #context(): Record<string, unknown> {
		return { namespace: this.#ns.name, localPort: this.localPort, remotePort: this.remotePort };
	}

	/**
	 * Writes what there is room for and says how much that was; `onWritable` tells when there is more. With `more` only
	 * whole segments go, until something else is written (`MSG_MORE`). Throws `NetError`: EPIPE after the sending side was shut, ENOTCONN before the connection is there, or what ended it.
	 */
	write(data: Uint8Array, { more = false }: { readonly more?: boolean } = {}): number {
		this.#check("send");
		const taken = programWrites(this.#tcb, data, this.#now(), more);
		this.#apply(this.#tcb.effects);
		return taken;
	}

	#check(call: string): void {
		const { error, state, finQueued } = this.#tcb;
		if (error !== undefined)
			throw new NetError(error.code, `${call}: ${error.text}`, { context: this.#context });
		if (finQueued || state === "closed" || state === "time-wait")
			throw new NetError("EPIPE", `${call}: Broken pipe`, { context: this.#context });
		if (state === "syn-sent" || state === "syn-received") {
			throw new NetError("ENOTCONN", `${call}: Transport endpoint is not connected`, {
				context: this.#context,
			});
		}
	}

	/**
	 * Reads up to `most` octets that are there; empty when none are. The copy is the caller's; its `buffer` may be shared
	 * with other copies, as small Node `Buffer`s are.
	 */
	read(most: number = Infinity): Uint8Array<ArrayBuffer> {
		const data = programReads(this.#tcb, most, this.#now());
		this.#apply(this.#tcb.effects);
		return data;
	}

	/** Says that nothing more will be written: FIN behind what is (`shutdown(SHUT_WR)`). */
	shutdown(): void {
		programShuts(this.#tcb, this.#now());
		this.#apply(this.#tcb.effects);
	}

	/**
	 * Lets the connection go: what was written is still delivered, unread data is answered by a reset, and so is a
	 * `linger` of 0 (`close`).
	 */
	close(): void {
		programCloses(this.#tcb, this.#now(), this.linger === 0);
		this.#apply(this.#tcb.effects);
	}

	/** Ends it at once with a reset (`SO_LINGER` of 0 and `close`). */
	abort(): void {
		programCloses(this.#tcb, this.#now(), true);
		this.#apply(this.#tcb.effects);
	}

	/** `TCP_NODELAY`: small segments no longer wait for acknowledgments. */
	setNoDelay(): void {
		setNoDelay(this.#tcb, this.#now());
		this.#apply(this.#tcb.effects);
	}

	/** `ss -ti`. */
	get info(): TcpInfo {
		const tcb = this.#tcb;
		return {
			state: this.state,
			mss: tcb.mss,
			cwnd: tcb.cwnd,
			ssthresh: tcb.ssthresh,
			rtt: tcb.srtt / 8000,
			rto: tcb.rto / 1e6,
			retransmitted: tcb.totalRetrans,
			sendQueue: (tcb.writeSeq - tcb.sndUna) | 0,
			receiveQueue: tcb.readable,
			congestion: tcb.congestion.name,
		};
	}

	// ── for the stack ─────────────────────────────────────────────────────────────────────────────

	/** The machine's state of this connection; read by tests and tools, changed by nobody else. */
	get tcb(): Tcb {
		return this.#tcb;
	}

	nextIdent(): number | undefined {
		if (this.#identBare) return undefined;
		return (this.#ident = (this.#ident + 1) & 0xffff);
	}

	#now(): Instant {
		return this.#ns.kernel.world.scheduler.now;
	}

	/** A segment for this connection. Returns what is to be done with it beyond. */
	take(segment: Segment): "done" | "refuse" | "reopen" {
		const { effects } = this.#tcb;
		segmentArrived(this.#tcb, segment, this.#now());
		const verdict = effects.reopen ? "reopen" : effects.refuse ? "refuse" : "done";
		this.#apply(effects);
		return verdict;
	}

	/** An ICMP error about it; `mtu` is set when it says that packets are too long. */
	fail(error: { readonly code: string; readonly text: string; readonly fatal: boolean }): void {
		icmpError(this.#tcb, error, this.#now());
		this.#apply(this.#tcb.effects);
	}

	/** The path's MTU may have changed. */
	pathChanged(mtu: number): void {
		pathMtuChanged(this.#tcb, mtu, this.#now());
		this.#apply(this.#tcb.effects);
	}

	/** Arms a program's own timer by the kernel's clock. */
	wait(timer: Timer, delay: Nanoseconds): void {
		this.#ns.kernel.arm(timer, delay);
	}

	/** Carries out what a step asked for: segments first, then timers, then programs are told. */
	apply(): void {
		this.#apply(this.#tcb.effects);
	}

	#apply(effects: Effects): void {
		if (effects.confirm) this.#confirm = true;
		if (effects.count > 0) this.#send(effects);
		for (let i = 0; i < 4; i++) {
			const delay = effects.timers[i] as number;
			if (delay !== LEAVE) this.#arm(i as TimerIndex, delay);
		}
		const { readable, writable, connected, closed } = effects;
		if (effects.count > 0 && !closed) this.#checkMtu();
		if (!readable && !writable && !connected && !closed) return;
		if (closed) this.forget();
		if (connected) {
			this.#tcp.connected(this);
			this.onConnect?.();
		}
		if (readable) this.onReadable?.();
		if (writable) this.onWritable?.();
		if (closed) this.onClose?.(this.error);
	}

	#send(effects: Effects): void {
		const ns = this.#ns;
		const route = ns.route(this.remoteAddress);
		if (route?.device == null) return;
		if (this.#confirm) {
			this.#confirm = false;
			const inDevice = ns.inDevice(route.device);
			if (!route.device.noArp && inDevice !== undefined)
				ns.neighbours(inDevice).confirm(route.via !== 0 ? route.via : this.remoteAddress);
		}
		const ring = this.#tcb.sendRing;
		for (let i = 0; i < effects.count; i++) {
			const segment = effects.segment(i);
			this.#identBare = segment.bare;
			sendSegment(
				ns,
				segment,
				ring,
				route,
				this.localAddress,
				this.localPort,
				this.remoteAddress,
				this.remotePort,
				this,
				this.#flowHash,
			);
		}
	}

	/** The route may take longer or shorter packets than when it was last asked (`tcp_current_mss`). */
	#checkMtu(): void {
		const { ipv4 } = this.#ns;
		const route = this.#ns.route(this.remoteAddress);
		if (route?.device == null) return;
		const mtu = ipv4.mtuOf(route, this.remoteAddress);
		if (mtu !== this.#tcb.pathMtu && !this.#tcb.bare) this.pathChanged(mtu);
	}

	/** Timers are moved lazily: one that is due too early arms itself again when it fires. */
	#arm(index: TimerIndex, delay: number): void {
		if (delay === STOP) {
			this.#deadlines[index] = NEVER;
			return;
		}
		const { kernel } = this.#ns;
		const { scheduler } = kernel.world;
		const { now } = scheduler;
		const due = index === COMPRESSED_ACK ? now + delay : kernel.jiffies.expiry(now, delay);
		this.#deadlines[index] = due;
		const timers = (this.#timers ??= [undefined, undefined, undefined, undefined]);
		const timer = (timers[index] ??= new Timer(() => {
			this.#fired(index);
		}));
		if (timer.pending && timer.due <= due) return;
		timer.power = kernel.power;
		scheduler.atTick(due, timer);
	}

	#fired(index: TimerIndex): void {
		const due = this.#deadlines[index];
		if (due === NEVER) return;
		if (due > this.#now()) {
			const timer = this.#timers?.[index];
			if (timer !== undefined) this.#ns.kernel.world.scheduler.atTick(due, timer);
			return;
		}
		this.#deadlines[index] = NEVER;
		timerExpired(this.#tcb, index, this.#now());
		this.#apply(this.#tcb.effects);
	}

	/** It goes without a word: its namespace is no more. A program that still has it is told ECONNABORTED. */
	vanish(): void {
		if (this.#closed) return;
		this.forget();
		this.onClose?.(
			new NetError("ECONNABORTED", "Software caused connection abort", { context: this.#context }),
		);
	}

	/** Nothing is left: timers, memory, its place in the table. Nobody is told. */
	forget(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#deadlines.fill(NEVER);
		for (const timer of this.#timers ?? []) timer?.cancel();
		this.#timers = undefined;
		this.#tcp.remove(this);
	}
}
