import { milliseconds, type Nanoseconds, seconds } from "../../sim/index.ts";

/** `net.ipv4.tcp_…`: what this stack acts on of TCP's settings of a namespace. */
export interface TcpConf {
	/** SYNs sent again before a connect fails. */
	tcp_syn_retries: number;
	/** SYN,ACKs sent again before a request is forgotten. */
	tcp_synack_retries: number;
	/** Retransmissions, as time, before a connection fails. */
	tcp_retries2: number;
	/** The same for a connection that no program holds; 0 means 8. */
	tcp_orphan_retries: number;
	/** Seconds that FIN-WAIT-2 lasts without a program. */
	tcp_fin_timeout: number;
	/** Seconds of silence before keepalive asks, and between its questions. */
	tcp_keepalive_time: number;
	tcp_keepalive_intvl: number;
	/** Questions without an answer before the connection fails. */
	tcp_keepalive_probes: number;
	/** 0: the option is neither offered nor taken. */
	tcp_sack: number;
	tcp_timestamps: number;
	tcp_window_scaling: number;
	/** 1: a listener without room resets instead of letting the client repeat itself. */
	tcp_abort_on_overflow: number;
	/** Half-open connections of a listener, where there are no cookies. */
	tcp_max_syn_backlog: number;
	/** 0: SYNs beyond the backlog are dropped; 1: they are answered by cookies; 2: all are. */
	tcp_syncookies: number;
	/** 0: the congestion window outlives idle times. */
	tcp_slow_start_after_idle: number;
	/** Milliseconds between answers to segments out of the window. */
	tcp_invalid_ratelimit: number;
	/** 1: a reset does not end TIME-WAIT (RFC 1337). */
	tcp_rfc1337: number;
}

/** Settings of TCP that are no single number. */
export interface TcpChoices {
	/** Octets of memory of a socket's receive buffer: at least, at first, at most. */
	tcp_rmem: readonly [least: number, first: number, most: number];
	/** The same of its send buffer. */
	tcp_wmem: readonly [least: number, first: number, most: number];
	/** What connections use that say nothing. */
	tcp_congestion_control: "cubic" | "reno";
}

/** Linux's values (net/ipv4/tcp_ipv4.c `tcp_sk_init`, tcp.c `tcp_init`). */
export const TCP_CONF: Readonly<TcpConf & TcpChoices> = {
	tcp_syn_retries: 6,
	tcp_synack_retries: 5,
	tcp_retries2: 15,
	tcp_orphan_retries: 0,
	tcp_fin_timeout: 60,
	tcp_keepalive_time: 7200,
	tcp_keepalive_intvl: 75,
	tcp_keepalive_probes: 9,
	tcp_sack: 1,
	tcp_timestamps: 1,
	tcp_window_scaling: 1,
	tcp_abort_on_overflow: 0,
	tcp_max_syn_backlog: 512,
	tcp_syncookies: 1,
	tcp_slow_start_after_idle: 1,
	tcp_invalid_ratelimit: 500,
	tcp_rfc1337: 0,
	tcp_rmem: [4096, 131_072, 6_291_456],
	tcp_wmem: [4096, 16_384, 4_194_304],
	tcp_congestion_control: "cubic",
};

/** `net.core.<name>` that sockets ask. */
export interface CoreConf {
	/** Connections that may wait for `accept`, whatever a program asks for. */
	somaxconn: number;
}

/** Linux's values (net/core/net_namespace.c). */
export const CORE_CONF: Readonly<CoreConf> = { somaxconn: 4096 };

/** Answers to segments out of the window are this far apart. */
export const invalidSpacing = (conf: Readonly<TcpConf>): Nanoseconds =>
	milliseconds(conf.tcp_invalid_ratelimit);

/** When keepalive asks, unless the program says otherwise. */
export const keepAliveOf = (
	conf: Readonly<TcpConf>,
): { readonly idle: Nanoseconds; readonly interval: Nanoseconds; readonly probes: number } => ({
	idle: seconds(conf.tcp_keepalive_time),
	interval: seconds(conf.tcp_keepalive_intvl),
	probes: conf.tcp_keepalive_probes,
});
