import { isDrop, type DropReason } from "../../drop.ts";
import { type Nanoseconds, Timer } from "../../sim/index.ts";
import type { TcpSocket } from "../../stack/index.ts";
import { joined, memberlist, memberlistPacket } from "../../wire/index.ts";
import type { Keyring } from "./keyring.ts";
import { TCP_TIMEOUT } from "./scale.ts";
import type { Clock } from "../clock.ts";

/** What conversations share. */
export interface ConversationOptions {
	readonly clock: Clock;
	readonly keyring: Keyring;
	/** Twelve octets for one encryption. */
	readonly nonce: () => Uint8Array;
	/** Octets that could not be read. */
	readonly dropped: (reason: DropReason) => void;
}

/**
 * One TCP connection of the gossip: at most one message each way, then it is over. Whoever waits longer than its timeout
 * gives up.
 */
export class Conversation {
	/** The connection is there. */
	onConnect: (() => void) | null = null;
	/** The other side's message; undefined when there will be none. Called once. */
	onMessage: ((message: memberlist.StreamMessage | undefined) => void) | null = null;
	/** Everything was handed to the kernel. Called once. */
	onSent: (() => void) | null = null;
	/** It is over, for whatever reason. Called once. */
	onEnd: (() => void) | null = null;
	readonly #socket: TcpSocket;
	readonly #options: ConversationOptions;
	readonly #deadline: Timer;
	#unsent: Uint8Array = new Uint8Array(0);
	#connected: boolean;
	#closing = false;
	#ended = false;
	#heard = false;
	readonly #received: Uint8Array[] = [];
	#octets = 0;
	/** How long the message will be, once it says so. */
	#announced: number | undefined;

	/** Takes over a socket, which may still be connecting. */
	constructor(socket: TcpSocket, options: ConversationOptions, timeout: Nanoseconds = TCP_TIMEOUT) {
		this.#socket = socket;
		this.#options = options;
		this.#connected = socket.state === "established";
		this.#deadline = new Timer(() => {
			this.close();
			this.#silent();
		});
		this.extend(timeout);
		socket.onConnect = () => {
			this.#connected = true;
			this.onConnect?.();
			this.#flush();
		};
		socket.onWritable = () => {
			this.#flush();
		};
		socket.onReadable = () => {
			this.#read();
		};
		socket.onClose = () => {
			this.#end();
			this.#silent();
		};
	}

	/** Gives it `timeout` more from now (`SetDeadline`). */
	extend(timeout: Nanoseconds): void {
		if (!this.#ended) this.#options.clock.after(timeout, this.#deadline);
	}

	/** Sends the message, at once or when the connection is there. */
	send(message: memberlist.StreamMessage): void {
		const { keyring, nonce } = this.#options;
		this.#unsent = memberlistPacket.sealStream(memberlist.writeStream(message), {
			key: keyring.primary,
			nonce: nonce(),
		});
		this.#flush();
	}

	#flush(): void {
		if (!this.#connected || this.#ended) return;
		const sending = this.#unsent.length > 0;
		while (this.#unsent.length > 0) {
			const taken = this.#write();
			if (taken === 0) return;
			this.#unsent = this.#unsent.subarray(taken);
		}
		if (sending) this.onSent?.();
		if (this.#closing) this.close();
	}

	/** What the kernel took. When the other side is gone the socket says so, too. */
	#write(): number {
		try {
			return this.#socket.write(this.#unsent);
		} catch {
			this.#end();
			this.#silent();
			return 0;
		}
	}

	/** Ends it as soon as everything is written. */
	closeWhenSent(): void {
		this.#closing = true;
		this.#flush();
	}

	/** Ends it now. */
	close(): void {
		if (this.#ended) return;
		this.#end();
		this.#socket.close();
	}

	#end(): void {
		if (this.#ended) return;
		this.#ended = true;
		this.#deadline.cancel();
		this.onEnd?.();
	}

	#read(): void {
		const octets = this.#socket.read();
		if (this.#heard || this.#ended) return;
		if (octets.length > 0) this.#take(octets);
		// The other side sends no more, and it was not enough.
		if (this.#socket.ended && !this.#isHeard()) {
			if (this.#octets > 0) this.#options.dropped("memberlist-truncated");
			this.#silent();
		}
	}

	#take(octets: Uint8Array): void {
		this.#received.push(octets);
		this.#octets += octets.length;
		this.#announced ??= this.#readHeader();
		if (this.#announced === undefined || this.#octets < this.#announced) return;
		const whole = this.#whole();
		const plain = memberlistPacket.openStream(whole.subarray(0, this.#announced), this.#options.keyring.keys);
		const message = isDrop(plain) ? plain : memberlist.readStream(plain);
		if (isDrop(message)) this.#refuse(message);
		else {
			this.#heard = true;
			this.onMessage?.(message);
		}
	}

	#readHeader(): number | undefined {
		const octets = memberlistPacket.streamOctets(this.#whole());
		if (!isDrop(octets)) return octets;
		this.#refuse(octets);
		return undefined;
	}

	/** What was received, in one piece. */
	#whole(): Uint8Array {
		const [first, ...others] = this.#received;
		if (first === undefined || others.length === 0) return first ?? new Uint8Array(0);
		const whole = joined(this.#received);
		this.#received.splice(0, this.#received.length, whole);
		return whole;
	}

	/** Asked of a method, since what is done in between may have changed it. */
	#isHeard(): boolean {
		return this.#heard;
	}

	#refuse(reason: DropReason): void {
		this.#options.dropped(reason);
		this.#silent();
		this.close();
	}

	#silent(): void {
		if (this.#heard) return;
		this.#heard = true;
		this.onMessage?.(undefined);
	}
}
