import { joined } from "../../wire/index.ts";

// Messages of a gRPC stream: | compressed 1 | length 4 | message … |
const PREFIX_OCTETS = 5;

/** A message with what gRPC puts in front. */
export function withPrefix(message: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(PREFIX_OCTETS + message.length);
	new DataView(bytes.buffer).setUint32(1, message.length);
	bytes.set(message, PREFIX_OCTETS);
	return bytes;
}

/** Cuts the data of one stream into messages. */
export class MessageStream {
	#waiting: Uint8Array = new Uint8Array(0);

	/** The messages that are complete with these octets. */
	push(octets: Uint8Array): Uint8Array[] {
		this.#waiting = joined([this.#waiting, octets]);
		const messages: Uint8Array[] = [];
		while (this.#waiting.length >= PREFIX_OCTETS) {
			const { buffer, byteOffset, byteLength } = this.#waiting;
			const end = PREFIX_OCTETS + new DataView(buffer, byteOffset, byteLength).getUint32(1);
			if (this.#waiting.length < end) break;
			messages.push(this.#waiting.slice(PREFIX_OCTETS, end));
			this.#waiting = this.#waiting.subarray(end);
		}
		return messages;
	}
}
