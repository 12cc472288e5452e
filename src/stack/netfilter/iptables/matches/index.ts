import type { Match } from "../extension.ts";
import { AddrtypeMatch } from "./addrtype.ts";
import { LimitMatch, StatisticMatch } from "./chance.ts";
import { IcmpMatch } from "./icmp.ts";
import { PhysdevMatch } from "./physdev.ts";
import { MultiportMatch, SctpMatch, TcpMatch, UdpMatch } from "./ports.ts";
import { CommentMatch, IpvsMatch, LengthMatch, PolicyMatch } from "./small.ts";
import { MarkMatch, StateMatch } from "./state.ts";
import { U32Match } from "./u32.ts";

/** Every match that is known, by what stands after `-m`. */
export const MATCHES: ReadonlyMap<string, () => Match> = new Map<string, () => Match>([
	["addrtype", () => new AddrtypeMatch()],
	["comment", () => new CommentMatch()],
	["connmark", () => new MarkMatch("connmark")],
	["conntrack", () => new StateMatch("conntrack")],
	["icmp", () => new IcmpMatch()],
	["ipvs", () => new IpvsMatch()],
	["length", () => new LengthMatch()],
	["limit", () => new LimitMatch()],
	["mark", () => new MarkMatch("mark")],
	["multiport", () => new MultiportMatch()],
	["physdev", () => new PhysdevMatch()],
	["policy", () => new PolicyMatch()],
	["sctp", () => new SctpMatch()],
	["state", () => new StateMatch("state")],
	["statistic", () => new StatisticMatch()],
	["tcp", () => new TcpMatch()],
	["u32", () => new U32Match()],
	["udp", () => new UdpMatch()],
]);
