import { NetError } from "../../errors.ts";
import { type Rng, seconds, Timer } from "../../sim/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { memberlist, memberlistPacket } from "../../wire/index.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import type { Conversation } from "./conversation.ts";
import type { Keyring } from "./keyring.ts";
import type { CommonNodes } from "./cluster-nodes.ts";
import type { Member } from "./member.ts";
import { Membership } from "./membership.ts";
import { Prober } from "./prober.ts";
import {
	GOSSIP_INTERVAL,
	GOSSIP_NODES,
	GOSSIP_TO_THE_DEAD,
	PACKET_OCTETS,
	PROBE_INTERVAL,
	pushPullInterval,
	TCP_TIMEOUT,
} from "./scale.ts";
import { Ticker } from "./ticker.ts";
import { type Endpoint, Transport } from "./transport.ts";
import type { Clock } from "../clock.ts";

/** The type in front of octets of the layer above. */
const USER_OCTETS = 1;
/** How long a leaving node waits for that to be told. */
const LEAVE_TIMEOUT = seconds(1);
const FIRST_PUSH_PULL = seconds(30);

/** The layer above memberlist (its `Delegate` and `EventDelegate`). */
export interface MemberlistDelegate {
	/** Whether it has anything to be told to all. */
	readonly hasBroadcasts: () => boolean;
	/** Takes what is to be told: at most `limit` octets, each message costing `overhead` beyond its own. */
	readonly broadcasts: (overhead: number, limit: number) => Uint8Array[];
	/** A message for this layer; its octets are valid during the call. */
	readonly heard: (payload: Uint8Array) => void;
	/** Its part of a push/pull. */
	readonly localState: (join: boolean) => Uint8Array;
	readonly mergeState: (state: Uint8Array) => void;
	readonly joined: (member: Member) => void;
	readonly introduced: (common: CommonNodes, unknown: readonly Member[]) => void;
	readonly left: (member: Member) => void;
	/** The sockets are gone without this side's doing. */
	readonly lost: () => void;
	readonly log: (line: string) => void;
}

/**
 * A node's part in the cluster: it probes, gossips, exchanges states. Reference: HashiCorp's memberlist 0.2.4, with the
 * configuration for LANs.
 */
export class Memberlist {
	readonly membership: Membership;
	readonly transport: Transport;
	readonly #delegate: MemberlistDelegate;
	readonly #clock: Clock;
	readonly #rng: Rng;
	readonly #queue: BroadcastQueue;
	readonly #prober: Prober;
	readonly #gossip: Ticker;
	readonly #probes: Ticker;
	readonly #pushPulls: Timer;

	constructor(
		ns: IpNamespace,
		clock: Clock,
		self: Member,
		keyring: Keyring,
		rng: Rng,
		delegate: MemberlistDelegate,
	) {
		this.#delegate = delegate;
		this.#clock = clock;
		this.#rng = rng.fork("push-pull");
		this.#queue = new BroadcastQueue(() => this.membership.members.count);
		this.membership = new Membership(self, this.#clock, rng.fork("members"), {
			broadcast: (broadcast) => {
				this.#queue.add(broadcast);
				this.wakeGossip();
			},
			joined: delegate.joined,
			introduced: delegate.introduced,
			left: delegate.left,
			log: delegate.log,
		});
		this.transport = new Transport(ns, clock, keyring, rng.fork("nonces"), {
			lost: delegate.lost,
			message: (message, from) => {
				this.#heard(message, from);
			},
			request: (message, conversation) => {
				this.#requested(message, conversation);
			},
		});
		this.#prober = new Prober(this.membership, this.transport, this.#clock, {
			send: (message, to) => this.#sendWithBroadcasts(memberlist.write(message), to),
			sendTogether: (messages, to) => this.#sendTo(to, messages.map(memberlist.write)),
			log: delegate.log,
		});
		const ticks = rng.fork("ticks");
		this.#probes = new Ticker({
			clock: this.#clock,
			rng: ticks,
			period: PROBE_INTERVAL,
			action: (done) => {
				this.#prober.probe(done);
			},
			needed: () => this.membership.members.count > 1,
		});
		this.#gossip = new Ticker({
			clock: this.#clock,
			rng: ticks,
			period: GOSSIP_INTERVAL,
			action: (done) => {
				this.#tellSome();
				done();
			},
			needed: () => this.membership.members.count > 1 && (this.#queue.size > 0 || delegate.hasBroadcasts()),
		});
		this.#pushPulls = new Timer(() => {
			this.#pushPull();
		});
	}

	/** Begins. Throws `NetError` EADDRINUSE when the port is taken. */
	start(): void {
		this.transport.open();
		this.membership.begin();
		this.#probes.start();
		this.#gossip.start();
		this.#nextPushPull(this.#rng.below(FIRST_PUSH_PULL));
	}

	/** Ends at once, without a word. */
	stop(): void {
		this.#probes.stop();
		this.#gossip.stop();
		this.#pushPulls.cancel();
		this.#prober.stop();
		this.membership.stop();
		this.transport.close();
	}

	/** There is something to be told to all. */
	wakeGossip(): void {
		this.#gossip.wake();
		this.#probes.wake();
	}

	/**
	 * Exchanges states with nodes at these addresses, one after the other; `done` is told how many answered, and the last
	 * failure.
	 */
	join(addresses: readonly Endpoint[], done: (joined: number) => void): void {
		let joined = 0;
		const next = (at: number): void => {
			const to = addresses[at];
			if (to === undefined) {
				done(joined);
				return;
			}
			this.#exchange(to, true, (worked) => {
				if (worked) joined++;
				next(at + 1);
			});
		};
		next(0);
	}

	/** Says that this node leaves; `done` when that was told, or after a second. */
	leave(done: (error: NetError | undefined) => void): void {
		let over = false;
		const end = (error: NetError | undefined): void => {
			if (over) return;
			over = true;
			patience.cancel();
			done(error);
		};
		const patience = new Timer(() => {
			end(new NetError("ETIMEDOUT", "timeout waiting for leave broadcast"));
		});
		this.membership.leave(() => {
			end(undefined);
		});
		if (!this.membership.anyAlive) end(undefined);
		else if (!patience.pending) this.#clock.after(LEAVE_TIMEOUT, patience);
	}

	/** Sends octets of the layer above to a member in a datagram. */
	sendBestEffort(to: Member, payload: Uint8Array): void {
		this.#sendTo(to, [memberlist.write({ type: "user", payload })]);
	}

	/** Sends octets of the layer above to a member by TCP; `done` says whether they were handed over. */
	sendReliable(to: Endpoint, payload: Uint8Array, done: (sent: boolean) => void): void {
		const conversation = this.transport.dial(to);
		if (conversation === undefined) {
			done(false);
			return;
		}
		let over = false;
		const end = (sent: boolean): void => {
			if (over) return;
			over = true;
			done(sent);
		};
		conversation.onMessage = () => {
			end(false);
		};
		conversation.onSent = () => {
			end(true);
		};
		conversation.send({ type: "user", payload });
		conversation.closeWhenSent();
	}

	// ── sending ───────────────────────────────────────────────────────────────────────────────────

	/** A round of gossip: to three nodes each what waits, and fits. */
	#tellSome(): void {
		const { members, self } = this.membership;
		const { now } = this.#clock;
		const skip = (member: Member): boolean =>
			member === self ||
			member.state === "left" ||
			(member.state === "dead" && now - member.since > GOSSIP_TO_THE_DEAD);
		const limit = PACKET_OCTETS - memberlist.COMPOUND_OCTETS - memberlistPacket.ENCRYPTION_OCTETS;
		for (const member of members.some(GOSSIP_NODES, skip)) {
			const messages = this.#broadcasts(limit);
			if (messages.length === 0) return;
			this.#sendTo(member, messages);
		}
	}

	#broadcasts(limit: number): Uint8Array[] {
		const overhead = memberlist.COMPOUND_EACH_OCTETS;
		const messages = this.#queue.take(overhead, limit);
		const left = messages.reduce((sum, { length }) => sum - length - overhead, limit);
		if (left <= overhead + USER_OCTETS) return messages;
		for (const payload of this.#delegate.broadcasts(overhead + USER_OCTETS, left))
			messages.push(memberlist.write({ type: "user", payload }));
		return messages;
	}

	/** Sends to a member that is known: with a checksum if it takes one. */
	#sendTo(to: Member, messages: readonly Uint8Array[]): boolean {
		return this.transport.send(joined(messages), to, { crc: to.takesCrc }) === undefined;
	}

	/** Sends to an address, with broadcasts that fit behind it. */
	#sendWithBroadcasts(message: Uint8Array, to: Endpoint): boolean {
		const limit =
			PACKET_OCTETS - message.length - memberlist.COMPOUND_OCTETS - memberlistPacket.ENCRYPTION_OCTETS;
		return this.transport.send(joined([message, ...this.#broadcasts(limit)]), to) === undefined;
	}

	// ── receiving ─────────────────────────────────────────────────────────────────────────────────

	#heard(message: memberlist.Message, from: Endpoint): void {
		switch (message.type) {
			case "ping":
				return this.#prober.answer(message, from);
			case "indirect-ping":
				return this.#prober.pingFor(message, from);
			case "ack":
				return this.#prober.acked(message);
			case "nack":
				return this.#prober.nacked(message);
			case "suspect":
				return this.membership.suspect(message);
			case "alive":
				return this.membership.alive(message);
			case "dead":
				return this.membership.dead(message);
			case "user":
				return this.#delegate.heard(message.payload);
			case "err":
		}
	}

	#requested(message: memberlist.StreamMessage, conversation: Conversation): void {
		conversation.extend(TCP_TIMEOUT);
		if (message.type === "push-pull") {
			conversation.send(this.#localState(message.join));
			this.#merge(message);
			conversation.closeWhenSent();
			return;
		}
		if (message.type === "user") this.#delegate.heard(message.payload);
		const ack = message.type === "ping" ? this.#prober.ackOf(message) : undefined;
		if (ack === undefined) {
			conversation.close();
			return;
		}
		conversation.send(ack);
		conversation.closeWhenSent();
	}

	// ── push/pull ─────────────────────────────────────────────────────────────────────────────────

	#nextPushPull(stagger = 0): void {
		this.#clock.after(stagger + pushPullInterval(this.membership.members.count), this.#pushPulls);
	}

	#pushPull(): void {
		const { members, self } = this.membership;
		const [to] = members.some(1, (member) => member === self || member.state !== "alive");
		if (to === undefined) {
			this.#nextPushPull();
			return;
		}
		this.#exchange(to, false, (worked) => {
			if (!worked) this.#delegate.log(`memberlist: Push/Pull with ${to.name} failed`);
			this.#nextPushPull();
		});
	}

	#exchange(to: Endpoint, join: boolean, done: (worked: boolean) => void): void {
		const conversation = this.transport.dial(to);
		if (conversation === undefined) {
			done(false);
			return;
		}
		conversation.onConnect = () => {
			conversation.extend(TCP_TIMEOUT);
			conversation.send(this.#localState(join));
		};
		conversation.onMessage = (message) => {
			conversation.close();
			done(message?.type === "push-pull" && this.#merge(message));
		};
	}

	#localState(join: boolean): memberlist.PushPull {
		return {
			type: "push-pull",
			join,
			nodes: this.membership.states(),
			userState: this.#delegate.localState(join),
		};
	}

	#merge({ nodes, userState }: memberlist.PushPull): boolean {
		if (!this.membership.merge(nodes)) return false;
		if (userState.length > 0) this.#delegate.mergeState(userState);
		return true;
	}
}

/** One message, or a compound of several. */
const joined = (messages: readonly Uint8Array[]): Uint8Array => {
	const [first] = messages;
	return first !== undefined && messages.length === 1 ? first : memberlist.compound(messages);
};
