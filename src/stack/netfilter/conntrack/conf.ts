/** `net.netfilter.nf_conntrack_*`: counts, switches, and times in seconds, with the kernel's defaults. */
export interface ConntrackConf {
	/** Flows at most. */
	nf_conntrack_max: number;
	/** Counts packets and octets of flows. */
	nf_conntrack_acct: number;
	/** Judges checksums of packets that come in. */
	nf_conntrack_checksum: number;
	nf_conntrack_generic_timeout: number;
	nf_conntrack_icmp_timeout: number;
	nf_conntrack_udp_timeout: number;
	nf_conntrack_udp_timeout_stream: number;
	/** Takes segments outside the window for good. */
	nf_conntrack_tcp_be_liberal: number;
	/** Picks connections up in their middle. */
	nf_conntrack_tcp_loose: number;
	nf_conntrack_tcp_max_retrans: number;
	nf_conntrack_tcp_ignore_invalid_rst: number;
	nf_conntrack_tcp_timeout_syn_sent: number;
	nf_conntrack_tcp_timeout_syn_recv: number;
	nf_conntrack_tcp_timeout_established: number;
	nf_conntrack_tcp_timeout_fin_wait: number;
	nf_conntrack_tcp_timeout_close_wait: number;
	nf_conntrack_tcp_timeout_last_ack: number;
	nf_conntrack_tcp_timeout_time_wait: number;
	nf_conntrack_tcp_timeout_close: number;
	nf_conntrack_tcp_timeout_max_retrans: number;
	nf_conntrack_tcp_timeout_unacknowledged: number;
}

/** net/netfilter/nf_conntrack_standalone.c, nf_conntrack_proto_*.c. */
export const CONNTRACK_CONF: Readonly<ConntrackConf> = {
	nf_conntrack_max: 262_144,
	nf_conntrack_acct: 0,
	nf_conntrack_checksum: 1,
	nf_conntrack_generic_timeout: 600,
	nf_conntrack_icmp_timeout: 30,
	nf_conntrack_udp_timeout: 30,
	nf_conntrack_udp_timeout_stream: 120,
	nf_conntrack_tcp_be_liberal: 0,
	nf_conntrack_tcp_loose: 1,
	nf_conntrack_tcp_max_retrans: 3,
	nf_conntrack_tcp_ignore_invalid_rst: 0,
	nf_conntrack_tcp_timeout_syn_sent: 120,
	nf_conntrack_tcp_timeout_syn_recv: 60,
	nf_conntrack_tcp_timeout_established: 432_000,
	nf_conntrack_tcp_timeout_fin_wait: 120,
	nf_conntrack_tcp_timeout_close_wait: 60,
	nf_conntrack_tcp_timeout_last_ack: 30,
	nf_conntrack_tcp_timeout_time_wait: 120,
	nf_conntrack_tcp_timeout_close: 10,
	nf_conntrack_tcp_timeout_max_retrans: 300,
	nf_conntrack_tcp_timeout_unacknowledged: 300,
};
