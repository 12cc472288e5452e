import { NetError } from "../errors.ts";
import type { QdiscOptions } from "../link/index.ts";

/** What tc says of a netem option it cannot read, by our name of the option. */
const NETEM_WORDS: Readonly<Record<string, string>> = {
	delay: "latency",
	jitter: "latency",
	delayCorrelation: "latency",
	loss: "loss percent",
	lossCorrelation: "loss correllation",
	duplicateCorrelation: "duplicate",
	corruptCorrelation: "corrupt",
	reorderCorrelation: "reorder",
	packetOverhead: "rate",
	cellSize: "rate",
	cellOverhead: "rate",
};

const KINDS: readonly string[] = ["netem", "tbf", "pfifo", "bfifo"];

/** Throws `NetError` EINVAL in tc's words for what tc or the kernel refuses before it reads single values. */
export function checkQdisc(options: QdiscOptions): void {
	if (!KINDS.includes(options.kind)) {
		throw new NetError("ENOENT", "Error: Specified qdisc kind is unknown.", {
			remedy: `Kinds here: ${KINDS.join(", ")}.`,
			context: { kind: options.kind },
		});
	}
	const said = options.kind === "netem" ? netemComplaint(options) : tbfComplaint(options);
	if (said !== undefined) throw new NetError("EINVAL", said, { context: { ...options } });
}

function netemComplaint(options: QdiscOptions & { readonly kind: "netem" }): string | undefined {
	const { delay = 0, jitter = 0, reorder = 0, gap = 0, distribution = "uniform" } = options;
	if (reorder !== 0 && delay === 0) return "reordering not possible without specifying some delay";
	if (reorder === 0 && gap > 0) return "gap specified without reorder probability";
	if (distribution !== "uniform" && (delay === 0 || jitter === 0))
		return "distribution specified but no latency and jitter values";
	return undefined;
}

function tbfComplaint(options: QdiscOptions): string | undefined {
	if (options.kind !== "tbf") return undefined;
	// Programs without types leave out what tc demands.
	const said: Readonly<Record<string, unknown>> = { ...options };
	const { rate, burst, limit, latency, peakrate, mtu } = said;
	if (rate === undefined) return 'tbf: the "rate" parameter is mandatory.';
	if (burst === undefined) return 'tbf: the "burst" parameter is mandatory.';
	if (limit === undefined && latency === undefined) return 'tbf: either "limit" or "latency" is required.';
	if (limit !== undefined && latency !== undefined)
		return 'tbf: specifying both "latency" and "limit" is not allowed';
	if (peakrate !== undefined && mtu === undefined)
		return 'tbf: when "peakrate" is specified, "mtu" must also be specified.';
	return undefined;
}

/** The same mistake as `error` names, in tc's words; what is no mistake of the caller's stays as it is. */
export function inTcWords(error: unknown, options: QdiscOptions): unknown {
	if (!(error instanceof RangeError)) return error;
	const name = /^(.+?) is /.exec(error.message)?.[1] ?? "";
	const details = { remedy: error.message, context: { ...options } };
	if (name === "distribution")
		return new NetError("EINVAL", `No distribution data for ${textOf(options, name)}`, details);
	if (options.kind === "netem")
		return new NetError("EINVAL", `Illegal "${NETEM_WORDS[name] ?? name}"`, details);
	if (name === "peakrate" && error.message.endsWith("expected more than rate"))
		return new NetError("EINVAL", "RTNETLINK answers: Invalid argument", details);
	const illegal = options.kind === "tbf" ? "illegal" : "Illegal";
	return new NetError(
		"EINVAL",
		`${options.kind}: ${illegal} value for "${name}": "${textOf(options, name)}"`,
		details,
	);
}

const textOf = (options: QdiscOptions, name: string): string =>
	String((options as unknown as Readonly<Record<string, unknown>>)[name]);
