import { NetError } from "../../../errors.ts";
import { type Duration, type Jiffies, parseDuration, seconds } from "../../../sim/index.ts";

/** What `ip link set … type bridge mcast_…` changes. */
export interface McastSettings {
	/** The bridge reads membership reports and sends groups to their members alone (`mcast_snooping`, on). */
	readonly mcastSnooping?: boolean;
	/** The bridge asks who is in which group, unless somebody else does (`mcast_querier`, off). */
	readonly mcastQuerier?: boolean;
	/** Its queries come from an address of the bridge, and not from 0.0.0.0 (`mcast_query_use_ifaddr`, off). */
	readonly mcastQueryUseIfaddr?: boolean;
	/** Whether the host itself routes groups: 0 never, 1 while it asks for members, 2 always (`mcast_router`, 1). */
	readonly mcastRouter?: 0 | 1 | 2;
	/** Of its queries (`mcast_igmp_version`, 2). */
	readonly mcastIgmpVersion?: 2 | 3;
	/** Groups the bridge remembers; with one more it stops snooping (`mcast_hash_max`, 4096). */
	readonly mcastHashMax?: number;
	/** Questions after a leave before a group is forgotten (`mcast_last_member_count`, 2). */
	readonly mcastLastMemberCount?: number;
	/** Queries at the quicker pace of the beginning (`mcast_startup_query_count`, 2). */
	readonly mcastStartupQueryCount?: number;
	/** Time to answer after a leave (`mcast_last_member_interval`, 1 s). */
	readonly mcastLastMemberInterval?: Duration;
	/** How long a member is believed in without a report (`mcast_membership_interval`, 260 s). */
	readonly mcastMembershipInterval?: Duration;
	/** How long another querier is believed in (`mcast_querier_interval`, 255 s). */
	readonly mcastQuerierInterval?: Duration;
	/** Between two queries, a second at least (`mcast_query_interval`, 125 s). */
	readonly mcastQueryInterval?: Duration;
	/** Time to answer a query in (`mcast_query_response_interval`, 10 s). */
	readonly mcastQueryResponseInterval?: Duration;
	/** Between two queries at the beginning, a second at least (`mcast_startup_query_interval`, 31.25 s). */
	readonly mcastStartupQueryInterval?: Duration;
}

/** Least time between two queries (`BR_MULTICAST_QUERY_INTVL_MIN`). */
const LEAST_INTERVAL = seconds(1);

/** The settings with their defaults; times in ticks (`br_multicast_ctx_init`). */
export class McastConfig {
	snooping = true;
	querier = false;
	queryUseIfaddr = false;
	router: 0 | 1 | 2 = 1;
	igmpVersion: 2 | 3 = 2;
	hashMax = 4096;
	lastMemberCount = 2;
	startupQueryCount = 2;
	lastMemberInterval: number;
	membershipInterval: number;
	querierInterval: number;
	queryInterval: number;
	queryResponseInterval: number;
	startupQueryInterval: number;
	readonly #jiffies: Jiffies;

	constructor(jiffies: Jiffies) {
		this.#jiffies = jiffies;
		const ticks = (count: number): number => jiffies.ticks(seconds(count));
		this.lastMemberInterval = ticks(1);
		this.membershipInterval = ticks(260);
		this.querierInterval = ticks(255);
		this.queryInterval = ticks(125);
		this.queryResponseInterval = ticks(10);
		this.startupQueryInterval = Math.floor(this.queryInterval / 4);
	}

	/** Takes what was checked by `checkMcast`, but for what has effects of its own: snooping, querier, router. */
	take(settings: McastSettings): void {
		const time = (value: Duration | undefined, old: number, least = 0): number =>
			value === undefined ? old : this.#jiffies.ticks(Math.max(least, parseDuration(value, "time")));
		this.queryUseIfaddr = settings.mcastQueryUseIfaddr ?? this.queryUseIfaddr;
		this.igmpVersion = settings.mcastIgmpVersion ?? this.igmpVersion;
		this.hashMax = settings.mcastHashMax ?? this.hashMax;
		this.lastMemberCount = settings.mcastLastMemberCount ?? this.lastMemberCount;
		this.startupQueryCount = settings.mcastStartupQueryCount ?? this.startupQueryCount;
		this.lastMemberInterval = time(settings.mcastLastMemberInterval, this.lastMemberInterval);
		this.membershipInterval = time(settings.mcastMembershipInterval, this.membershipInterval);
		this.querierInterval = time(settings.mcastQuerierInterval, this.querierInterval);
		this.queryInterval = time(settings.mcastQueryInterval, this.queryInterval, LEAST_INTERVAL);
		this.queryResponseInterval = time(settings.mcastQueryResponseInterval, this.queryResponseInterval);
		this.startupQueryInterval = time(
			settings.mcastStartupQueryInterval,
			this.startupQueryInterval,
			LEAST_INTERVAL,
		);
	}
}

/** Throws `NetError` EINVAL, in iproute2's words, for what it or the kernel would refuse. */
export function checkMcast(place: string, settings: McastSettings): void {
	const refused = (what: string, value: unknown, text = "RTNETLINK answers: Invalid argument"): NetError =>
		new NetError("EINVAL", text, { context: { bridge: place, [what]: value } });
	const { mcastRouter, mcastIgmpVersion } = settings;
	if (mcastRouter !== undefined && ![0, 1, 2].includes(mcastRouter))
		throw refused("mcastRouter", mcastRouter);
	if (mcastIgmpVersion !== undefined && ![2, 3].includes(mcastIgmpVersion))
		throw refused("mcastIgmpVersion", mcastIgmpVersion);
	for (const [what, word] of [
		["mcastHashMax", "mcast_hash_max"],
		["mcastLastMemberCount", "mcast_last_member_count"],
		["mcastStartupQueryCount", "mcast_startup_query_count"],
	] as const) {
		const value = settings[what];
		if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff)) continue;
		throw refused(what, value, `Error: argument "${String(value)}" is wrong: invalid ${word}`);
	}
	for (const what of [
		"mcastLastMemberInterval",
		"mcastMembershipInterval",
		"mcastQuerierInterval",
		"mcastQueryInterval",
		"mcastQueryResponseInterval",
		"mcastStartupQueryInterval",
	] as const) {
		const value = settings[what];
		if (value !== undefined) parseDuration(value, what);
	}
}
