import { milliseconds } from "../../sim/index.ts";
import { type Congestion, increase, isCwndLimited, slowStart } from "./congestion.ts";
import { after } from "./sequence.ts";
import type { Tcb } from "./tcb.ts";

/** What a loss leaves, and fast convergence: parts of 1024. */
const BETA = 717;
const SCALE = 1024;
/** C = 0.4 in `cube_rtt_scale`: 41 * 10, at time units of 1/1024 s. */
const RTT_SCALE = 410;
const FACTOR = 2 ** 40 / RTT_SCALE;
/** (8 * (1024 + 717) / 3) / (1024 - 717): slope of the Reno-friendly window. */
const FRIENDLY = Math.floor(Math.floor((8 * (SCALE + BETA)) / 3) / (SCALE - BETA));
/** HyStart: below this window slow start is not left (`hystart_low_window`). */
const LOW_WINDOW = 16;
const ACK_DELTA = milliseconds(2);
const MIN_SAMPLES = 8;
const DELAY_MIN = 4000;
const DELAY_MAX = 16_000;
/** HZ of the jiffies in which time is counted. */
const HZ = 250;
const TICK = 1e9 / HZ;

/**
 * CUBIC (RFC 9438) with HyStart (RFC 9406's forerunner), as Linux has it: net/ipv4/tcp_cubic.c. The window follows
 * C(t - K)^3 + W_max since the last loss, and is never less than what Reno would have.
 */
export class Cubic implements Congestion {
	readonly name = "cubic";
	#count = 0;
	#lastMax = 0;
	#lastCwnd = 0;
	#lastTime = -1;
	#origin = 0;
	#k = 0;
	/** Shortest round trip in microseconds, 0 while unknown. */
	#delayMin = 0;
	#epoch = -1;
	#ackCount = 0;
	#tcpCwnd = 0;
	#found = false;
	#roundStart = 0;
	#lastAck = 0;
	#endSeq = 0;
	#currentRtt = Infinity;
	#samples = 0;

	reset(): void {
		this.#count = 0;
		this.#lastMax = 0;
		this.#lastCwnd = 0;
		this.#lastTime = -1;
		this.#origin = 0;
		this.#k = 0;
		this.#delayMin = 0;
		this.#epoch = -1;
		this.#ackCount = 0;
		this.#tcpCwnd = 0;
		this.#found = false;
	}

	/** An idle time does not count as time since the loss (`cubictcp_cwnd_event`). */
	restarted(tcb: Tcb, idle: number): void {
		if (this.#epoch >= 0 && idle > 0) this.#epoch = Math.min(tcb.now, this.#epoch + idle);
	}

	ssthresh(tcb: Tcb): number {
		this.#epoch = -1;
		const { cwnd } = tcb;
		this.#lastMax = cwnd < this.#lastMax ? Math.floor((cwnd * (SCALE + BETA)) / (2 * SCALE)) : cwnd;
		return Math.max(Math.floor((cwnd * BETA) / SCALE), 2);
	}

	avoid(tcb: Tcb, _: number, acked: number): void {
		if (!isCwndLimited(tcb)) return;
		let left = acked;
		if (tcb.cwnd < tcb.ssthresh) {
			left = slowStart(tcb, acked);
			if (left === 0) return;
		}
		this.#update(tcb, left);
		increase(tcb, this.#count, left);
	}

	#update(tcb: Tcb, acked: number): void {
		const { cwnd, now } = tcb;
		this.#ackCount += acked;
		if (this.#lastCwnd === cwnd && this.#lastTime >= 0 && now - this.#lastTime <= 1e9 / 32) return;
		// The curve is computed at most once in a jiffy; the Reno window goes on.
		const sameTick = this.#epoch >= 0 && Math.floor(now / TICK) === Math.floor(this.#lastTime / TICK);
		if (!sameTick) {
			this.#lastCwnd = cwnd;
			this.#lastTime = now;
			this.#curve(cwnd, acked, now);
		}
		// What Reno would have by now: never less.
		const delta = Math.floor((cwnd * FRIENDLY) / 8);
		while (this.#ackCount > delta && delta > 0) {
			this.#ackCount -= delta;
			this.#tcpCwnd++;
		}
		if (this.#tcpCwnd > cwnd) this.#count = Math.min(this.#count, Math.floor(cwnd / (this.#tcpCwnd - cwnd)));
		this.#count = Math.max(this.#count, 2);
	}

	#curve(cwnd: number, acked: number, now: number): void {
		if (this.#epoch < 0) {
			this.#epoch = now;
			this.#ackCount = acked;
			this.#tcpCwnd = cwnd;
			if (this.#lastMax <= cwnd) {
				this.#k = 0;
				this.#origin = cwnd;
			} else {
				this.#k = Math.floor(Math.cbrt(FACTOR * (this.#lastMax - cwnd)));
				this.#origin = this.#lastMax;
			}
		}
		// Units of 1/1024 s, one shortest round trip ahead.
		const t = Math.floor(((now - this.#epoch) / 1e9 + this.#delayMin / 1e6) * 1024);
		const off = Math.abs(t - this.#k);
		const delta = Math.floor((RTT_SCALE * off * off * off) / 2 ** 40);
		const target = t < this.#k ? this.#origin - delta : this.#origin + delta;
		this.#count = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : 100 * cwnd;
		// Before the first loss the window doubles no slower than in 20 round trips.
		if (this.#lastMax === 0 && this.#count > 20) this.#count = 20;
	}

	sampled(tcb: Tcb, rtt: number): void {
		// The time after a loss says nothing about the way.
		if (this.#epoch >= 0 && tcb.now - this.#epoch < 1e9) return;
		const delay = Math.max(1, rtt);
		if (this.#delayMin === 0 || this.#delayMin > delay) this.#delayMin = delay;
		if (!this.#found && tcb.cwnd < tcb.ssthresh && tcb.cwnd >= LOW_WINDOW) this.#hystart(tcb, delay);
	}

	#hystart(tcb: Tcb, delay: number): void {
		const { now } = tcb;
		if (after(tcb.sndUna, this.#endSeq) || this.#roundStart === 0) {
			this.#roundStart = now;
			this.#lastAck = now;
			this.#endSeq = tcb.sndNxt;
			this.#currentRtt = Infinity;
			this.#samples = 0;
		}
		// A train of acknowledgments as long as half the shortest round trip.
		if (now - this.#lastAck <= ACK_DELTA) {
			this.#lastAck = now;
			const threshold = this.#delayMin * 1000 + this.#ackDelay(tcb);
			if (now - this.#roundStart > threshold / 2) this.#leave(tcb);
		}
		// Round trips that grow.
		if (this.#currentRtt > delay) this.#currentRtt = delay;
		if (this.#samples < MIN_SAMPLES) this.#samples++;
		else {
			const most = Math.min(DELAY_MAX, Math.max(DELAY_MIN, this.#delayMin >>> 3));
			if (this.#currentRtt > this.#delayMin + most) this.#leave(tcb);
		}
	}

	/** What segmentation offload may have held acknowledgments back (`hystart_ack_delay`). */
	#ackDelay(tcb: Tcb): number {
		if (!Number.isFinite(tcb.pacingRate) || tcb.pacingRate === 0) return 0;
		return Math.min(1e6, (65_536 * 4 * 1e9) / tcb.pacingRate);
	}

	#leave(tcb: Tcb): void {
		this.#found = true;
		tcb.ssthresh = tcb.cwnd;
	}
}
