import { ANY_IP4, type Ip4, type Mac, multicastMacOf } from "../../../addr/index.ts";
import { ethernet, type Frame, type FramePool, igmp } from "../../../wire/index.ts";

/** How often members are to repeat their reports, as queries of version 3 say. */
const ROBUSTNESS = 2;
const NONE = new Uint8Array();

/** What a query says. */
export interface Query {
	readonly mac: Mac;
	readonly source: Ip4;
	/** 0 asks for all groups. */
	readonly group: Ip4;
	readonly version: 2 | 3;
	/** Tenths of a second to answer in. */
	readonly code: number;
	/** Seconds between two queries. */
	readonly interval: number;
}

/** The octets of a query as the bridge says it; the caller owns the frame (`br_ip4_multicast_alloc_query`). */
export function queryFrame(frames: FramePool, query: Query): Frame {
	const { group, version } = query;
	const message: igmp.Igmp = {
		type: igmp.QUERY,
		// The kernel writes the time as it is and lets what is too long run over.
		code: query.code & 0xff,
		group,
		...(version === 3 && { query3: { flags: ROBUSTNESS, qqic: query.interval & 0xff, sources: [] } }),
		data: NONE,
	};
	const octets = ethernet.OCTETS + igmp.packetOctets(message);
	const frame = frames.begin(octets);
	frame.end = frame.start + octets;
	const { view, start } = frame;
	// Queries about one group go to all hosts, too (RFC 3376 would send these to the group).
	const dst = multicastMacOf(igmp.ALL_HOSTS);
	ethernet.write(view, start, { dst, src: query.mac, type: ethernet.TYPE_IPV4 });
	igmp.writePacket(view, start + ethernet.OCTETS, query.source, igmp.ALL_HOSTS, message);
	frame.trusted = true;
	return frame;
}

/** What another querier asked. */
export interface HeardQuery {
	readonly source: Ip4;
	/** 0 for a general query. */
	readonly group: Ip4;
	/** Nanoseconds to answer in. */
	readonly delay: number;
}

const TENTH = 1e8;
const TEN_SECONDS = 100;

/** A query in a message of `octets` octets; undefined for one about sources, which says nothing about the group. */
export function readQuery(view: DataView, at: number, octets: number, source: Ip4): HeardQuery | undefined {
	const code = igmp.code(view, at);
	const group = igmp.group(view, at);
	if (octets === igmp.OCTETS) {
		// Version 1 has no time and no groups.
		return code === 0
			? { source, group: ANY_IP4, delay: TEN_SECONDS * TENTH }
			: { source, group, delay: code * TENTH };
	}
	if (igmp.sourceCount(view, at) > 0) return undefined;
	return { source, group, delay: igmp.duration(code) * TENTH };
}
