/**
 * What the recorded machine chose at random, by field name: the one list. Everything else must be equal.
 *
 * - `identification`: whether it is zero; how far it goes on from one segment of a connection's direction to the next,
 *   which is one each; that fragments of one packet have the same.
 * - `same-mapping`: values may differ, but the same recorded value must always meet the same emulated one, and
 *   different ones different ones, through the whole scenario.
 * - `validity`: of checksums, whether they are right, and whether they are absent (zero).
 * - `time-of-day`: may differ, but must be one: seconds and microseconds.
 * - `same-offset`: counted from a start drawn at random: the difference between emulated and recorded value is the
 *   same for all of one direction of one connection; a recorded 0 stays 0.
 * - `same-clock`: the same for a clock in milliseconds, as far apart as frames may be in time.
 * - `elapsed`: time since something, in 1/256 s: as far apart as frames may be in time.
 */
export type Normalisation =
	"identification" | "same-mapping" | "validity" | "time-of-day" | "same-offset" | "same-clock" | "elapsed";

/**
 * Ports from the first to the last are drawn by the kernel (`net.ipv4.ip_local_port_range`). Whether one of TCP's is even
 * is compared: connections begin with even ones.
 */
export const FIRST_EPHEMERAL_PORT = 32_768;
export const LAST_EPHEMERAL_PORT = 60_999;

export const NORMALISED: Readonly<Record<string, { readonly as: Normalisation; readonly why: string }>> = {
	"ipv4.ident": {
		as: "identification",
		why: "a connection's begins at random, one of hosts goes on by a random number of steps",
	},
	"ipv4.checksum": { as: "validity", why: "depends on the identification" },
	"icmp.checksum": { as: "validity", why: "depends on id and time of day" },
	"icmp.id": { as: "same-mapping", why: "a port or process id of ping" },
	"icmp.timestamp": { as: "time-of-day", why: "ping writes the time of day" },
	"udp.checksum": { as: "validity", why: "depends on ports and inner random fields" },
	"tcp.checksum": { as: "validity", why: "depends on ports and sequence numbers" },
	"tcp.sequence": { as: "same-offset", why: "the initial sequence number is drawn at random" },
	"tcp.acknowledgment": { as: "same-offset", why: "counted from the other side's initial sequence number" },
	"tcp.sackEdge": { as: "same-offset", why: "counted from the other side's initial sequence number" },
	"tcp.tsval": { as: "same-clock", why: "each connection's timestamps start at random" },
	"tcp.tsecr": { as: "same-clock", why: "the other side's timestamp" },
	"stp.messageAge": { as: "elapsed", why: "the recorded machine was late with some timers" },
	"dns.id": { as: "same-mapping", why: "drawn at random for each query" },
};

/** Fields that are compared through a mapping only when their recorded value was drawn by the kernel. */
export const EPHEMERAL_PORTS: ReadonlySet<string> = new Set([
	"udp.sourcePort",
	"udp.destinationPort",
	"tcp.sourcePort",
	"tcp.destinationPort",
]);
