import { type Frame, icmp, ipv4, tcp } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Device } from "../../link/index.ts";
import type { Namespace } from "../namespace.ts";
import type { Route } from "../route.ts";
import {
	ACCEPT,
	type HookFunction,
	type HookPoint,
	PRIORITY,
	STOLEN,
	type Verdict,
} from "../netfilter/index.ts";
import type { Conntrack } from "../netfilter/conntrack/conntrack.ts";
import type { Notes } from "../netfilter/known-ways/notes.ts";
import type { Connection } from "./connection.ts";
import { Connections } from "./connections.ts";
import { KnownConnection } from "./known-connection.ts";
import {
	errorToClient,
	isBalanced,
	isIcmpGood,
	type Quoted,
	quotedIn,
	resource,
	transportOctets,
} from "./packet.ts";
import { type Flow, schedule } from "./schedule.ts";
import { Services } from "./services.ts";
import { IPVS_SETTINGS, type IpvsSettings } from "./settings.ts";
import { Estimator } from "./stats.ts";
import {
	CLOSE,
	ESTABLISHED,
	FIN_WAIT,
	isActive,
	nextTcpState,
	TCP_TIMEOUTS,
	TIME_WAIT,
} from "./tcp-state.ts";
import { Tracking } from "./tracking.ts";
import { Transmitter } from "./transmit.ts";

const ICMP = ipv4.PROTOCOL_ICMP;
const TCP = ipv4.PROTOCOL_TCP;
const UDP = ipv4.PROTOCOL_UDP;
/** Seconds a UDP connection lives without a datagram. */
const UDP_TIMEOUT = 300;

/**
 * The IP virtual server of one namespace: packets to virtual services go to real servers, and replies come from the
 * virtual address.
 *
 *     INPUT   98 replies to this host   99 requests → schedule → transmit
 *     FORWARD 99 errors of clients     100 replies of real servers → source rewritten
 *     OUTPUT −99 replies of this host  −98 requests of this host
 *
 * The hooks are there while there is a service. Reference: net/netfilter/ipvs/ip_vs_core.c (Linux 6.1).
 */
export class Ipvs {
	readonly settings: IpvsSettings = { ...IPVS_SETTINGS };
	readonly services: Services = new Services();
	readonly connections: Connections;
	readonly estimator: Estimator;
	/** Jiffies a connection lives in each TCP state: `ipvsadm --set` changes the first two that matter. */
	readonly tcpTimeouts: number[];
	udpTimeout: number;
	readonly #ns: Namespace;
	readonly #tracking: Tracking;
	readonly #transmitter: Transmitter;
	#unregister: readonly (() => void)[] = [];

	/** `conntrack` gives connection tracking once it is on. */
	constructor(ns: Namespace, conntrack: () => Conntrack | undefined) {
		this.#ns = ns;
		this.#tracking = new Tracking(conntrack);
		const { kernel } = ns;
		const { scheduler } = ns.world;
		const rng = kernel.rng.fork(`ipvs/${ns.name}`);
		this.connections = new Connections(scheduler, kernel.jiffies, rng, (connection) => {
			if (connection.tracked && !connection.onePacket) this.#tracking.forget(connection);
		});
		this.estimator = new Estimator(kernel.jiffies, scheduler);
		this.tcpTimeouts = TCP_TIMEOUTS.map((seconds) => this.connections.ticks(seconds));
		this.udpTimeout = this.connections.ticks(UDP_TIMEOUT);
		this.#transmitter = new Transmitter(ns, this.settings, this.#tracking);
	}

	/** Looks at packets, or does no longer (`ip_vs_register_hooks`, `ip_vs_unregister_hooks`). */
	listen(on: boolean): void {
		for (const unregister of this.#unregister) unregister();
		this.#unregister = [];
		if (!on) return;
		const { hooks } = this.#ns;
		const watch = (point: HookPoint, priority: number, run: HookFunction): (() => void) =>
			hooks.register(point, priority, run, "by-flow");
		const { natSource, natDestination } = PRIORITY;
		this.#unregister = [
			watch("INPUT", natSource - 2, (frame, from) => this.#reply(frame, from, "INPUT")),
			watch("INPUT", natSource - 1, (frame, from) => this.#request(frame, from)),
			watch("OUTPUT", natDestination + 1, (frame) => this.#reply(frame, null, "OUTPUT")),
			watch("OUTPUT", natDestination + 2, (frame) => this.#request(frame, null)),
			watch("FORWARD", natSource - 1, (frame, from) => this.#forwardedError(frame, from)),
			watch("FORWARD", natSource, (frame, from, out, route) =>
				from !== null && route !== null && this.#isPart(frame)
					? this.#gather(frame, from, out, route)
					: this.#reply(frame, from, "FORWARD"),
			),
		];
	}

	/** How packets of a flow pass here, for those that will not be shown to the hooks. */
	#note(notes: Notes, connection: Connection | undefined, way: "input" | "output"): void {
		const known = connection === undefined || (connection.tracked && connection.forward === "masquerading");
		if (known) notes.passes(new KnownConnection(this, connection ?? null, way), connection === undefined);
		else notes.spoil();
	}

	/** One more packet of a connection passed by its flow's known way. The frame stays the caller's. */
	passed(frame: Frame, connection: Connection, way: "input" | "output"): void {
		const { view, start } = frame;
		const flags = connection.protocol === TCP ? tcp.flags(view, start + ipv4.MIN_OCTETS) : 0;
		if (way === "input") this.#countIn(connection, frame);
		else this.#countOut(connection, frame);
		this.#setState(connection, way, flags);
		frame.ipvs = true;
		if (way === "input") connection.inPackets++;
		this.connections.put(connection);
	}

	// ── from clients ──────────────────────────────────────────────────────────────────────────────

	/** `ip_vs_in_hook`. `inDevice` is null for packets of this host. */
	#request(frame: Frame, inDevice: InDevice | null): Verdict {
		if (frame.ipvs || this.settings.backup_only !== 0) return ACCEPT;
		const { view, start } = frame;
		const protocol = ipv4.protocol(view, start);
		if (protocol === ICMP) return this.#requestError(frame, inDevice, false);
		if (!isBalanced(protocol)) {
			if (this.settings.ignore_tunneled !== 0) frame.ipvs = true;
			return ACCEPT;
		}
		const transport = start + ipv4.headerOctets(view, start);
		// Too short to say what it is, or a later fragment: the stack ends it.
		if (frame.end - transport < transportOctets(protocol) || ipv4.fragmentOffset(view, start) !== 0)
			return ACCEPT;
		const flags = protocol === TCP ? tcp.flags(view, transport) : 0;
		let connection = this.connections.fromClient(
			protocol,
			ipv4.source(view, start),
			view.getUint16(transport),
			ipv4.destination(view, start),
			view.getUint16(transport + 2),
		);
		if (connection !== undefined && this.#isOver(connection, flags, frame)) {
			const old = this.#tracking.isOld(frame, connection);
			// The flow lives on with the connection that takes its place.
			if (!old) connection.tracked = false;
			if (connection.controlled === 0) this.connections.expireNow(connection);
			if (old) return this.#transmitter.drop(frame, inDevice, "ipvs-reused");
			connection = undefined;
		}
		if (connection?.destination.available === false) {
			return this.#transmitter.drop(frame, inDevice, "ipvs-destination-gone");
		}
		const notes = this.#ns.ways?.notes;
		if (connection === undefined) {
			const begun = this.#begin(frame, transport, flags, inDevice);
			if (typeof begun === "number") {
				if (notes?.isOf(frame) === true) this.#note(notes, undefined, "input");
				return begun;
			}
			connection = begun;
			notes?.spoil();
		}
		if (notes?.isOf(frame) === true) this.#note(notes, connection, "input");
		this.#countIn(connection, frame);
		this.#setState(connection, "input", flags);
		const verdict = this.#transmitter.send(frame, connection, inDevice);
		connection.inPackets++;
		this.connections.put(connection);
		return verdict;
	}

	/** Whether a packet makes way for a new connection (`is_new_conn_expected`, `expire_nodest_conn`). */
	#isOver(connection: Connection, flags: number, frame: Frame): boolean {
		const { conn_reuse_mode: mode, expire_nodest_conn: expires } = this.settings;
		const { destination, state } = connection;
		if (expires !== 0 && !destination.available) return true;
		if ((flags & tcp.SYN) === 0) return false;
		if (expires !== 0 && destination.weight === 0) return true;
		if (mode === 0 || connection.control !== null) return false;
		const ended =
			state === TIME_WAIT ||
			state === CLOSE ||
			((mode & 2) !== 0 && state === FIN_WAIT && connection.noOutput);
		return ended && (connection.controlled === 0 || !this.#tracking.isOld(frame, connection));
	}

	/** A connection for a packet that has none (`ip_vs_try_to_schedule`, `tcp_conn_schedule`, `ip_vs_leave`). */
	#begin(frame: Frame, transport: number, flags: number, inDevice: InDevice | null): Connection | Verdict {
		const { view, start } = frame;
		const protocol = ipv4.protocol(view, start);
		const destination = ipv4.destination(view, start);
		const destinationPort = view.getUint16(transport + 2);
		if (protocol === TCP) {
			const opens = (flags & tcp.SYN) !== 0 || this.settings.sloppy_tcp !== 0;
			if (!opens || (flags & tcp.RST) !== 0) return ACCEPT;
		}
		const service = this.services.match(frame.mark, protocol, destination, destinationPort);
		if (service === undefined) return ACCEPT;
		// A service by mark may be offered what is for everyone on the link.
		if (service.fwmark !== 0 && this.#ns.isBroadcast(destination)) return ACCEPT;
		// Replies of a real server on this host begin nothing.
		const source = ipv4.source(view, start);
		const sourcePort = view.getUint16(transport);
		const flow: Flow = { protocol, source, sourcePort, destination, destinationPort };
		const own = inDevice === null || inDevice.device === this.#ns.loopback;
		if (own && this.#ofReply(flow) !== undefined) return ACCEPT;
		const connection = schedule(service, flow, this.connections, this.settings);
		if (connection === "ignored") return ACCEPT;
		if (connection !== undefined) return connection;
		this.#transmitter.tell(frame, inDevice, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE);
		return this.#transmitter.drop(frame, inDevice, "ipvs-no-destination");
	}

	#ofReply({ protocol, source, sourcePort, destination, destinationPort }: Flow): Connection | undefined {
		return this.connections.fromClient(protocol, destination, destinationPort, source, sourcePort);
	}

	// ── from real servers ─────────────────────────────────────────────────────────────────────────

	/** `ip_vs_out_hook`. */
	#reply(frame: Frame, inDevice: InDevice | null, point: HookPoint): Verdict {
		if (frame.ipvs) return ACCEPT;
		const { view, start } = frame;
		const protocol = ipv4.protocol(view, start);
		if (protocol === ICMP) return this.#replyError(frame, inDevice);
		if (!isBalanced(protocol) || ipv4.isFragment(view, start)) return ACCEPT;
		const transport = start + ipv4.headerOctets(view, start);
		if (frame.end - transport < transportOctets(protocol)) return ACCEPT;
		const source = ipv4.source(view, start);
		const sourcePort = view.getUint16(transport);
		const destination = ipv4.destination(view, start);
		const connection = this.connections.fromServer(
			protocol,
			source,
			sourcePort,
			destination,
			view.getUint16(transport + 2),
		);
		const flags = protocol === TCP ? tcp.flags(view, transport) : 0;
		const notes = this.#ns.ways?.notes;
		if (notes?.isOf(frame) === true) this.#note(notes, connection, "output");
		if (connection !== undefined) {
			if (connection.forward === "masquerading") {
				resource(frame, transport, protocol, connection.virtual, connection.virtualPort);
			}
			this.#countOut(connection, frame);
			this.#setState(connection, "output", flags);
			this.#hasPassed(frame, connection);
			this.connections.put(connection);
			return ACCEPT;
		}
		if (this.settings.nat_icmp_send !== 0 && point !== "INPUT" && (flags & tcp.RST) === 0) {
			if (!this.services.hasRealServer(protocol, source, sourcePort)) return ACCEPT;
			this.#transmitter.tell(frame, inDevice, icmp.UNREACHABLE, icmp.PORT_UNREACHABLE);
			return this.#transmitter.drop(frame, inDevice, "ipvs-no-connection");
		}
		return ACCEPT;
	}

	#isPart({ view, start }: Frame): boolean {
		return ipv4.isFragment(view, start) && isBalanced(ipv4.protocol(view, start));
	}

	/** Replies that come in fragments are put together, since only the first one has ports (`ip_vs_gather_frags`). */
	#gather(frame: Frame, inDevice: InDevice, out: Device | null, route: Route): Verdict {
		const whole = this.#ns.ipv4.reassemble(frame, inDevice);
		if (whole === undefined) return STOLEN;
		if (this.#reply(whole, inDevice, "FORWARD") !== ACCEPT) return STOLEN;
		const rest = this.#ns.hooks.forward?.runAfter(PRIORITY.natSource, whole, inDevice, out, route) ?? ACCEPT;
		if (rest === ACCEPT) this.#ns.ipv4.forwardOn(whole, inDevice, route);
		return STOLEN;
	}

	#hasPassed(frame: Frame, connection: Connection): void {
		frame.ipvs = true;
		if (connection.tracked) this.#tracking.update(frame, connection, "to-client");
		else this.#tracking.untrack(frame);
	}

	// ── ICMP errors ───────────────────────────────────────────────────────────────────────────────

	/** An error about what a client sent, on its way to that client (`ip_vs_out_icmp`). */
	#replyError(frame: Frame, inDevice: InDevice | null): Verdict {
		const quoted = quotedIn(frame);
		if (quoted === undefined) return ACCEPT;
		const { protocol, source, sourcePort, destination, destinationPort } = quoted;
		const connection = this.connections.fromServer(
			protocol,
			destination,
			destinationPort,
			source,
			sourcePort,
		);
		if (connection === undefined) return ACCEPT;
		if (connection.forward === "masquerading") {
			if (!isIcmpGood(frame, quoted.icmp)) return this.#transmitter.drop(frame, inDevice, "icmp-csum");
			errorToClient(frame, quoted, connection.virtual, connection.virtualPort);
		}
		this.#countOut(connection, frame);
		this.#hasPassed(frame, connection);
		return ACCEPT;
	}

	/** An error about what a real server sent, on its way from a client (`ip_vs_in_icmp`). */
	#requestError(frame: Frame, inDevice: InDevice | null, forwarding: boolean): Verdict {
		const quoted = quotedIn(frame);
		if (quoted === undefined) return ACCEPT;
		let connection = this.#ofReply(quoted);
		if (connection === undefined) {
			if (this.settings.schedule_icmp === 0) return ACCEPT;
			const begun = this.#beginByError(frame, quoted);
			if (begun === undefined) return ACCEPT;
			connection = begun;
		}
		if (!isIcmpGood(frame, quoted.icmp)) return this.#transmitter.drop(frame, inDevice, "icmp-csum");
		this.#countIn(connection, frame);
		return this.#transmitter.sendError(frame, quoted, connection, inDevice, forwarding);
	}

	/** `net.ipv4.vs.schedule_icmp`: an error finds a real server as the packet would that it is about. */
	#beginByError(frame: Frame, quoted: Quoted): Connection | undefined {
		const { protocol, source, sourcePort, destination, destinationPort } = quoted;
		const service = this.services.match(frame.mark, protocol, source, sourcePort);
		if (service === undefined) return undefined;
		const flow: Flow = {
			protocol,
			source: destination,
			sourcePort: destinationPort,
			destination: source,
			destinationPort: sourcePort,
		};
		const begun = schedule(service, flow, this.connections, this.settings);
		if (begun === undefined || begun === "ignored") return undefined;
		this.connections.put(begun);
		return begun;
	}

	/** Errors that are routed through, which a service by mark may have to see (`ip_vs_forward_icmp`). */
	#forwardedError(frame: Frame, inDevice: InDevice | null): Verdict {
		if (frame.ipvs || this.settings.backup_only !== 0) return ACCEPT;
		if (ipv4.protocol(frame.view, frame.start) !== ICMP) return ACCEPT;
		return this.#requestError(frame, inDevice, true);
	}

	// ── what is remembered ────────────────────────────────────────────────────────────────────────

	#countIn({ destination }: Connection, frame: Frame): void {
		if (!destination.available) return;
		destination.stats.in(frame.end - frame.start);
		destination.service.stats.in(frame.end - frame.start);
	}

	#countOut({ destination }: Connection, frame: Frame): void {
		if (!destination.available) return;
		destination.stats.out(frame.end - frame.start);
		destination.service.stats.out(frame.end - frame.start);
	}

	/** `tcp_state_transition`, `udp_state_transition`. */
	#setState(connection: Connection, way: "input" | "output", flags: number): void {
		const template = connection.control;
		if (connection.protocol === UDP) {
			connection.timeout = this.udpTimeout;
			if (way === "output" && template !== null) template.state = 1;
			return;
		}
		if (way === "output") connection.noOutput = false;
		const state = nextTcpState(connection.state, connection.noOutput ? "input-only" : way, flags);
		if (state !== connection.state) {
			const { destination } = connection;
			if (connection.inactive === isActive(state)) {
				connection.inactive = !connection.inactive;
				destination.active += connection.inactive ? -1 : 1;
				destination.inactive += connection.inactive ? 1 : -1;
			}
			if (state === ESTABLISHED && template !== null) template.state = 1;
		}
		connection.state = state;
		connection.timeout = this.tcpTimeouts[state]!;
	}
}
