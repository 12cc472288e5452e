/** The lines of /proc/net/xfrm_stat, in its order (net/xfrm/xfrm_proc.c). */
const NAMES = [
	"XfrmInError",
	"XfrmInBufferError",
	"XfrmInHdrError",
	"XfrmInNoStates",
	"XfrmInStateProtoError",
	"XfrmInStateModeError",
	"XfrmInStateSeqError",
	"XfrmInStateExpired",
	"XfrmInStateMismatch",
	"XfrmInStateInvalid",
	"XfrmInTmplMismatch",
	"XfrmInNoPols",
	"XfrmInPolBlock",
	"XfrmInPolError",
	"XfrmOutError",
	"XfrmOutBundleGenError",
	"XfrmOutBundleCheckError",
	"XfrmOutNoStates",
	"XfrmOutStateProtoError",
	"XfrmOutStateModeError",
	"XfrmOutStateSeqError",
	"XfrmOutStateExpired",
	"XfrmOutPolBlock",
	"XfrmOutPolDead",
	"XfrmOutPolError",
	"XfrmFwdHdrError",
	"XfrmOutStateInvalid",
	"XfrmAcquireError",
] as const;

/** Name of a counter of packets that IPsec ended. */
export type XfrmCounter = (typeof NAMES)[number];

/** Packets that IPsec of one namespace ended, by why. */
export class XfrmStat {
	readonly counts: Record<XfrmCounter, number> = Object.fromEntries(NAMES.map((name) => [name, 0])) as Record<
		XfrmCounter,
		number
	>;

	/** `cat /proc/net/xfrm_stat`. */
	get text(): string {
		return NAMES.map((name) => `${name.padEnd(24)}\t${String(this.counts[name])}\n`).join("");
	}
}
