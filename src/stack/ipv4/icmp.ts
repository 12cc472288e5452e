import { ANY_IP4, BROADCAST_IP4, type Ip4, isLoopbackIp4, isMulticastIp4 } from "../../addr/index.ts";
import { milliseconds } from "../../sim/index.ts";
import { checksum, copyOctets, type Frame, icmp, ipv4 } from "../../wire/index.ts";
import { attach } from "../netfilter/conntrack/flow.ts";
import type { InDevice } from "../in-device.ts";
import type { Route } from "../route.ts";
import type { Ipv4 } from "./ipv4.ts";
import { echoOptions } from "./options.ts";
import { followRedirect } from "./follow-redirect.ts";

/** TOS of ICMP errors: internetwork control (RFC 1812 §4.3.2.5; `RT_TOS … | IPTOS_PREC_INTERNETCONTROL`). */
const CONTROL_TOS = 0xc0;
/** What an error keeps of the TOS of the packet it is about (`RT_TOS`). */
const TOS_BITS = 0x1e;
/** Longest ICMP error (RFC 1812 §4.3.2.3). */
const LONGEST_ERROR = 576;
const ICMP_PROTOCOL = 1;

/** An ICMP error about a packet of ours, as sockets see it. */
export interface IcmpError {
	readonly type: number;
	readonly code: number;
	/** The rest of the header: next-hop MTU or better gateway. */
	readonly info: number;
	/** Who sent it. */
	readonly from: Ip4;
	/** TTL with which it came. */
	readonly ttl: number;
	/** The quoted packet's source, destination, protocol. */
	readonly source: Ip4;
	readonly destination: Ip4;
	readonly protocol: number;
}

/**
 * ICMP of one namespace (RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3): answers echo requests, tells senders why
 * their packets ended, and hands what others tell to the sockets concerned. Reference: net/ipv4/icmp.c.
 */
export class Icmp {
	readonly #ipv4: Ipv4;

	constructor(owner: Ipv4) {
		this.#ipv4 = owner;
	}

	/** An ICMP packet for this host; the frame starts at its IPv4 header. Takes the frame. */
	receive(frame: Frame, inDevice: InDevice): void {
		const { view, start } = frame;
		const at = start + ipv4.headerOctets(view, start);
		const device = inDevice.device;
		if (frame.end - at < icmp.OCTETS) return device.dropIn(frame, "icmp-truncated");
		if (!frame.trusted && checksum.checksum(view, at, frame.end - at) !== 0)
			return device.dropIn(frame, "icmp-csum");
		switch (icmp.type(view, at)) {
			case icmp.ECHO_REQUEST:
				return this.#echo(frame, at, inDevice);
			case icmp.TIMESTAMP:
				return this.#timestamp(frame, at, inDevice);
			case icmp.ECHO_REPLY:
				if (!this.#ipv4.ns.pings.reply(frame, at)) return device.dropIn(frame, "icmp-unwanted");
				return frame.release();
			case icmp.UNREACHABLE:
			case icmp.SOURCE_QUENCH:
			case icmp.REDIRECT:
			case icmp.TIME_EXCEEDED:
			case icmp.PARAMETER_PROBLEM:
				return this.#error(frame, at, inDevice);
			default:
				return device.dropIn(frame, "icmp-unwanted");
		}
	}

	/** The request becomes the reply in place: addresses swapped, type 0, a header of its own. */
	#echo(frame: Frame, at: number, inDevice: InDevice): void {
		const { view, start } = frame;
		const to = ipv4.source(view, start);
		const asked = ipv4.destination(view, start);
		const own = this.#ipv4.ns.isOwnAddress(asked);
		const { icmp_echo_ignore_all: all, icmp_echo_ignore_broadcasts: broadcasts } = this.#ipv4.conf;
		if (all !== 0 || (!own && broadcasts !== 0)) return inDevice.device.dropIn(frame, "icmp-echo-ignored");
		const reply = this.#ipv4.ns.kernel.world.frames.begin(frame.end - at);
		reply.end = reply.start + frame.end - at;
		copyOctets(frame, at, reply, reply.start, frame.end - at);
		icmp.setType(reply.view, reply.start, icmp.ECHO_REPLY, 0);
		const tos = ipv4.tos(view, start);
		reply.trusted = true;
		// What was asked of everyone is answered with an own address.
		const from = own ? asked : this.#ipv4.ns.selectSource(inDevice, to, "link");
		const noted = this.#ipv4.optionsOf(frame);
		const options = noted === undefined ? undefined : echoOptions(this.#ipv4.ns, frame, noted, from);
		frame.release();
		this.#send(reply, from, to, tos, options);
	}

	/** RFC 792 timestamp reply: milliseconds since midnight UT. */
	#timestamp(frame: Frame, at: number, inDevice: InDevice): void {
		const { view, start } = frame;
		const asked = ipv4.destination(view, start);
		if (frame.end - at < icmp.TIMESTAMP_OCTETS || !this.#ipv4.ns.isOwnAddress(asked)) {
			return inDevice.device.dropIn(frame, "icmp-unwanted");
		}
		const kernel = this.#ipv4.ns.kernel;
		const reply = kernel.world.frames.begin(icmp.TIMESTAMP_OCTETS);
		reply.end = reply.start + icmp.TIMESTAMP_OCTETS;
		copyOctets(frame, at, reply, reply.start, icmp.TIMESTAMP_OCTETS);
		icmp.answerTimestamp(reply.view, reply.start, kernel.timeOfDay);
		const [to, tos] = [ipv4.source(view, start), ipv4.tos(view, start)];
		reply.trusted = true;
		frame.release();
		this.#send(reply, asked, to, tos);
	}

	/** Puts the IPv4 header in front of an ICMP message and sends it. Takes the frame. */
	#send(frame: Frame, source: Ip4, destination: Ip4, tos: number, options?: Uint8Array): void {
		const ns = this.#ipv4.ns;
		const route = ns.route(destination, source);
		if (route === undefined || route.device === null)
			return ns.kernel.world.drop(frame, "ip-no-route", ns.loopback);
		frame.push(ipv4.MIN_OCTETS);
		ipv4.writePlain(
			frame.view,
			frame.start,
			frame.end - frame.start,
			tos,
			ns.kernel.nextIdent(source, destination, ICMP_PROTOCOL),
			0,
			this.#ipv4.conf.ip_default_ttl,
			ICMP_PROTOCOL,
			source,
			destination,
		);
		if (options !== undefined && options.length > 0) insertOptions(frame, options);
		this.#ipv4.output(frame, route);
	}

	/**
	 * Tells the sender of a packet why it ended, if that may be told. The frame starts at its IPv4 header and
	 * stays the caller's. `info` is the rest of the ICMP header (next-hop MTU, gateway).
	 */
	tell(frame: Frame, inDevice: InDevice, type: number, code: number, info: number): void {
		const { view, start } = frame;
		const to = ipv4.source(view, start);
		if (!this.#mayTell(frame, inDevice, to)) return;
		const ns = this.#ipv4.ns;
		const route = ns.route(to);
		if (route?.device == null) return;
		if (!this.#withinLimits(type, code, to, route)) return;
		// A host answers with the address that was spoken to, a router with that of its way to the sender.
		const spokenTo = ipv4.destination(view, start);
		const source = ns.isOwnAddress(spokenTo) ? spokenTo : ns.sourceFor(route, to);
		if (source === ANY_IP4) return;
		const room = LONGEST_ERROR - ipv4.MIN_OCTETS - icmp.OCTETS;
		const quoted = Math.min(frame.end - start, room);
		const error = ns.kernel.world.frames.begin(icmp.OCTETS + quoted);
		error.end = error.start + icmp.OCTETS + quoted;
		copyOctets(frame, start, error, error.start + icmp.OCTETS, quoted);
		icmp.writeError(error.view, error.start, type, code, info);
		icmp.writeChecksum(error.view, error.start, error.end - error.start);
		error.trusted = true;
		attach(error, frame);
		this.#send(error, source, to, CONTROL_TOS | (ipv4.tos(view, start) & TOS_BITS));
	}

	/** RFC 1122 §3.2.2: never about errors, broadcasts, later fragments or packets from nowhere. */
	#mayTell(frame: Frame, inDevice: InDevice, to: Ip4): boolean {
		const { view, start } = frame;
		if (to === ANY_IP4 || to === BROADCAST_IP4 || isMulticastIp4(to)) return false;
		if (isLoopbackIp4(to) && inDevice.device !== this.#ipv4.ns.loopback) return false;
		const destination = ipv4.destination(view, start);
		if (isMulticastIp4(destination) || this.#ipv4.ns.isBroadcast(destination)) return false;
		if (ipv4.fragmentOffset(view, start) !== 0) return false;
		if (ipv4.protocol(view, start) !== ICMP_PROTOCOL) return true;
		const at = start + ipv4.headerOctets(view, start);
		return at < frame.end && icmp.isQuery(icmp.type(view, at));
	}

	#withinLimits(type: number, code: number, to: Ip4, route: Route): boolean {
		const { icmp_ratemask: limited, icmp_ratelimit: pause } = this.#ipv4.conf;
		if (type > 31 || ((limited >> type) & 1) === 0) return true;
		// Path MTU discovery is never held back.
		if (type === icmp.UNREACHABLE && code === icmp.FRAG_NEEDED) return true;
		if (route.device === this.#ipv4.ns.loopback) return true;
		if (!this.#ipv4.ns.kernel.mayTellIcmp()) return false;
		return pause === 0 || this.#ipv4.peers.mayTell(to, milliseconds(pause));
	}

	/** Tells a sender of a better first hop. The frame, TTL already lowered, stays the caller's (`ip_rt_send_redirect`). */
	redirect(frame: Frame, inDevice: InDevice, route: Route): void {
		const to = ipv4.source(frame.view, frame.start);
		if (!this.#ipv4.peers.mayRedirect(to)) return;
		const better = route.via !== 0 ? route.via : ipv4.destination(frame.view, frame.start);
		this.tell(frame, inDevice, icmp.REDIRECT, icmp.REDIRECT_HOST, better);
	}

	/** What somebody says about a packet of ours (`icmp_unreach`): the path MTU, then the socket it came from. */
	#error(frame: Frame, at: number, inDevice: InDevice): void {
		const { view, start } = frame;
		const quote = at + icmp.OCTETS;
		const ns = this.#ipv4.ns;
		if (frame.end - quote < ipv4.MIN_OCTETS || ipv4.version(view, quote) !== 4) {
			return inDevice.device.dropIn(frame, "icmp-truncated");
		}
		const transport = quote + ipv4.headerOctets(view, quote);
		if (frame.end - transport < 8) return inDevice.device.dropIn(frame, "icmp-truncated");
		const error: IcmpError = {
			type: icmp.type(view, at),
			code: icmp.code(view, at),
			info: icmp.rest(view, at),
			from: ipv4.source(view, start),
			ttl: ipv4.ttl(view, start),
			source: ipv4.source(view, quote),
			destination: ipv4.destination(view, quote),
			protocol: ipv4.protocol(view, quote),
		};
		if (error.type === icmp.UNREACHABLE && error.code === icmp.FRAG_NEEDED) this.#shorten(error, view, quote);
		if (error.type === icmp.REDIRECT) followRedirect(ns, error, inDevice);
		ns.icmpError(error, frame, transport);
		frame.release();
	}

	/** RFC 1191: a router says how long packets may be; one that does not know says 0. */
	#shorten(error: IcmpError, view: DataView, quote: number): void {
		const mtu = icmp.nextHopMtu(error.info);
		const length = ipv4.totalLength(view, quote);
		this.#ipv4.pathMtus.learn(error.destination, mtu > 0 ? mtu : guess(length));
	}
}

/** Puts options behind a header that has none. */
function insertOptions(frame: Frame, options: Uint8Array): void {
	const from = frame.start;
	frame.push(options.length);
	const { view, bytes, start } = frame;
	bytes.copyWithin(start, from, from + ipv4.MIN_OCTETS);
	bytes.set(options, start + ipv4.MIN_OCTETS);
	view.setUint8(start, 0x40 | ((ipv4.MIN_OCTETS + options.length) / 4));
	ipv4.setTotalLength(view, start, frame.end - start);
	ipv4.writeChecksum(view, start);
}

/** The next smaller MTU in common use (RFC 1191 §7.1). */
function guess(length: number): number {
	const plateaus = [32_000, 17_914, 8166, 4352, 2002, 1492, 576, 296, 216, 128, 68];
	return plateaus.find((plateau) => plateau < length) ?? 68;
}
