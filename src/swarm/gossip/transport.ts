import type { Ip4 } from "../../addr/index.ts";
import { type DropReason, isDrop } from "../../drop.ts";
import { NetError } from "../../errors.ts";
import type { Nanoseconds, Rng } from "../../sim/index.ts";
import type { IpNamespace, TcpListener, UdpSocket } from "../../stack/index.ts";
import { memberlist, memberlistPacket, NONCE_OCTETS } from "../../wire/index.ts";
import type { Clock } from "../clock.ts";
import { Conversation, type ConversationOptions } from "./conversation.ts";
import type { Keyring } from "./keyring.ts";
import { TCP_TIMEOUT } from "./scale.ts";

/** Where a node is reached. */
export interface Endpoint {
	readonly ip: Ip4;
	readonly port: number;
}

/** Who is told of what comes in. */
export interface TransportEvents {
	/** A message of a datagram; its octets are valid during the call. */
	readonly message: (message: memberlist.Message, from: Endpoint) => void;
	/** Another node began a conversation and said this. The listener answers or closes it. */
	readonly request: (message: memberlist.StreamMessage, conversation: Conversation) => void;
	/** The sockets are gone: whoever has the namespace ended its programs. */
	readonly lost: () => void;
}

/** A way to the network: the sockets of port 7946, with encryption, compression and checksums around what they carry. */
export class Transport {
	/** What came in and could not be used, by reason. */
	readonly drops: Map<DropReason, number> = new Map();
	readonly #ns: IpNamespace;
	readonly #keyring: Keyring;
	readonly #rng: Rng;
	readonly #events: TransportEvents;
	readonly #shared: ConversationOptions;
	readonly #conversations = new Set<Conversation>();
	readonly #unwrapped: memberlistPacket.Unwrapped;
	#from: Endpoint = { ip: 0 as Ip4, port: 0 };
	#udp: UdpSocket | undefined;
	#listener: TcpListener | undefined;

	constructor(ns: IpNamespace, clock: Clock, keyring: Keyring, rng: Rng, events: TransportEvents) {
		this.#ns = ns;
		this.#keyring = keyring;
		this.#rng = rng;
		this.#events = events;
		const dropped = (reason: DropReason): void => {
			this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
		};
		this.#shared = {
			clock,
			keyring,
			nonce: () => this.#nonce(),
			dropped,
		};
		this.#unwrapped = {
			dropped,
			heard: (octets) => {
				const message = memberlist.read(octets);
				if (isDrop(message)) dropped(message);
				else events.message(message, this.#from);
			},
		};
	}

	/** Opens the port on all addresses. Throws `NetError` EADDRINUSE; nothing is open then. */
	open(): void {
		const listener = this.#ns.tcp.listen({ port: memberlist.PORT, family: "inet6" });
		try {
			this.#udp = this.#ns.udp({ port: memberlist.PORT, family: "inet6" });
		} catch (error) {
			listener.close();
			throw error;
		}
		this.#listener = listener;
		listener.onConnection = (socket) => {
			this.#converse(new Conversation(socket, this.#shared));
		};
		this.#udp.handler = (frame, at, octets, ip, port) => {
			this.#from = { ip, port };
			const payload = frame.bytes.subarray(at, at + octets);
			memberlistPacket.openPacket(payload, this.#keyring.keys, this.#unwrapped);
		};
	}

	/** Closes all sockets, as when the process ends. */
	close(): void {
		this.#udp?.close();
		this.#listener?.close();
		this.#udp = this.#listener = undefined;
		for (const conversation of [...this.#conversations]) {
			conversation.onMessage = null;
			conversation.close();
		}
	}

	/** False when there are no sockets; when they were taken away, that is told. */
	#isOpen(): boolean {
		if (this.#listener?.closed === true) this.#events.lost();
		return this.#listener !== undefined;
	}

	/** Sends a message, or a compound, in one datagram; the reason why it could not be sent. */
	send(
		message: Uint8Array,
		to: Endpoint,
		{ crc = false }: { readonly crc?: boolean } = {},
	): NetError | undefined {
		if (!this.#isOpen()) return undefined;
		const payload = memberlistPacket.sealPacket(message, {
			key: this.#keyring.primary,
			nonce: this.#nonce(),
			crc,
		});
		try {
			this.#udp?.send(payload, { address: to.ip, port: to.port });
			return undefined;
		} catch (error) {
			return refusal(error);
		}
	}

	/** Begins a conversation; undefined when there is no way. */
	dial(to: Endpoint, timeout: Nanoseconds = TCP_TIMEOUT): Conversation | undefined {
		if (!this.#isOpen()) return undefined;
		try {
			const socket = this.#ns.tcp.connect({ address: to.ip, port: to.port });
			const conversation = new Conversation(socket, this.#shared, timeout);
			this.#keep(conversation);
			return conversation;
		} catch (error) {
			refusal(error);
			return undefined;
		}
	}

	#converse(conversation: Conversation): void {
		this.#keep(conversation);
		conversation.onMessage = (message) => {
			if (message === undefined) conversation.close();
			else this.#events.request(message, conversation);
		};
	}

	#keep(conversation: Conversation): void {
		this.#conversations.add(conversation);
		conversation.onEnd = () => {
			this.#conversations.delete(conversation);
		};
	}

	#nonce(): Uint8Array {
		const nonce = new Uint8Array(NONCE_OCTETS);
		this.#rng.bytes(nonce);
		return nonce;
	}
}

/** What a socket refused; anything else is a bug of ours and goes on. */
function refusal(error: unknown): NetError {
	if (error instanceof NetError) return error;
	throw error;
}
