import type { Ip4 } from "../../addr/index.ts";
import { keyedHash } from "../../sim/index.ts";
import type { Kernel } from "../kernel.ts";
import type { TcpConf } from "./conf.ts";
import type { TcpListener } from "./listener.ts";
import { answer } from "./machine.ts";
import type { Beginning } from "./open.ts";
import type { Segment } from "./segment.ts";
import type { TcpSocket } from "./socket.ts";
import { SynCookies } from "./syn-cookies.ts";
import type { TcpTuning } from "./tcb.ts";

/** What tells connections apart: local address and port, remote address and port. */
export type Ends = readonly [local: Ip4, port: number, remote: Ip4, remotePort: number];

/** What handshakes that others begin need of the namespace's TCP. */
export interface PassiveOpener {
	readonly kernel: Kernel;
	/** `net.ipv4.tcp_…` as it is now. */
	settings(): Readonly<TcpConf>;
	/** A connection in the table. */
	make(tuning: TcpTuning, ends: Ends): TcpSocket;
	beginning(ends: Ends): Beginning;
}

/**
 * Handshakes that others began: requests, which are connections once the third segment came, and beyond the backlog
 * cookies, of which nothing is kept. Reference: net/ipv4/tcp_input.c `tcp_conn_request`, syncookies.c.
 */
export class PassiveOpens {
	readonly #opener: PassiveOpener;
	readonly #secret: number;
	readonly #requests = new Map<TcpSocket, TcpListener>();
	#cookies: SynCookies | undefined;

	constructor(opener: PassiveOpener, secret: number) {
		this.#opener = opener;
		this.#secret = secret;
	}

	/**
	 * A SYN for somebody who listens; `iss` is said when it takes the place of a connection in TIME-WAIT. Returns false
	 * when it finds no room.
	 */
	syn(listener: TcpListener, segment: Segment, ends: Ends, iss?: number): boolean {
		if (listener.full) return false;
		switch (this.#room(listener)) {
			case "none":
				return false;
			case "cookie":
				this.#sendCookie(listener, segment, ends);
				return true;
			case "request": {
				const socket = this.#begin(listener, ends);
				const beginning = this.#opener.beginning(ends);
				answer(socket.tcb, iss === undefined ? beginning : { ...beginning, iss }, segment, this.#now);
				socket.apply();
				return true;
			}
		}
	}

	get #now(): number {
		return this.#opener.kernel.world.scheduler.now;
	}

	/** What there is room for. */
	#room({ requests, backlog }: TcpListener): "request" | "cookie" | "none" {
		const { tcp_syncookies: cookies, tcp_max_syn_backlog: most } = this.#opener.settings();
		if (cookies === 2) return "cookie";
		if (requests >= backlog) return cookies === 0 ? "none" : "cookie";
		return cookies === 0 && most - requests < most >> 2 ? "none" : "request";
	}

	#begin(listener: TcpListener, ends: Ends): TcpSocket {
		const socket = this.#opener.make(listener.tuning, ends);
		this.#requests.set(socket, listener);
		listener.requests++;
		return socket;
	}

	/** Answers a SYN and forgets it: what has to be known comes back with the third segment. */
	#sendCookie(listener: TcpListener, segment: Segment, ends: Ends): void {
		const [local, port, remote, remotePort] = ends;
		const cookies = (this.#cookies ??= new SynCookies(this.#secret));
		if (listener.warnsOfFlood()) {
			this.#opener.kernel.log.say(
				`TCP: request_sock_TCP: Possible SYN flooding on port ${String(port)}. Sending cookies.  Check SNMP counters.`,
			);
		}
		if (!segment.timestamps) [segment.windowScale, segment.sackPermitted] = [-1, false];
		const iss = cookies.sequence(segment, remote, local, (port << 16) | remotePort, this.#now);
		const socket = this.#opener.make(listener.tuning, ends);
		const timestampOffset = this.#cookieOffset(ends);
		const beginning = { ...this.#opener.beginning(ends), iss, timestampOffset };
		const said = answer(socket.tcb, beginning, segment, this.#now).segment(0);
		if (segment.timestamps) {
			const marked = cookies.timestamp(segment, (said.tsval - timestampOffset) | 0);
			said.tsval = (marked + timestampOffset) | 0;
		}
		socket.apply();
		socket.forget();
	}

	/** Timestamps of cookies start where the four parts of the connection say: nothing else is remembered. */
	#cookieOffset([local, port, remote, remotePort]: Ends): number {
		return keyedHash(this.#secret, 1, remote, local, (port << 16) | remotePort) | 0;
	}

	/** A third segment that no request waits for may bring a cookie (`cookie_v4_check`). */
	thirdSegment(listener: TcpListener, segment: Segment, ends: Ends): "connection" | "full" | "none" {
		const [local, port, remote, remotePort] = ends;
		const timestampOffset = this.#cookieOffset(ends);
		const ports = (port << 16) | remotePort;
		const syn = this.#cookies?.syn(segment, remote, local, ports, this.#now, timestampOffset);
		if (syn === undefined) return "none";
		if (listener.full) return "full";
		const socket = this.#begin(listener, ends);
		const iss = (segment.acknowledgment - 1) | 0;
		answer(socket.tcb, { ...this.#opener.beginning(ends), iss, timestampOffset }, syn, this.#now);
		// No round trip was measured.
		socket.tcb.retries = 1;
		socket.take(segment);
		return "connection";
	}

	/** Tells a request, before a segment for it, whether its listener has room for a connection. */
	prepare(socket: TcpSocket): void {
		socket.tcb.acceptQueueFull = this.#requests.get(socket)?.full === true;
	}

	/** A handshake is complete: a request's listener gets the connection. */
	connected(socket: TcpSocket): void {
		this.forget(socket)?.arrived(socket);
	}

	/** It is a request no more; returns whose it was. */
	forget(socket: TcpSocket): TcpListener | undefined {
		const listener = this.#requests.get(socket);
		if (listener === undefined) return undefined;
		this.#requests.delete(socket);
		listener.requests--;
		return listener;
	}

	/** Nobody listens any more: its requests end. */
	stopped(listener: TcpListener): void {
		for (const [request, owner] of [...this.#requests]) if (owner === listener) request.close();
	}
}
