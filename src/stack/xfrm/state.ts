import { type Ip4, toIp4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Instant, Rng } from "../../sim/index.ts";
import { AesGcm } from "../../wire/index.ts";
import { Lifetime, type LimitOptions } from "./lifetime.ts";
import { Mark, type MarkOptions } from "./mark.ts";
import { Replay } from "./replay.ts";
import { Selector, type SelectorOptions } from "./selector.ts";

/** Flags of a state that `ip xfrm state` prints, with their bits. */
const FLAGS = {
	noecn: 1,
	"decap-dscp": 2,
	nopmtudisc: 4,
	wildrecv: 8,
	icmp: 16,
	"af-unspec": 32,
	align4: 64,
	esn: 128,
};

/** A flag of a state; what is not `esn` is kept and shown. */
export type StateFlag = keyof typeof FLAGS;

/** `aead NAME KEY ICV`: authenticated encryption. */
export interface AeadOptions {
	/** `rfc4106(gcm(aes))` is what there is. */
	readonly name: string;
	/** `0x…`: 16, 24 or 32 octets of AES key and 4 of salt. */
	readonly key: string | Uint8Array;
	/** Bits of the tag: 64, 96 or 128. */
	readonly icv: number;
}

/** What names a state: `ip xfrm state … src … dst … proto … spi …`. */
export interface StateId {
	readonly src?: Ip4 | string;
	readonly dst: Ip4 | string;
	/** `esp` is what there is. */
	readonly proto: "esp";
	readonly spi: number;
	readonly mark?: MarkOptions | number;
}

/** `ip xfrm state add …`. */
export interface StateOptions extends StateId {
	readonly src: Ip4 | string;
	readonly aead: AeadOptions;
	readonly reqid?: number;
	/** `transport` is what there is. */
	readonly mode?: "transport";
	/** Numbers looked back for replays: 0 (off) unless said; above 32, or with `esn`, a longer bitmap. */
	readonly replayWindow?: number;
	/** Last sequence number sent (`replay-oseq`) and highest one received (`replay-seq`). */
	readonly replayOseq?: number;
	readonly replaySeq?: number;
	readonly flag?: readonly StateFlag[];
	/** Packets that may use it; all of them unless said. */
	readonly sel?: SelectorOptions;
	readonly limit?: LimitOptions;
	/** The random half of the IVs, which the kernel draws: 8 octets, for those who repeat a recording. */
	readonly ivSalt?: Uint8Array;
}

const NAME = "rfc4106(gcm(aes))";
const SALT_OCTETS = 4;
/** Octets of the IV in each packet. */
export const IV_OCTETS = 8;
const KEY_OCTETS: readonly number[] = [16 + SALT_OCTETS, 24 + SALT_OCTETS, 32 + SALT_OCTETS];
const ICV_BITS: readonly number[] = [64, 96, 128];
/** Longest bitmap in 32-bit words (`XFRMA_REPLAY_ESN_MAX`). */
const LONGEST_WINDOW = 4096;

/**
 * One security association (`struct xfrm_state`): what `ip xfrm state` lists. ESP in transport mode with
 * rfc4106(gcm(aes)). Reference: net/xfrm/xfrm_state.c, `esp_init_aead` in net/ipv4/esp4.c.
 */
export class XfrmState {
	readonly src: Ip4;
	readonly dst: Ip4;
	readonly spi: number;
	readonly mark: Mark;
	readonly reqid: number;
	readonly flags: ReadonlySet<StateFlag>;
	readonly selector: Selector;
	readonly lifetime: Lifetime;
	readonly replay: Replay;
	/** AES key and salt, as `ip xfrm` prints them. */
	readonly key: Uint8Array;
	readonly cipher: AesGcm;
	/** Salt (4), then the IV of the packet at work (8). */
	readonly nonce: Uint8Array = new Uint8Array(SALT_OCTETS + IV_OCTETS);
	/** The random half of the IVs (`seqiv`). */
	readonly ivSalt: Uint8Array = new Uint8Array(IV_OCTETS);
	/** What a packet that came by this state alone remembers of it. */
	readonly path: readonly XfrmState[] = [this];
	/** `valid`, or over: `expired` by its limits, `dead` when deleted. */
	status: "valid" | "expired" | "dead" = "valid";
	/** A soft limit was reached: a younger state is preferred. */
	dying = false;
	/** Packets refused: too old, replayed, with a wrong tag (`stats:`). */
	readonly stats: Record<"replay-window" | "replay" | "failed", number> = {
		"replay-window": 0,
		replay: 0,
		failed: 0,
	};

	/** Throws `NetError` ENOSYS, EINVAL; RangeError for what is no address, key or number. */
	constructor(options: StateOptions, now: Instant, rng: Rng) {
		this.src = toIp4(options.src, "src");
		this.dst = toIp4(options.dst, "dst");
		this.spi = unsigned(options.spi, "spi");
		this.mark = new Mark(options.mark);
		this.reqid = unsigned(options.reqid ?? 0, "reqid");
		this.flags = new Set(options.flag);
		this.selector = new Selector(options.sel ?? {});
		this.lifetime = new Lifetime(options.limit ?? {}, now);
		this.replay = makeReplay(options);
		this.key = toKey(options.aead);
		this.cipher = new AesGcm(this.key.subarray(0, -SALT_OCTETS), options.aead.icv / 8);
		this.nonce.set(this.key.subarray(-SALT_OCTETS));
		if (options.ivSalt === undefined) rng.bytes(this.ivSalt);
		else this.ivSalt.set(options.ivSalt);
	}

	/** All flags as one number. */
	get flagBits(): number {
		return [...this.flags].reduce((bits, flag) => bits | FLAGS[flag], 0);
	}

	/** The flags in the order `ip xfrm` prints them. */
	get flagNames(): string[] {
		return Object.keys(FLAGS).filter((flag) => this.flags.has(flag as StateFlag));
	}

	/** Sets the IV of the packet with this number: the random half XOR the number (`seqiv_aead_encrypt`). */
	setIv(number: number): void {
		const { nonce, ivSalt } = this;
		let rest = number;
		for (let i = IV_OCTETS - 1; i >= 0; i--) {
			nonce[SALT_OCTETS + i] = ivSalt[i]! ^ (rest & 0xff);
			rest = Math.floor(rest / 256);
		}
	}
}

function makeReplay(options: StateOptions): Replay {
	const window = unsigned(options.replayWindow ?? 0, "replayWindow");
	const esn = options.flag?.includes("esn") === true;
	if (esn && window === 0) {
		throw new NetError("EINVAL", "Error: esn flag set without replay-window.", {
			remedy: "Extended sequence numbers need a window to tell their upper half by: set replayWindow.",
		});
	}
	if (window > LONGEST_WINDOW) {
		throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
			remedy: `A replay window has at most ${String(LONGEST_WINDOW)} numbers.`,
			context: { replayWindow: window },
		});
	}
	const replay = new Replay(esn ? "esn" : window > 32 ? "bitmap" : "legacy", window);
	replay.oseq = options.replayOseq ?? 0;
	replay.seq = options.replaySeq ?? 0;
	return replay;
}

function toKey({ name, key, icv }: AeadOptions): Uint8Array {
	if (name !== NAME) {
		throw new NetError("ENOSYS", "Error: Requested AEAD algorithm not found.", {
			remedy: `Use ${NAME}.`,
			context: { name },
		});
	}
	const octets = typeof key === "string" ? fromHex(key) : key.slice();
	if (!KEY_OCTETS.includes(octets.length) || !ICV_BITS.includes(icv)) {
		throw new NetError("EINVAL", "Error: Kernel was unable to initialize cryptographic operations.", {
			remedy: "The key has 16, 24 or 32 octets and 4 of salt behind them, the tag 64, 96 or 128 bits.",
			context: { octets: octets.length, icv },
		});
	}
	return octets;
}

function fromHex(text: string): Uint8Array {
	if (!/^0x([0-9a-f]{2})*$/i.test(text)) {
		throw new RangeError(`key is ${JSON.stringify(text)}, expected 0x and pairs of hexadecimal digits`);
	}
	return Uint8Array.from({ length: text.length / 2 - 1 }, (_, i) =>
		Number.parseInt(text.slice(2 + 2 * i, 4 + 2 * i), 16),
	);
}

/** A whole number of 32 bits. Throws RangeError that names `argument`. */
export function unsigned(value: number, argument: string): number {
	if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
	throw new RangeError(`${argument} is ${String(value)}, expected a whole number below 2^32`);
}
