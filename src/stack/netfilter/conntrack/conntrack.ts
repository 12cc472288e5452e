import type { Ip4 } from "../../../addr/index.ts";
import { seconds, Timer } from "../../../sim/index.ts";
import { type Frame, icmp, ipv4 } from "../../../wire/index.ts";
import type { InDevice } from "../../in-device.ts";
import type { Namespace } from "../../namespace.ts";
import { ACCEPT, DROP, type HookFunction, type HookPoint, PRIORITY, STOLEN, type Verdict } from "../hooks.ts";
import { type Log } from "../log.ts";
import type { ConntrackConf } from "./conf.ts";
import {
	type Direction,
	directionOf,
	Flow,
	INFO,
	invertPorts,
	ORIGINAL,
	REPLY,
	STATUS,
	type Tuple,
} from "./flow.ts";
import { FlowTable } from "./flow-table.ts";
import { KnownWays } from "../known-ways/known-ways.ts";
import { NO_PORTS, readPorts, readQuotedPorts } from "./ports.ts";
import { TcpTrack } from "./tcp.ts";

const ICMP = ipv4.PROTOCOL_ICMP;
const TCP = ipv4.PROTOCOL_TCP;
const UDP = ipv4.PROTOCOL_UDP;
/** ICMP queries that may begin a flow. */
const QUERIES: ReadonlySet<number> = new Set([8, 13, 15, 17]);
/** Two looks for what has expired are this far apart at least. */
const SWEEP = seconds(1);
/** How long datagrams must go on to be a stream. */
const STREAM_AFTER = seconds(2);

/**
 * Connection tracking of one namespace: every packet is of a flow, and knows whether it begins it, goes on with it,
 * or tells of it.
 *
 *     PREROUTING, OUTPUT    fragments together → flow found or begun → its protocol judges → frame.flow
 *     INPUT, POSTROUTING    a new flow is confirmed: into the table with both its tuples
 *
 * Flows end lazily: what has expired is nobody's, and is swept out later. Reference:
 * net/netfilter/nf_conntrack_core.c, nf_conntrack_proto*.c.
 */
export class Conntrack {
	/** `net.netfilter.nf_conntrack_*`. */
	readonly conf: ConntrackConf;
	readonly table: FlowTable;
	/** Called with each flow that begins and ends (`conntrack -E`). */
	readonly listeners: ((event: "new" | "destroy", flow: Flow) => void)[] = [];
	readonly #ns: Namespace;
	readonly #log: Log;
	readonly #sweeper: Timer;
	#sweepAt = Infinity;
	/** Where the last transport header judged starts: one packet at a time. */
	#transport = 0;

	constructor(ns: Namespace, log: Log, conf: ConntrackConf) {
		this.#ns = ns;
		this.conf = conf;
		this.#log = log;
		this.table = new FlowTable(ns.kernel.rng.fork(`conntrack/${ns.name}`).uint32() | 0);
		this.#sweeper = new Timer(() => {
			this.#sweep();
		});
		if (ns.world.remembersWays) ns.ways = new KnownWays(ns, this);
		const { hooks } = ns;
		const watch = (point: HookPoint, priority: number, run: HookFunction): unknown =>
			hooks.register(point, priority, run, "by-flow");
		watch("PREROUTING", PRIORITY.defragment, (frame, inDevice) =>
			inDevice !== null && ipv4.isFragment(frame.view, frame.start) ? this.#gather(frame, inDevice) : ACCEPT,
		);
		watch("PREROUTING", PRIORITY.conntrack, (frame) => this.#track(frame, true));
		watch("OUTPUT", PRIORITY.conntrack, (frame) => this.#track(frame, false));
		watch("INPUT", PRIORITY.conntrackConfirm, (frame, inDevice) => this.#confirm(frame, inDevice));
		watch("POSTROUTING", PRIORITY.conntrackConfirm, (frame, inDevice) => this.#confirm(frame, inDevice));
	}

	/** Flows that are not over, oldest first. */
	flows(): Flow[] {
		const now = this.#now();
		return this.table.all().filter((flow) => flow.expires > now);
	}

	/** Flows in the table, whether over or not (`nf_conntrack_count`). */
	get count(): number {
		return this.table.size;
	}

	#now(): number {
		return this.#ns.world.scheduler.now;
	}

	/** The flow a frame was found to be of; null for untracked and invalid ones. */
	flowOf(frame: Frame): Flow | null {
		return frame.flow as Flow | null;
	}

	// ── packets ───────────────────────────────────────────────────────────────────────────────────

	/** Fragments are put together before anything looks at them (`ipv4_conntrack_defrag`). */
	#gather(frame: Frame, inDevice: InDevice): Verdict {
		if (frame.bridging !== 0) {
			this.#ns.bridgeFilter?.gather(frame, inDevice);
			return STOLEN;
		}
		const whole = this.#ns.ipv4.reassemble(frame, inDevice);
		if (whole === undefined) return STOLEN;
		const chain = this.#ns.hooks.prerouting;
		if (chain === null || chain.runAfter(PRIORITY.defragment, whole, inDevice, null, null) === ACCEPT)
			this.#ns.ipv4.routeIn(whole, inDevice, false);
		return STOLEN;
	}

	/** `nf_conntrack_in`: what has a flow already, from loopback or by `NOTRACK`, keeps it. */
	#track(frame: Frame, incoming: boolean): Verdict {
		const seen = frame.flow as Flow | null;
		if (seen === null ? frame.flowInfo === INFO.untracked : seen.home === this.table) return ACCEPT;
		frame.forgetFlow();
		const { view, start } = frame;
		if (ipv4.isFragment(view, start)) return ACCEPT;
		const protocol = ipv4.protocol(view, start);
		const at = start + ipv4.headerOctets(view, start);
		const judged = incoming && !frame.trusted && this.conf.nf_conntrack_checksum !== 0;
		const ports = readPorts(frame, at, protocol, judged);
		if (ports === NO_PORTS) return ACCEPT;
		if (protocol === ICMP && icmp.isError(icmp.type(view, at))) return this.#relate(frame, at);
		this.#transport = at;
		return this.#resolve(frame, ports, protocol);
	}

	/** Finds or begins the flow, and lets its protocol judge the packet (`resolve_normal_ct`). */
	#resolve(frame: Frame, ports: number, protocol: number): Verdict {
		const { view, start } = frame;
		const source = view.getInt32(start + 12);
		const destination = view.getInt32(start + 16);
		const tuple = this.lookup(source, destination, ports, protocol);
		if (tuple === null) return this.#begin(frame, source, destination, ports, protocol);
		return this.#goOn(frame, tuple);
	}

	/** A packet of a flow that is in the table, whose transport header starts at `transport`. The frame stays the caller's. */
	goOn(frame: Frame, tuple: Tuple, transport: number): void {
		this.#transport = transport;
		this.#goOn(frame, tuple);
	}

	#goOn(frame: Frame, { flow, direction }: Tuple): Verdict {
		const info =
			direction === REPLY
				? INFO.establishedReply
				: (flow.status & STATUS.seenReply) !== 0
					? INFO.established
					: INFO.new;
		return this.#judge(frame, flow, direction, info);
	}

	/** The tuple of a flow that is not over, by what a packet says; numbers as in `Tuple`. */
	lookup(source: number, destination: number, ports: number, protocol: number): Tuple | null {
		const tuple = this.table.find(source, destination, ports, protocol);
		if (tuple === null || tuple.flow.expires > this.#now()) return tuple;
		this.forget(tuple.flow);
		return null;
	}

	/** `init_conntrack`; when the table is full an unassured flow makes room, or the packet ends. */
	#begin(frame: Frame, source: number, destination: number, ports: number, protocol: number): Verdict {
		if (this.count >= this.conf.nf_conntrack_max && !this.#makeRoom(source, destination, ports, protocol)) {
			this.#log.write("nf_conntrack: nf_conntrack: table full, dropping packet");
			this.#ns.drop(frame, "conntrack-full");
			return DROP;
		}
		const flow = new Flow(this.table, protocol, source, destination, ports);
		const at = this.#transport;
		if (protocol === TCP) {
			const track = TcpTrack.begin(frame, at, this.conf);
			if (track === undefined) return ACCEPT;
			flow.tcp = track;
		} else if (protocol === ICMP && !QUERIES.has((ports >>> 8) & 255)) return ACCEPT;
		else if (protocol === UDP) flow.streamFrom = this.#now() + STREAM_AFTER;
		return this.#judge(frame, flow, ORIGINAL, INFO.new);
	}

	#makeRoom(source: number, destination: number, ports: number, protocol: number): boolean {
		const victim = this.table.victim(source, destination, ports, protocol);
		if (victim !== undefined) this.forget(victim);
		return victim !== undefined;
	}

	#judge(frame: Frame, flow: Flow, direction: Direction, info: number): Verdict {
		const { conf } = this;
		let lifetime = conf.nf_conntrack_generic_timeout;
		let assured = false;
		switch (flow.protocol) {
			case UDP:
				lifetime = conf.nf_conntrack_udp_timeout;
				if ((flow.status & STATUS.seenReply) !== 0 && this.#now() > flow.streamFrom) {
					lifetime = conf.nf_conntrack_udp_timeout_stream;
					assured = true;
				}
				break;
			case ICMP:
				lifetime = conf.nf_conntrack_icmp_timeout;
				break;
			case TCP: {
				const track = flow.tcp!;
				const old = track.state;
				const at = this.#transport;
				switch (track.segment(frame, at, direction, flow.status, conf)) {
					case "invalid":
						return ACCEPT;
					case "again":
						this.forget(flow);
						return this.#track(frame, false);
					case "forget":
						this.forget(flow);
						frame.flow = flow;
						frame.flowInfo = info;
						return ACCEPT;
				}
				lifetime = track.lifetime(frame, at, flow.status, conf);
				assured = track.assures(old, flow.status);
				break;
			}
		}
		frame.flow = flow;
		frame.flowInfo = info;
		if (assured) flow.status |= STATUS.assured;
		if (direction === REPLY) flow.status |= STATUS.seenReply;
		if (conf.nf_conntrack_acct !== 0) {
			const octets = frame.end - frame.start;
			if (direction === ORIGINAL) {
				flow.packetsThere++;
				flow.octetsThere += octets;
			} else {
				flow.packetsBack++;
				flow.octetsBack += octets;
			}
		}
		this.refresh(flow, seconds(lifetime));
		return ACCEPT;
	}

	/** Gives a flow so long from now. */
	refresh(flow: Flow, lifetime: number): void {
		if ((flow.status & STATUS.confirmed) === 0) {
			flow.expires = lifetime;
			return;
		}
		flow.expires = this.#now() + lifetime;
		if (flow.expires < this.#sweepAt) this.#sweepBy(flow.expires);
	}

	/** An ICMP error is related to the flow of the packet it quotes, if there is one (`nf_conntrack_inet_error`). */
	#relate(frame: Frame, at: number): Verdict {
		const { view } = frame;
		const quote = at + icmp.OCTETS;
		if (frame.end - quote < ipv4.MIN_OCTETS || ipv4.version(view, quote) !== 4) return ACCEPT;
		if (ipv4.fragmentOffset(view, quote) !== 0) return ACCEPT;
		const protocol = ipv4.protocol(view, quote);
		const transport = quote + ipv4.headerOctets(view, quote);
		const ports = readQuotedPorts(frame, transport, protocol);
		if (ports === NO_PORTS) return ACCEPT;
		const tuple = this.lookup(
			view.getInt32(quote + 16),
			view.getInt32(quote + 12),
			invertPorts(protocol, ports),
			protocol,
		);
		// Errors go to whom the quoted packet came from; others are forged.
		if (tuple === null || view.getInt32(frame.start + 16) !== tuple.destination) return ACCEPT;
		frame.flow = tuple.flow;
		frame.flowInfo = tuple.direction === REPLY ? INFO.relatedReply : INFO.related;
		return ACCEPT;
	}

	/**
	 * The first packet of a flow made it: the flow is in the table from here on (`__nf_conntrack_confirm`). One
	 * whose answers would be another flow's ends here.
	 */
	#confirm(frame: Frame, inDevice: InDevice | null): Verdict {
		const flow = frame.flow as Flow | null;
		if (flow === null || (flow.status & (STATUS.confirmed | STATUS.dying)) !== 0) return ACCEPT;
		if (directionOf(frame.flowInfo) !== ORIGINAL) return ACCEPT;
		const { original, reply, protocol } = flow;
		if (
			this.lookup(original.source, original.destination, original.ports, protocol) !== null ||
			this.lookup(reply.source, reply.destination, reply.ports, protocol) !== null
		) {
			this.#ns.world.drop(frame, "conntrack-clash", inDevice?.device ?? this.#ns);
			return DROP;
		}
		flow.status |= STATUS.confirmed;
		flow.expires += this.#now();
		this.table.add(flow);
		if (flow.expires < this.#sweepAt) this.#sweepBy(flow.expires);
		for (const listener of this.listeners) listener("new", flow);
		return ACCEPT;
	}

	/**
	 * Somebody else, such as IPVS, sends a new flow to another address and port than its first packet says: answers will
	 * come from there (`ip_vs_update_conntrack`). False once the flow is confirmed. For ICMP the port is the identifier.
	 */
	answersFrom(flow: Flow, address: Ip4, port: number): boolean {
		if ((flow.status & (STATUS.confirmed | STATUS.dying)) !== 0) return false;
		flow.reply.source = address;
		flow.reply.ports = (port << 16) | (flow.reply.ports & 0xffff);
		return true;
	}

	/** The packet is of no flow from here on (`ip_vs_notrack`). */
	untrack(frame: Frame): void {
		frame.flow = null;
		frame.flowInfo = INFO.untracked;
	}

	// ── end of flows ──────────────────────────────────────────────────────────────────────────────

	/** Takes a flow out (`nf_ct_kill`). */
	forget(flow: Flow): void {
		const listed = (flow.status & STATUS.confirmed) !== 0 && (flow.status & STATUS.dying) === 0;
		flow.status |= STATUS.dying;
		if (!listed) return;
		this.table.remove(flow);
		for (const listener of this.listeners) listener("destroy", flow);
	}

	/** Takes out all flows for which `which` holds (`nf_ct_iterate_cleanup`); returns how many. */
	forgetAll(which: (flow: Flow) => boolean): number {
		const gone = this.table.all().filter(which);
		for (const flow of gone) this.forget(flow);
		return gone.length;
	}

	#sweepBy(instant: number): void {
		const { now } = this.#ns.world.scheduler;
		this.#sweepAt = Math.max(instant, now + SWEEP);
		this.#ns.kernel.arm(this.#sweeper, this.#sweepAt - now);
	}

	#sweep(): void {
		const now = this.#now();
		let next = Infinity;
		for (let flow = this.table.oldest; flow !== null;) {
			const { newer }: Flow = flow;
			if (flow.expires <= now) this.forget(flow);
			else if (flow.expires < next) next = flow.expires;
			flow = newer;
		}
		this.#sweepAt = Infinity;
		if (next !== Infinity) this.#sweepBy(next);
	}
}
