import { milliseconds, type Nanoseconds, seconds } from "../../sim/index.ts";

/** Octets of data a segment carries when the other side says nothing (RFC 9293 §3.7.1). */
export const MSS_DEFAULT = 536;
/** `TCP_MIN_MSS`: less is not believed. */
export const MSS_LEAST = 88;
/** IPv4 and TCP headers without options. */
export const HEADERS = 40;
/** Timestamps with their padding. */
export const TIMESTAMP_OPTION = 12;
/** `TCP_INIT_CWND` (RFC 6928). */
export const INITIAL_WINDOW = 10;
/** `TCP_FASTRETRANS_THRESH`. */
export const DUPLICATES = 3;
/** `TCP_MAX_QUICKACKS`. */
export const QUICK_ACKS = 16;
/** Timers. */
export const RTO_MIN: Nanoseconds = milliseconds(200);
export const RTO_MAX: Nanoseconds = seconds(120);
/** `TCP_TIMEOUT_INIT`. */
export const RTO_FIRST: Nanoseconds = seconds(1);
/** `TCP_TIMEOUT_FALLBACK`: after a lost SYN and no timestamps. */
export const RTO_FALLBACK: Nanoseconds = seconds(3);
/** `TCP_ATO_MIN` and `TCP_DELACK_MIN`. */
export const DELAYED_MIN: Nanoseconds = milliseconds(40);
/** `TCP_DELACK_MAX`. */
export const DELAYED_MAX: Nanoseconds = milliseconds(200);
/** `TCP_TIMEWAIT_LEN`. */
export const TIME_WAIT: Nanoseconds = seconds(60);
/** `TCP_RESOURCE_PROBE_INTERVAL`. */
export const RESOURCE_PROBE: Nanoseconds = milliseconds(500);
/** `TCP_PAWS_24DAYS` and `TCP_PAWS_MSL`. */
export const PAWS_FORGETS: Nanoseconds = seconds(24 * 24 * 3600);
export const PAWS_MSL: Nanoseconds = seconds(60);
/** `SOCK_MIN_RCVBUF`, `SOCK_MIN_SNDBUF`. */
export const RECEIVE_BUFFER_LEAST = 2304;
export const SEND_BUFFER_LEAST = 4608;
/** What a packet buffer takes beside its octets: head and `struct sk_buff`. */
export const BUFFER_OVERHEAD = 1280;
/** `MAX_TCP_HEADER` and `struct skb_shared_info` beside a segment in the send buffer. */
export const SEGMENT_OVERHEAD = 640;
/** `tcp_comp_sack_delay_ns` and `tcp_comp_sack_nr`. */
export const COMPRESS_DELAY: Nanoseconds = milliseconds(1);
export const COMPRESS_MOST = 44;
/** `tcp_max_reordering`. */
export const REORDERING_MOST = 300;
