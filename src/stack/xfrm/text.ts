import { formatIp4 } from "../../addr/index.ts";
import type { Instant } from "../../sim/index.ts";
import type { Lifetime } from "./lifetime.ts";
import type { Mark } from "./mark.ts";
import type { Template, XfrmPolicy } from "./policy.ts";
import type { Replay } from "./replay.ts";
import type { XfrmState } from "./state.ts";

/** How `ip xfrm` is asked: plainly, or with `-s` for counters, limits and numbers in both notations. */
export interface XfrmShowOptions {
	readonly statistics?: boolean;
	/** `nokeys`: keys stay secret. */
	readonly nokeys?: boolean;
}

/** Writes an instant of the lab as the time of day, `2026-11-23 17:39:25` UT. */
export type Clock = (instant: Instant) => string;

const ALL_ALGORITHMS = "enc-mask ffffffff auth-mask ffffffff comp-mask ffffffff";
const SECONDS_A_DAY = 86_400;

/** What `ip xfrm state` prints of one state. */
export function stateText(
	state: XfrmState,
	{ statistics = false, nokeys = false }: XfrmShowOptions,
	clock: Clock,
): string {
	const flags = state.flagNames.join(" ");
	const bits = state.flagBits.toString(16).padStart(8, "0");
	const window = state.replay.form === "legacy" ? state.replay.window : 0;
	const flag = statistics ? `seq 0x00000000 flag ${flags} (0x${bits})` : flags === "" ? "" : `flag ${flags}`;
	const key = nokeys ? "<<Keys hidden>>" : `0x${hex(state.key)}`;
	const length = statistics ? ` (${String(state.key.length * 8)} bits)` : "";
	const { name, icvOctets } = { name: "rfc4106(gcm(aes))", icvOctets: state.cipher.icvOctets };
	const stats = state.stats;
	return lines([
		`src ${formatIp4(state.src)} dst ${formatIp4(state.dst)}`,
		`\t${idText(state.spi, state.reqid, statistics)}`,
		`\treplay-window ${String(window)} ${flag}`,
		...markText(state.mark),
		`\taead ${name} ${key}${length} ${String(icvOctets * 8)}`,
		...replayText(state.replay),
		`\tsel ${state.selector.text}${statistics ? "uid 0" : ""}`,
		...(statistics
			? [
					...lifetimeText(state.lifetime, clock),
					"\tstats:",
					`\t  replay-window ${String(stats["replay-window"])} replay ${String(stats.replay)} failed ${String(stats.failed)}`,
				]
			: []),
	]);
}

/** What `ip xfrm policy` prints of one policy. */
export function policyText(
	policy: XfrmPolicy,
	{ statistics = false }: XfrmShowOptions,
	clock: Clock,
): string {
	const action = policy.action === "block" ? "action block " : statistics ? "action allow " : "";
	const index = statistics ? `index ${String(policy.index)} ` : "";
	const priority = `priority ${String(policy.priority)} `;
	const rest = statistics ? "share any flag  (0x00000000)" : "";
	return lines([
		`${policy.selector.text}${statistics ? "uid 0" : ""}`,
		`\tdir ${policy.direction} ${action}${index}${priority}ptype main ${rest}`,
		...(statistics ? lifetimeText(policy.lifetime, clock) : []),
		...markText(policy.mark),
		...policy.templates.flatMap((template) => templateText(template, statistics)),
	]);
}

function templateText(template: Template, statistics: boolean): string[] {
	const level = template.optional ? "level use " : statistics ? "level required " : "";
	const share = statistics ? "share any " : "";
	return [
		`\ttmpl src ${formatIp4(template.src)} dst ${formatIp4(template.dst)}`,
		`\t\t${idText(template.spi, template.reqid, statistics)}`,
		...(level === "" ? [] : [`\t\t${level}${share}`]),
		...(statistics ? [`\t\t${ALL_ALGORITHMS}`] : []),
	];
}

function idText(spi: number, reqid: number, statistics: boolean): string {
	const number = (octets: string, value: number): string =>
		statistics ? `${octets}(${String(value)})` : octets;
	const id = spi === 0 && !statistics ? "" : `spi ${number(word(spi), spi)} `;
	const request = statistics ? `${String(reqid)}(${word(reqid)})` : String(reqid);
	return `proto esp ${id}reqid ${request} mode transport`;
}

const markText = (mark: Mark): string[] =>
	mark.mask === 0 && mark.value === 0 ? [] : [`\tmark ${alternate(mark.value)}/${alternate(mark.mask)} `];

function replayText(replay: Replay): string[] {
	const { form, bitmap, window } = replay;
	const low = (value: number): string => (value >>> 0).toString(16);
	const high = (value: number): string => Math.floor(value / 0x1_0000_0000).toString(16);
	if (form === "legacy") {
		const map = word(bitmap[0]!);
		return [`\tanti-replay context: seq 0x${low(replay.seq)}, oseq 0x${low(replay.oseq)}, bitmap ${map}`];
	}
	// The last word of the bitmap first, eight in a line.
	const words = [...bitmap].reverse().map((each) => each.toString(16).padStart(8, "0"));
	const rows = Array.from({ length: Math.ceil(words.length / 8) }, (_, i) => words.slice(8 * i, 8 * i + 8));
	return [
		"\tanti-replay esn context:",
		`\t seq-hi 0x${high(replay.seq)}, seq 0x${low(replay.seq)}, oseq-hi 0x${high(replay.oseq)}, oseq 0x${low(replay.oseq)}`,
		`\t replay_window ${String(window)}, bitmap-length ${String(bitmap.length)}`,
		...rows.map((row) => `\t ${row.join(" ")}`),
	];
}

function lifetimeText({ limits, bytes, packets, added, used }: Lifetime, clock: Clock): string[] {
	const limit = (value: number | undefined): string => (value === undefined ? "(INF)" : String(value));
	const time = (value: number | undefined): string => String(value ?? 0);
	return [
		"\tlifetime config:",
		`\t  limit: soft ${limit(limits.byteSoft)}(bytes), hard ${limit(limits.byteHard)}(bytes)`,
		`\t  limit: soft ${limit(limits.packetSoft)}(packets), hard ${limit(limits.packetHard)}(packets)`,
		`\t  expire add: soft ${time(limits.timeSoft)}(sec), hard ${time(limits.timeHard)}(sec)`,
		`\t  expire use: soft ${time(limits.timeUseSoft)}(sec), hard ${time(limits.timeUseHard)}(sec)`,
		"\tlifetime current:",
		`\t  ${String(bytes)}(bytes), ${String(packets)}(packets)`,
		`\t  add ${clock(added)} use ${used === undefined ? "-" : clock(used)}`,
	];
}

/** The date and time of a second since 1970, as iproute2 writes it, at Greenwich. */
export function timeOfDay(second: number): string {
	const days = Math.floor(second / SECONDS_A_DAY);
	const two = (value: number): string => String(value).padStart(2, "0");
	const rest = second - days * SECONDS_A_DAY;
	const clock = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60].map(two).join(":");
	let year = 1970;
	let day = days;
	const leap = (): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
	for (let length = 365; day >= length; length = leap() ? 366 : 365) {
		day -= length;
		year++;
	}
	let month = 0;
	for (const length of [31, leap() ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
		if (day < length) break;
		day -= length;
		month++;
	}
	return `${String(year)}-${two(month + 1)}-${two(day + 1)} ${clock}`;
}

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join("");
const word = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;
/** C's `%#x`. */
const alternate = (value: number): string => (value === 0 ? "0" : `0x${value.toString(16)}`);
const hex = (octets: Uint8Array): string =>
	Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
