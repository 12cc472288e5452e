/** Octets of the length in front of each message by TCP (RFC 1035 §4.2.2). */
const LENGTH = 2;

/** A message as it goes over TCP: its length in front. */
export const withLength = (message: Uint8Array): Uint8Array =>
	Uint8Array.from([message.length >>> 8, message.length & 0xff, ...message]);

/** Cuts a stream of octets into messages. */
export class MessageStream {
	readonly #heard: (message: Uint8Array) => void;
	#waiting: Uint8Array = new Uint8Array(0);

	constructor(heard: (message: Uint8Array) => void) {
		this.#heard = heard;
	}

	/** More octets came. */
	push(octets: Uint8Array): void {
		this.#waiting = Uint8Array.from([...this.#waiting, ...octets]);
		for (;;) {
			const [high, low] = this.#waiting;
			if (high === undefined || low === undefined) return;
			const end = LENGTH + high * 256 + low;
			if (this.#waiting.length < end) return;
			const message = this.#waiting.slice(LENGTH, end);
			this.#waiting = this.#waiting.slice(end);
			this.#heard(message);
		}
	}
}
