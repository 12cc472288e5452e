import { behind, leftOf, NO_OCTETS } from "../../wire/index.ts";

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
	#waiting: Uint8Array = NO_OCTETS;

	/** The messages that are complete with these octets, as views: who calls leaves the octets as they are. */
	push(octets: Uint8Array): Uint8Array[] {
		const stream = behind(this.#waiting, octets);
		const { buffer, byteOffset, byteLength } = stream;
		const view = new DataView(buffer, byteOffset, byteLength);
		const messages: Uint8Array[] = [];
		let at = 0;
		while (stream.length - at >= PREFIX_OCTETS) {
			const end = at + PREFIX_OCTETS + view.getUint32(at + 1);
			if (stream.length < end) break;
			messages.push(stream.subarray(at + PREFIX_OCTETS, end));
			at = end;
		}
		this.#waiting = leftOf(stream, at);
		return messages;
	}
}
