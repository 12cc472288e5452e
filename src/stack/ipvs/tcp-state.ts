import { tcp } from "../../wire/index.ts";

/** States of a TCP connection as IPVS sees it pass (`IP_VS_TCP_S_*`), in the order of the tables. */
export const TCP_STATES = [
	"NONE",
	"ESTABLISHED",
	"SYN_SENT",
	"SYN_RECV",
	"FIN_WAIT",
	"TIME_WAIT",
	"CLOSE",
	"CLOSE_WAIT",
	"LAST_ACK",
	"LISTEN",
	"SYNACK",
] as const;

/** Index of ESTABLISHED. */
export const ESTABLISHED = 1;
/** Index of FIN_WAIT. */
export const FIN_WAIT = 4;
/** Index of TIME_WAIT. */
export const TIME_WAIT = 5;
/** Index of CLOSE. */
export const CLOSE = 6;

/** Seconds an entry lives in each state (`tcp_timeouts`). */
export const TCP_TIMEOUTS: readonly number[] = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120];

/** States that count as active: the real server has work with them (`tcp_state_active_table`). */
export const isActive = (state: number): boolean => ACTIVE[state]!;
const ACTIVE = [false, true, true, true, false, false, false, false, false, false, true];

/** Which way a packet goes. `input-only` when the replies do not pass here (`-g`, `-i`). */
export type Direction = "input" | "output" | "input-only";

// Columns: NONE ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK.
const [no, es, ss, sr, fw, tw, cl, cw, la, li] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
const NEXT: Readonly<Record<Direction, readonly (readonly number[])[]>> = {
	input: [
		/* syn */ [sr, es, es, sr, sr, sr, sr, sr, sr, sr, sr],
		/* fin */ [cl, cw, ss, tw, tw, tw, cl, cw, la, li, tw],
		/* ack */ [es, es, ss, es, fw, tw, cl, cw, cl, li, es],
		/* rst */ [cl, cl, cl, sr, cl, cl, cl, cl, la, li, sr],
	],
	output: [
		/* syn */ [ss, es, ss, sr, ss, ss, ss, ss, ss, li, sr],
		/* fin */ [tw, fw, ss, tw, fw, tw, cl, tw, la, li, tw],
		/* ack */ [es, es, ss, es, fw, tw, cl, cw, la, es, es],
		/* rst */ [cl, cl, ss, cl, cl, tw, cl, cl, cl, cl, cl],
	],
	"input-only": [
		/* syn */ [sr, es, es, sr, sr, sr, sr, sr, sr, sr, sr],
		/* fin */ [cl, fw, ss, tw, fw, tw, cl, cw, la, li, tw],
		/* ack */ [es, es, ss, es, fw, tw, cl, cw, cl, li, es],
		/* rst */ [cl, cl, cl, sr, cl, cl, cl, cl, la, li, cl],
	],
};

/** The state after a segment with these flags (`set_tcp_state`). One without SYN, FIN, ACK, RST closes. */
export function nextTcpState(state: number, direction: Direction, flags: number): number {
	const row =
		(flags & tcp.RST) !== 0
			? 3
			: (flags & tcp.SYN) !== 0
				? 0
				: (flags & tcp.FIN) !== 0
					? 1
					: (flags & tcp.ACK) !== 0
						? 2
						: undefined;
	return row === undefined ? cl : (NEXT[direction][row]![state] ?? no);
}
