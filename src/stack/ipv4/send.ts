import type { Ip4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { type Frame, ipv4 } from "../../wire/index.ts";
import type { Namespace } from "../namespace.ts";
import type { Route } from "../route.ts";
import { priorityOf } from "./priority.ts";

/**
 * `IP_MTU_DISCOVER`: `want` sets Don't Fragment on what fits and fragments the rest, `do` refuses what does
 * not fit, `dont` never sets it, `probe` sets it and ignores known path MTUs.
 */
export type MtuDiscovery = "want" | "do" | "dont" | "probe";

/** What a socket decides about the IPv4 headers of its packets. */
export interface IpSocket {
	/** 1 to 255. */
	ttl: number;
	/** The TOS octet. */
	tos: number;
	mtuDiscovery: MtuDiscovery;
	/** Identification of the next packet of a connected socket that refuses fragments, else undefined. */
	nextIdent(): number | undefined;
}

/**
 * Puts the IPv4 header in front of a transport message and sends it. Takes the frame, which starts at the
 * transport header. Returns the error the sender gets instead of an exception, undefined when it went.
 * Reference: `ip_append_data`, `__ip_make_skb`, `ip_sk_ignore_df`.
 */
export function sendPacket(
	ns: Namespace,
	frame: Frame,
	route: Route,
	source: Ip4,
	destination: Ip4,
	protocol: number,
	socket: IpSocket,
): NetError | undefined {
	const octets = frame.end - frame.start + ipv4.MIN_OCTETS;
	const discovery = socket.mtuDiscovery;
	let mtu = discovery === "probe" ? (route.device?.mtu ?? 0) : ns.ipv4.mtuOf(route, destination);
	if (ns.ipsec !== null) {
		const verdict = ns.ipsec.judge(frame, route, source, destination, protocol, mtu);
		if (verdict.refusal !== undefined) {
			frame.release();
			const text = verdict.refusal === "EPERM" ? "Operation not permitted" : "No such process";
			return new NetError(verdict.refusal, text, {
				remedy: "An IPsec policy is in the way: ip xfrm policy.",
			});
		}
		mtu = verdict.mtu;
	}
	const fits = octets <= mtu;
	const refuses = discovery === "do" || discovery === "probe";
	if (!fits && refuses) {
		frame.release();
		return new NetError("EMSGSIZE", `message too long, mtu=${String(mtu)}`, { context: { octets, mtu } });
	}
	const dontFragment = refuses || (discovery === "want" && fits);
	// A packet that will never be fragmented needs no identification; Linux gives connected sockets a counter.
	const ident = refuses ? (socket.nextIdent() ?? 0) : ns.kernel.nextIdent(source, destination, protocol);
	frame.priority = priorityOf(socket.tos);
	frame.push(ipv4.MIN_OCTETS);
	const fragmentField = dontFragment ? ipv4.DONT_FRAGMENT : 0;
	ipv4.writePlain(
		frame.view,
		frame.start,
		octets,
		socket.tos,
		ident,
		fragmentField,
		socket.ttl,
		protocol,
		source,
		destination,
	);
	return ns.ipv4.output(frame, route) ? undefined : new NetError("EPERM", "Operation not permitted");
}
