/** `net.ipv4.<name>`: what this stack acts on of the settings of a whole namespace. */
export interface Ipv4Conf {
	/** TTL of packets that name none. */
	readonly ip_default_ttl: number;
	/** 1: no echo request is answered. */
	readonly icmp_echo_ignore_all: number;
	/** 1: none to a broadcast address or group is. */
	readonly icmp_echo_ignore_broadcasts: number;
	/** Milliseconds between limited errors to one host; 0 for no limit. */
	readonly icmp_ratelimit: number;
	/** The ICMP types that are limited, one bit each. */
	readonly icmp_ratemask: number;
	/** Octets of fragments that may wait; more, and new datagrams are refused. */
	readonly ipfrag_high_thresh: number;
	/** Seconds that a datagram waits for its fragments. */
	readonly ipfrag_time: number;
	/** Fragments of one source between two of a datagram, after which it is given up; 0 for any number. */
	readonly ipfrag_max_dist: number;
}

/** Linux's values (net/ipv4/af_inet.c, icmp.c, ip_fragment.c). */
export const IPV4_CONF: Ipv4Conf = {
	ip_default_ttl: 64,
	icmp_echo_ignore_all: 0,
	icmp_echo_ignore_broadcasts: 1,
	icmp_ratelimit: 1000,
	icmp_ratemask: 6168,
	ipfrag_high_thresh: 4 * 1024 * 1024,
	ipfrag_time: 30,
	ipfrag_max_dist: 64,
};
