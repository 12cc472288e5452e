/** `net.ipv4.vs.*` of a new namespace (`ip_vs_control_net_init_sysctl`), as Linux 6.1 has them. */
export const IPVS_SETTINGS = {
	am_droprate: 10,
	amemthresh: 1024,
	backup_only: 0,
	cache_bypass: 0,
	/** 0: a client port may be reused only when its connection has ended; 1: by a SYN in TIME_WAIT or CLOSE; 2 as well: FIN_WAIT. */
	conn_reuse_mode: 1,
	/** Connection tracking sees the packets too, so that a rule may SNAT them. */
	conntrack: 0,
	drop_entry: 0,
	drop_packet: 0,
	/** Connections to a removed real server end, instead of their packets being dropped. */
	expire_nodest_conn: 0,
	/** Clients do not stick to a real server of weight 0. */
	expire_quiescent_template: 0,
	ignore_tunneled: 0,
	nat_icmp_send: 0,
	/** Tunnels take Don't Fragment over from what they carry, and tell clients of their MTU. */
	pmtu_disc: 1,
	run_estimation: 1,
	/** ICMP errors may begin a connection. */
	schedule_icmp: 0,
	secure_tcp: 0,
	sloppy_sctp: 0,
	/** Any segment but RST may begin a connection. */
	sloppy_tcp: 0,
	snat_reroute: 1,
	sync_persist_mode: 0,
	sync_ports: 1,
	sync_refresh_period: 0,
	sync_retries: 0,
	sync_sock_size: 0,
	sync_version: 1,
};

/** `net.ipv4.vs.*`; each namespace has its own. */
export type IpvsSettings = typeof IPVS_SETTINGS;
