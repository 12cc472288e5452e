import { describe, expect, test } from "vitest";
import { icmpError, pathMtuChanged, programCloses, programShuts } from "../../src/stack/tcp/machine.ts";
import { Machine } from "../support/tcp-machine.ts";

const MS = 1e6;

describe("opening", () => {
	test("a SYN is answered by an acknowledgment (RFC 9293 §3.5)", () => {
		const m = new Machine();
		expect(m.open()).toEqual(["S seq 0"]);
		expect(m.hear({ flags: "SA", seq: 0, ack: 1, mss: 1460 })).toEqual(["A seq 1 ack 1"]);
		expect(m.tcb.state).toBe("established");
	});

	test("both open at once: SYN, then SYN,ACK, then established (RFC 9293 §3.5, figure 7)", () => {
		const m = new Machine();
		m.open();
		expect(m.hear({ flags: "S", seq: 0, mss: 1460 })).toEqual(["SA seq 0 ack 1"]);
		expect(m.tcb.state).toBe("syn-received");
		m.hear({ flags: "SA", seq: 0, ack: 1 });
		m.hear({ flags: "A", seq: 1, ack: 1 });
		expect(m.tcb.state).toBe("established");
	});

	test("an acknowledgment of something never sent is refused and the SYN stays (RFC 9293 §3.10.7.3)", () => {
		const m = new Machine();
		m.open();
		m.hear({ flags: "SA", seq: 0, ack: 77 });
		expect(m.effects.refuse).toBe(true);
		expect(m.tcb.state).toBe("syn-sent");
	});

	test("a reset of the SYN is a refused connection", () => {
		const m = new Machine();
		m.open();
		m.hear({ flags: "RA", seq: 0, ack: 1 });
		expect(m.tcb.error?.code).toBe("ECONNREFUSED");
	});

	test("a SYN is repeated six times, each time twice as late, then the connection times out", () => {
		const m = new Machine();
		m.open();
		const delays: number[] = [];
		for (let i = 0; i < 7 && m.tcb.state === "syn-sent"; i++) {
			delays.push(m.armed / 1000);
			m.timer(0, m.armed * MS);
		}
		expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64]);
		expect(m.tcb.error?.code).toBe("ETIMEDOUT");
	});

	test("a SYN,ACK is repeated five times", () => {
		const m = new Machine();
		expect(m.listen()).toEqual(["SA seq 0 ack 1"]);
		let repeated = 0;
		while (m.tcb.state === "syn-received") repeated += m.timer(0, m.armed * MS).length;
		expect(repeated).toBe(5);
	});

	test("without the MSS option 536 octets are sent (RFC 9293 §3.7.1)", () => {
		const m = new Machine().established({ mss: 0 });
		expect(m.write(2000)[0]).toBe("A seq 1 ack 1 len 536");
	});

	test("an ICMP error ends a handshake, but no connection (RFC 1122 §4.2.3.9)", () => {
		const error = { code: "EHOSTUNREACH", text: "No route to host", fatal: false };
		const opening = new Machine();
		opening.open();
		icmpError(opening.tcb, error, opening.now);
		expect(opening.tcb.error?.code).toBe("EHOSTUNREACH");
		const open = new Machine().established();
		icmpError(open.tcb, error, open.now);
		expect(open.tcb.error).toBeUndefined();
	});
});

describe("acceptance", () => {
	test("a reset counts only at the very next octet; elsewhere in the window it is asked about (RFC 5961 §3)", () => {
		const m = new Machine().established();
		expect(m.hear({ flags: "R", seq: 2 })).toEqual(["A seq 1 ack 1"]);
		expect(m.tcb.state).toBe("established");
		m.hear({ flags: "R", seq: 1 });
		expect(m.tcb.error?.code).toBe("ECONNRESET");
	});

	test("a SYN inside of a connection is asked about, twice a second at most (RFC 5961 §4, §7)", () => {
		const m = new Machine().established();
		expect(m.hear({ flags: "S", seq: 10 })).toHaveLength(1);
		expect(m.hear({ flags: "S", seq: 10 })).toHaveLength(0);
		expect(m.wait(501).hear({ flags: "S", seq: 10 })).toHaveLength(1);
	});

	test("a timestamp older than the last makes a segment a duplicate (RFC 7323 §5)", () => {
		const m = new Machine().established({ ts: [1000, 1] });
		m.hear({ flags: "PA", seq: 1, ack: 1, data: 10, ts: [1010, 1] });
		m.hear({ flags: "PA", seq: 11, ack: 1, data: 10, ts: [900, 1] });
		expect(m.tcb.readable).toBe(10);
	});

	test("an acknowledgment of what was never sent is ignored", () => {
		const m = new Machine().established();
		m.hear({ flags: "PA", seq: 1, ack: 50_000, data: 10 });
		expect(m.tcb.readable).toBe(0);
	});
});

describe("acknowledging", () => {
	test("the first data is acknowledged segment by segment; later every second one, or after 40 ms", () => {
		const m = new Machine().established();
		let seq = 1;
		for (let i = 0; i < 16; i++, seq += 1460) {
			expect(m.hear({ flags: "A", seq, ack: 1, data: 1460 })).toHaveLength(1);
			m.read();
		}
		// Growth of the window asks for quick ones again, as in Linux, until it has grown.
		m.tcb.quick = 0;
		m.tcb.rcvSsthresh = m.tcb.windowClamp;
		expect(m.hear({ flags: "A", seq, ack: 1, data: 1460 })).toHaveLength(0);
		expect((m.effects.timers[1] ?? 0) / MS).toBe(40);
		m.read();
		expect(m.hear({ flags: "A", seq: seq + 1460, ack: 1, data: 1460 })).toHaveLength(1);
	});

	test("what comes out of order is acknowledged at once, with the block it makes (RFC 2018 §4)", () => {
		const m = new Machine().established();
		expect(m.hear({ flags: "A", seq: 1001, ack: 1, data: 1000 })).toEqual(["A seq 1 ack 1 sack 1001-2001"]);
		expect(m.hear({ flags: "A", seq: 3001, ack: 1, data: 1000 })).toEqual([
			"A seq 1 ack 1 sack 3001-4001 1001-2001",
		]);
		expect(m.hear({ flags: "A", seq: 1, ack: 1, data: 1000 })).toEqual(["A seq 1 ack 2001 sack 3001-4001"]);
	});

	test("what came twice is reported (RFC 2883)", () => {
		const m = new Machine().established();
		m.hear({ flags: "A", seq: 1, ack: 1, data: 1000 });
		expect(m.hear({ flags: "A", seq: 1, ack: 1, data: 500 })).toEqual(["A seq 1 ack 1001 sack 1-501"]);
	});

	test("a window that was offered is not taken back (RFC 9293 §3.8.6.2.2)", () => {
		const m = new Machine({ receiveBuffer: 8192 }).established();
		let edge = 0;
		for (let seq = 1; seq < 7000; seq += 1000) {
			m.hear({ flags: "PA", seq, ack: 1, data: 1000 });
			const right = m.tcb.rcvNxt + m.tcb.offeredWindow;
			expect(right).toBeGreaterThanOrEqual(edge);
			edge = right;
		}
	});
});

describe("sending", () => {
	test("ten segments at first (RFC 6928)", () => {
		expect(new Machine().established().write(100_000)).toHaveLength(10);
	});

	test("small segments wait while one is on its way, unless told not to (RFC 9293 §3.7.4)", () => {
		const nagle = new Machine().established();
		expect(nagle.write(10)).toHaveLength(1);
		expect(nagle.write(10)).toHaveLength(0);
		expect(nagle.hear({ flags: "A", seq: 1, ack: 11 })).toEqual(["AP seq 11 ack 1 len 10"]);
		const noDelay = new Machine({ noDelay: true }).established();
		expect([noDelay.write(10), noDelay.write(10)].flat()).toHaveLength(2);
	});

	test("nothing goes beyond the window; a closed one is probed an octet below, doubling (RFC 9293 §3.8.6.1)", () => {
		const m = new Machine().established({ window: 3000 });
		m.hear({ flags: "A", seq: 1, ack: 1, window: 0 });
		m.tcb.sndWnd = 0;
		expect(m.write(100)).toEqual([]);
		const first = m.armed;
		expect(m.timer(0, first * MS)).toEqual(["A seq 0 ack 1"]);
		expect(m.armed).toBe(2 * first);
		expect(m.timer(0, m.armed * MS)).toEqual(["A seq 0 ack 1"]);
		expect(m.armed).toBe(4 * first);
		expect(m.hear({ flags: "A", seq: 1, ack: 1, window: 512 })).toEqual(["AP seq 1 ack 1 len 100"]);
	});

	test("the timeout is at least 200 ms above the round trip and doubles (RFC 6298 §5.5)", () => {
		const m = new Machine();
		m.open();
		m.wait(50).hear({ flags: "SA", seq: 0, ack: 1, mss: 1460, window: 65_535 });
		m.write(100);
		const first = m.armed;
		expect(first).toBe(252);
		expect(m.timer(0, first * MS)).toEqual(["AP seq 1 ack 1 len 100"]);
		expect(m.armed).toBe(2 * first);
	});

	test("a tail loss probe comes after two round trips (RFC 8985 §7)", () => {
		const m = new Machine();
		m.open();
		m.wait(50).hear({ flags: "SA", seq: 0, ack: 1, mss: 1460, sackOk: true, window: 65_535 });
		m.write(2920);
		expect(m.armed).toBe(108);
		expect(m.timer(0, m.armed * MS)).toEqual(["AP seq 1461 ack 1 len 1460"]);
	});

	test("what lies below three SACKed segments is sent again at once, and the window shrinks to 70 % (RFC 6675, 9438)", () => {
		const m = new Machine();
		m.open();
		m.wait(50).hear({ flags: "SA", seq: 0, ack: 1, mss: 1460, sackOk: true, scale: 7, window: 65_535 });
		m.write(20 * 1460);
		m.wait(50);
		m.hear({ flags: "A", seq: 1, ack: 1, sack: [[1461, 2921]] });
		m.hear({ flags: "A", seq: 1, ack: 1, sack: [[1461, 4381]] });
		expect(m.hear({ flags: "A", seq: 1, ack: 1, sack: [[1461, 5841]] })[0]).toBe("A seq 1 ack 1 len 1460");
		expect(m.tcb.caState).toBe("recovery");
		expect(m.tcb.ssthresh).toBe(7);
	});

	test("three duplicates without SACK do the same (RFC 5681 §3.2)", () => {
		const m = new Machine({ congestion: "reno" });
		m.open();
		m.wait(50).hear({ flags: "SA", seq: 0, ack: 1, mss: 1460, scale: 7, window: 65_535 });
		m.write(20 * 1460);
		m.wait(50).hear({ flags: "A", seq: 1, ack: 1461 });
		const dup = { flags: "A", seq: 1, ack: 1461 };
		m.hear(dup);
		m.hear(dup);
		expect(m.hear(dup)[0]).toContain("seq 1461 ack 1 len 1460");
		expect(m.tcb.caState).toBe("recovery");
	});

	test("a path that takes less gets shorter segments, and the window stays (RFC 1191)", () => {
		const m = new Machine().established();
		m.write(10 * 1460);
		const { cwnd } = m.tcb;
		pathMtuChanged(m.tcb, 1000, m.now);
		expect(m.effects.segment(0).octets).toBe(960);
		expect(m.tcb.cwnd).toBe(cwnd);
	});
});

describe("closing", () => {
	test("half close: FIN-WAIT-2 still hears; the other side's FIN brings TIME-WAIT for a minute", () => {
		const m = new Machine().established();
		programShuts(m.tcb, m.now);
		expect(m.tcb.state).toBe("fin-wait-1");
		m.hear({ flags: "A", seq: 1, ack: 2 });
		expect(m.tcb.state).toBe("fin-wait-2");
		m.hear({ flags: "PA", seq: 1, ack: 2, data: 10 });
		expect(m.tcb.readable).toBe(10);
		m.hear({ flags: "FA", seq: 11, ack: 2 });
		expect(m.tcb.state).toBe("time-wait");
		expect((m.effects.timers[2] ?? 0) / 1e9).toBe(60);
		m.timer(2, 60e9);
		expect(m.tcb.state).toBe("closed");
	});

	test("both close at once: CLOSING, then TIME-WAIT (RFC 9293 §3.6, figure 13)", () => {
		const m = new Machine().established();
		programShuts(m.tcb, m.now);
		expect(m.hear({ flags: "FA", seq: 1, ack: 1 })).toEqual(["A seq 2 ack 2"]);
		expect(m.tcb.state).toBe("closing");
		m.hear({ flags: "A", seq: 2, ack: 2 });
		expect(m.tcb.state).toBe("time-wait");
	});

	test("the one that closes last needs no TIME-WAIT", () => {
		const m = new Machine().established();
		m.hear({ flags: "FA", seq: 1, ack: 1 });
		expect(m.tcb.state).toBe("close-wait");
		programShuts(m.tcb, m.now);
		expect(m.tcb.state).toBe("last-ack");
		m.hear({ flags: "A", seq: 2, ack: 2 });
		expect(m.tcb.state).toBe("closed");
	});

	test("unread data makes a close a reset (RFC 2525 §2.17)", () => {
		const m = new Machine().established();
		m.hear({ flags: "PA", seq: 1, ack: 1, data: 10 });
		programCloses(m.tcb, m.now, false);
		expect(m.effects.segment(0).flags & 4).toBe(4);
		expect(m.tcb.state).toBe("closed");
	});

	test("in TIME-WAIT a late FIN is acknowledged again, and a newer SYN takes the place", () => {
		const m = new Machine().established();
		programShuts(m.tcb, m.now);
		m.hear({ flags: "FA", seq: 1, ack: 2 });
		expect(m.wait(600).hear({ flags: "FA", seq: 1, ack: 2 })).toEqual(["A seq 2 ack 2"]);
		m.hear({ flags: "S", seq: 100 });
		expect(m.effects.reopen).toBe(true);
	});
});
