import { Timer } from "../../sim/index.ts";
import { memberlist } from "../../wire/index.ts";
import { ipOf, type Member, octetsOf } from "./member.ts";
import type { Membership } from "./membership.ts";
import { INDIRECT_CHECKS, PROBE_INTERVAL, PROBE_TIMEOUT } from "./scale.ts";
import type { Endpoint, Transport } from "./transport.ts";
import type { Clock } from "../clock.ts";

/** How a prober sends. */
export interface ProberEffects {
	/** Sends a message, with broadcasts behind it; false when there is no way. */
	readonly send: (message: memberlist.Message, to: Endpoint) => boolean;
	/** Sends messages to a member, and nothing else with them. */
	readonly sendTogether: (messages: readonly memberlist.Message[], to: Member) => boolean;
	readonly log: (line: string) => void;
}

/** What waits for an ack. */
interface Awaited {
	readonly acked: () => void;
	readonly nacked?: () => void;
}

/**
 * Finds out who does not answer (SWIM): a ping to the next node; after half a second pings by way of three others and by
 * TCP; at the end of the interval the node is suspected. It also answers pings, and pings for others.
 */
export class Prober {
	readonly #membership: Membership;
	readonly #transport: Transport;
	readonly #clock: Clock;
	readonly #effects: ProberEffects;
	readonly #awaited = new Map<number, Awaited>();
	readonly #timers = new Set<Timer>();
	#seqNo = 0;

	constructor(membership: Membership, transport: Transport, clock: Clock, effects: ProberEffects) {
		this.#membership = membership;
		this.#transport = transport;
		this.#clock = clock;
		this.#effects = effects;
	}

	/** One probe of one node; `done` when it is known how it ended. */
	probe(done: () => void): void {
		const { members, self } = this.#membership;
		const target = members.nextToProbe(this.#clock.now, (member) => member === self || member.gone);
		if (target === undefined) done();
		else this.#probe(target, done);
	}

	#probe(target: Member, done: () => void): void {
		const { awareness } = this.#membership;
		const { now } = this.#clock;
		const interval = awareness.scale(PROBE_INTERVAL);
		const { incarnation } = target;
		const seqNo = this.#nextSeqNo();
		const ping = this.#pingOf(target.name, seqNo);
		let [expected, nacks, byTcp] = [0, 0, false];
		const over = (delta: number): void => {
			this.#awaited.delete(seqNo);
			this.#cancel(patience);
			this.#cancel(deadline);
			awareness.apply(delta);
			done();
		};
		const askOthers = (): void => {
			expected = this.#pingByOthers(target, seqNo);
			if (!target.takesTcpPings) return;
			this.#pingByTcp(target, ping, now + interval, () => {
				byTcp = true;
			});
		};
		const patience = this.#after(PROBE_TIMEOUT, askOthers);
		const deadline = this.#after(interval, () => {
			if (byTcp) {
				this.#effects.log(
					`memberlist: Was able to connect to ${target.name} over TCP but UDP probes failed, network may be misconfigured`,
				);
				over(-1);
				return;
			}
			over(expected > 0 ? Math.max(expected - nacks, 0) : 1);
			this.#effects.log(`memberlist: Suspect ${target.name} has failed, no acks received`);
			this.#membership.suspect({
				type: "suspect",
				incarnation,
				node: target.name,
				from: this.#membership.self.name,
			});
		});
		this.#awaited.set(seqNo, { acked: () => over(-1), nacked: () => nacks++ });
		if (this.#pingBySuspicion(target, ping)) return;
		this.#cancel(patience);
		askOthers();
	}

	/** Pings; a suspect is told at once that it is one, to let it speak for itself. */
	#pingBySuspicion(target: Member, ping: memberlist.Ping): boolean {
		if (target.state === "alive") return this.#effects.send(ping, target);
		const { incarnation, name: node } = target;
		const from = this.#membership.self.name;
		return this.#effects.sendTogether([ping, { type: "suspect", incarnation, node, from }], target);
	}

	/** Asks three others; says how many of them are to tell when they hear nothing. */
	#pingByOthers(target: Member, seqNo: number): number {
		const { members, self } = this.#membership;
		const skip = (member: Member): boolean =>
			member === self || member.name === target.name || member.state !== "alive";
		let expected = 0;
		for (const helper of members.some(INDIRECT_CHECKS, skip)) {
			const nack = helper.sendsNacks;
			if (nack) expected++;
			const request: memberlist.IndirectPing = {
				...this.#pingOf(target.name, seqNo),
				type: "indirect-ping",
				nack,
				target: octetsOf(target.ip),
				port: target.port,
			};
			this.#effects.send(request, helper);
		}
		return expected;
	}

	#pingByTcp(target: Member, ping: memberlist.Ping, deadline: number, answered: () => void): void {
		const conversation = this.#transport.dial(target, deadline - this.#clock.now);
		if (conversation === undefined) return;
		conversation.send(ping);
		conversation.onMessage = (message) => {
			if (message?.type === "ack" && message.seqNo === ping.seqNo) answered();
			conversation.close();
		};
	}

	/** A ping came in. */
	answer(ping: memberlist.Ping, from: Endpoint): void {
		const ack = this.ackOf(ping);
		if (ack !== undefined) this.#effects.send(ack, sourceOf(ping, from));
	}

	/** The answer to a ping; none when it is for another node, which had this address before. */
	ackOf({ node, seqNo }: memberlist.Ping): memberlist.Ack | undefined {
		if (node === "" || node === this.#membership.self.name) return { type: "ack", seqNo, payload: null };
		this.#effects.log(`memberlist: Got ping for unexpected node '${node}'`);
		return undefined;
	}

	/** Somebody asks to ping another node. */
	pingFor(request: memberlist.IndirectPing, from: Endpoint): void {
		const ip = ipOf(request.target);
		if (ip === undefined) return;
		const to = sourceOf(request, from);
		const seqNo = this.#nextSeqNo();
		const patience = this.#after(PROBE_TIMEOUT, () => {
			this.#awaited.delete(seqNo);
			if (request.nack) this.#effects.send({ type: "nack", seqNo: request.seqNo }, to);
		});
		this.#awaited.set(seqNo, {
			acked: () => {
				this.#awaited.delete(seqNo);
				this.#cancel(patience);
				this.#effects.send({ type: "ack", seqNo: request.seqNo, payload: null }, to);
			},
		});
		const port = request.port === 0 ? memberlist.PORT : request.port;
		this.#effects.send(this.#pingOf(request.node, seqNo), { ip, port });
	}

	/** An ack came in. */
	acked({ seqNo }: memberlist.Ack): void {
		this.#awaited.get(seqNo)?.acked();
	}

	/** A nack came in. */
	nacked({ seqNo }: memberlist.Nack): void {
		this.#awaited.get(seqNo)?.nacked?.();
	}

	/** Ends everything that is under way. */
	stop(): void {
		for (const timer of this.#timers) timer.cancel();
		this.#timers.clear();
		this.#awaited.clear();
	}

	#pingOf(node: string, seqNo: number): memberlist.Ping {
		const { ip, port, name } = this.#membership.self;
		return { type: "ping", seqNo, node, sourceAddr: octetsOf(ip), sourcePort: port, sourceNode: name };
	}

	#nextSeqNo(): number {
		return (this.#seqNo = (this.#seqNo + 1) >>> 0);
	}

	#after(delay: number, action: () => void): Timer {
		const timer = new Timer(() => {
			this.#timers.delete(timer);
			action();
		});
		this.#timers.add(timer);
		this.#clock.after(delay, timer);
		return timer;
	}

	#cancel(timer: Timer): void {
		timer.cancel();
		this.#timers.delete(timer);
	}
}

/** Where an answer goes: to the address in the message, else to where it came from. */
function sourceOf(
	{ sourceAddr, sourcePort }: Pick<memberlist.Ping, "sourceAddr" | "sourcePort">,
	from: Endpoint,
): Endpoint {
	const ip = ipOf(sourceAddr);
	return ip === undefined || sourcePort === 0 ? from : { ip, port: sourcePort };
}
