/**
 * Every way a packet can end other than by arriving. Named as Linux names it in `enum skb_drop_reason`
 * where it does (6.1 and later), in the field's words otherwise. The sentence is what `lab.explain` prints.
 */
export const DROPS = {
	// The bytes are not what they should be.
	"ethernet-truncated": "shorter than an Ethernet header",
	"llc-truncated": "802.3 length field or LLC header beyond the end of the frame",
	"vlan-truncated": "shorter than an 802.1Q tag",
	"stp-truncated": "shorter than the BPDU it announces",
	"stp-unsupported": "a BPDU of another version or type than 802.1D's",
	"dns-malformed": "a DNS message that ends too early, or with names beyond the limits of RFC 1035",
	"protobuf-malformed":
		"a protocol buffer that ends too early, or whose fields are of another type or beyond their range",
	"msgpack-malformed":
		"MessagePack that ends too early, or whose values are of another kind or beyond their range",
	"lzw-malformed": "compressed octets that end too early, or codes that mean nothing",
	"lzw-too-long": "compressed octets that become more than anybody may send",
	"memberlist-truncated": "gossip shorter than it announces",
	"memberlist-too-long": "gossip that announces more octets than anybody may send",
	"memberlist-unknown": "gossip of a type that nobody knows here",
	"memberlist-nested": "gossip wrapped in itself too often",
	"memberlist-crc": "the CRC of a gossip packet is wrong",
	"memberlist-encryption": "gossip encrypted in a version nobody knows, or where none is encrypted",
	"memberlist-no-key": "No installed keys could decrypt the message",
	"memberlist-clear": "Encryption is configured but remote state is not encrypted",
	"networkdb-unknown": "a message of networkdb of a type that nobody knows here",
	"tls-malformed": "octets that are no TLS record, or a hello that ends too early",
	"arp-truncated": "shorter than an ARP packet for Ethernet and IPv4",
	"arp-unsupported": "ARP for another hardware or protocol type, or an unknown operation",
	"ip-truncated": "shorter than the IPv4 header or than the total length it announces",
	"ip-version": "the version field is not 4",
	"ip-inhdr": "IPv4 header length field below 5 or a total length below the header",
	"ip-csum": "IPv4 header checksum is wrong",
	"ip-options": "malformed or refused IPv4 option",
	"ipv6-truncated": "shorter than the IPv6 header or than the payload length it announces",
	"icmp-truncated": "shorter than an ICMP header",
	"icmp-csum": "ICMP checksum is wrong",
	"igmp-truncated": "shorter than an IGMP message or than the sources and records it announces",
	"igmp-destination": "general query that was not sent to all hosts",
	"igmp-csum": "IGMP checksum is wrong",
	"udp-truncated": "shorter than a UDP header or than the length it announces",
	"udp-csum": "UDP checksum is wrong",
	"tcp-truncated": "shorter than a TCP header or than its data offset announces",
	"tcp-options": "malformed TCP options",
	"tcp-csum": "TCP checksum is wrong",
	"esp-truncated": "shorter than an ESP packet, or padding longer than its payload",
	"vxlan-truncated": "shorter than a VXLAN header and an inner Ethernet header",
	"vxlan-invalid-hdr": "VXLAN header without the I flag, or with flags the device does not know",
	"pkt-too-small": "too short for what its header announces",

	// A device refuses it.
	"dev-down": "the device is down",
	"no-carrier": "the device has no carrier: its peer is down or nothing is attached",
	"mtu-exceeded": "longer than the device may send",
	"rx-length": "longer than the receiving device accepts",
	"full-ring": "the queue of the cable or device is full",
	"qdisc-drop": "the queueing discipline is full, was emptied, or can never send a frame as long",
	"netem-loss": "lost in netem, as its options ask",
	"unicast-filter": "not for the MAC addresses this NIC accepts, and not promiscuous",
	"multicast-filter": "for a group that nobody joined on this NIC, and it does not accept all of them",
	"unhandled-proto": "no handler for this EtherType",
	otherhost: "addressed to another host's MAC",
	"dev-noarp": "ARP on a device that does not use it",
	"source-is-own-mac": "came back with the receiving device's own source address",
	"machine-paused": "came to a machine that stands still",
	partition: "sent by a machine on the other side of a partition of the network",
	"device-gone": "the device was deleted or moved while the frame was on its way",

	// Bridge and switch.
	"bridge-port-state": "the bridge port does not forward in its state",
	"bridge-hairpin": "would leave by the port it came in on",
	"bridge-isolated": "both ports are isolated",
	"bridge-no-flood": "unknown destination and no port floods it",
	"bridge-no-member": "multicast group with no member and no router behind another port",
	"bridge-mdb-full": "report of one more group than the bridge remembers, which ends its snooping",
	"bridge-link-local": "link-local group address, never forwarded by a bridge",
	"bridge-locked": "the port is locked and the source address is not in the table there",
	"bridge-no-port": "the bridge has no other port in forwarding state",
	"vlan-egress": "the port or bridge is not a member of this VLAN",
	"stp-ignored": "a BPDU that nothing here waits for: STP is off, or the port is disabled",
	"stp-guard": "a BPDU at a port with guard on; the port is disabled now",
	"vlan-ingress": "the port does not accept frames of this VLAN",
	"port-security":
		"the switch port knows as many addresses as it may, or the address is secured on another port",
	"mac-not-allowed":
		"the switch port takes frames from the addresses on its list only, and this source is none of them",
	"vlan-unknown": "no VLAN device for this tag",

	// ipvlan.
	"ipvlan-private": "for a sibling of an ipvlan in private mode",
	"ipvlan-group": "multicast or broadcast out of an ipvlan in l3 mode",

	// VXLAN.
	"vxlan-vni-not-found": "no VXLAN device of this VNI on this socket",
	"vxlan-no-remote": "no forwarding entry and no default destination for this MAC (l2miss)",
	"vxlan-arp-proxied": "an ARP request on a proxy VXLAN device ends here (l3miss when the target is unknown)",
	"vxlan-entry-exists": "source MAC is pinned to another VTEP by a permanent entry",
	"vxlan-loop": "the remote is this host itself and no device of that VNI is here",
	"tunnel-recursion": "the route to the remote leads back into the tunnel",

	// IPv4 and ARP.
	"ip-no-route": "no route to the destination",
	"ip-unreachable-route": "an unreachable, prohibit or blackhole route",
	"ip-martian-source": "a source address that may not come from this interface",
	"ip-rpfilter": "reverse path filter: the route back leaves by another interface",
	"ip-forwarding-off": "not for this host and forwarding is off",
	"ip-ttl-exceeded": "TTL ran out",
	"ip-frag-needed": "longer than the next MTU and Don't Fragment is set",
	"ip-nomcast": "multicast group that nobody joined here",
	"ip-broadcast": "broadcast that may not be routed or answered",
	"frag-timeout": "reassembly timed out",
	"frag-overlap": "fragments overlap",
	"frag-too-big": "fragments add up to more than 65,535 octets",
	"frag-memory": "reassembly memory is used up",
	"neigh-failed": "the neighbour did not answer",
	"neigh-queuefull": "too many packets wait for the neighbour's address",
	"neigh-dead": "the neighbour entry was removed while packets waited",
	"arp-not-for-us": "an ARP request for an address that is not ours and not proxied",
	"arp-ignored": "an ARP request that arp_ignore or the source address forbids to answer",
	"arp-proxy-queuefull": "too many ARP requests wait for their proxy answer",

	// IP virtual server.
	"ipvs-no-destination": "no real server of the virtual service takes a new connection",
	"ipvs-destination-gone": "the real server of its connection was removed",
	"ipvs-reused": "a SYN on a connection that is over: the next one begins a new connection",
	"ipvs-no-connection": "from a real server, but of no connection (nat_icmp_send)",

	// Netfilter.
	"iptables-drop": "a rule of iptables or the policy of a chain",
	"conntrack-full": "nf_conntrack: table full, dropping packet",
	"conntrack-clash": "the flow cannot be told from another one: the same addresses and ports",
	"conntrack-device": "its masquerading flow went out by another device before",
	"nat-redirect": "an ICMP redirect about a packet whose addresses were translated",

	// IPsec. The detail is the counter of /proc/net/xfrm_stat.
	"xfrm-policy": "an IPsec policy refuses it, or it did not come as one demands",
	"xfrm-no-state": "no IPsec state for its SPI, or for the template of its policy",
	"xfrm-state-invalid": "the IPsec state is over, or the packet came by too many of them",
	"xfrm-expired": "the IPsec state's octets or packets are used up",
	"xfrm-replay": "an ESP sequence number that came before or is too old, or none is left to send",
	"esp-icv": "ESP's integrity check value is wrong",
	"esp-too-long": "longer than 65,535 octets in ESP",

	// Above IP.
	"ip-noproto": "no handler for this IP protocol",
	"no-socket": "no socket on this port",
	"socket-backlog": "the listening socket's queue is full",
	"tcp-flags": "a segment with flags that make no sense in this state",
	"tcp-reset": "a segment that ended or found the end of its connection, answered by a reset",
	"socket-rcvbuff": "the socket's receive buffer is full",
	"icmp-unwanted": "an ICMP message nothing here waits for",
	"icmp-echo-ignored": "echo requests to broadcast addresses are ignored",
	"packet-socket-closed": "the socket was closed while the packet was on its way",
} as const;

/** Why a packet ended. A value, never an exception: it is counted on the device and emitted as an event. */
export type DropReason = keyof typeof DROPS;

/** Tells a drop reason from what `read` gives for a good header. */
export const isDrop = (result: unknown): result is DropReason => typeof result === "string";
