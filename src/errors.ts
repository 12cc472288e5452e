/** What a `NetError` carries beside its message. */
export interface NetErrorDetails {
	/** What the caller can do about it, in our words. */
	readonly remedy?: string;
	/** The values involved, by name. */
	readonly context?: Readonly<Record<string, unknown>>;
}

/**
 * A caller's mistake, or a refusal that a real system would also give, in that system's own words:
 * `RTNETLINK answers: File exists`, `ping: connect: Network is unreachable`.
 *
 * State is unchanged when it is thrown. Frames never cause it: a frame's end is a `DropReason`.
 */
export class NetError extends Error {
	override readonly name = "NetError";
	/** The errno's name: `EEXIST`, `EINVAL`, `EHOSTUNREACH` … */
	readonly code: string;
	/** What to do about it, where we know. */
	readonly remedy: string | undefined;
	/** The values involved, by name. */
	readonly context: Readonly<Record<string, unknown>>;

	constructor(code: string, message: string, details: NetErrorDetails = {}) {
		super(message);
		this.code = code;
		this.remedy = details.remedy;
		this.context = details.context ?? {};
	}
}
