import { gcm } from "@noble/ciphers/aes.js";
import { Rng } from "../../sim/index.ts";
import { tls } from "../../wire/index.ts";

const KEY_OCTETS = 16;
const IV_OCTETS = 12;

/**
 * One direction's sealing of records under one key (RFC 8446 §5.2, §5.3).
 *
 * Both sides draw the key from what both sent in the clear: records are sealed as the suite has it, but whoever saw the
 * hellos could open them.
 */
export class RecordProtection {
	readonly #key = new Uint8Array(KEY_OCTETS);
	readonly #iv = new Uint8Array(IV_OCTETS);
	#sequence = 0;

	/** `label` tells directions and stages apart. */
	constructor(clientRandom: Uint8Array, serverRandom: Uint8Array, label: string) {
		const rng = new Rng(`tls/${clientRandom.join()}/${serverRandom.join()}/${label}`);
		rng.bytes(this.#key);
		rng.bytes(this.#iv);
	}

	/** A record of application data with a fragment of any type in it. */
	seal(type: number, fragment: Uint8Array): Uint8Array {
		const inner = new Uint8Array(fragment.length + 1);
		inner.set(fragment);
		inner[fragment.length] = type;
		const header = this.#header(fragment.length + tls.SEAL_OCTETS);
		const sealed = gcm(this.#key, this.#nonce(), header).encrypt(inner);
		return tls.write({ type: tls.CONTENT.APPLICATION_DATA, version: tls.VERSION.TLS_1_2, fragment: sealed });
	}

	/** What was sealed; undefined when it was not under this key, or something is missing. */
	open(sealed: Uint8Array): { readonly type: number; readonly fragment: Uint8Array } | undefined {
		if (sealed.length < tls.SEAL_OCTETS) return undefined;
		try {
			const inner = gcm(this.#key, this.#nonce(), this.#header(sealed.length)).decrypt(sealed);
			const end = inner.findLastIndex((octet) => octet !== 0);
			return { type: inner[end] ?? 0, fragment: inner.slice(0, Math.max(end, 0)) };
		} catch {
			return undefined;
		}
	}

	#header(octets: number): Uint8Array {
		const { APPLICATION_DATA } = tls.CONTENT;
		return Uint8Array.of(APPLICATION_DATA, 3, 3, octets >>> 8, octets & 0xff);
	}

	#nonce(): Uint8Array {
		const nonce = this.#iv.slice();
		let rest = this.#sequence++;
		for (let i = IV_OCTETS - 1; rest > 0; i--) {
			nonce[i] = (nonce[i] ?? 0) ^ (rest % 256);
			rest = Math.floor(rest / 256);
		}
		return nonce;
	}
}
