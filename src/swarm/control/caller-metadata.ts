import type { HeaderField } from "./hpack.ts";
import type { Caller } from "./rpc.ts";

/** Header field in which a manager says on whose behalf it calls the leader (swarmkit ca/forward.go, in one field). */
const FORWARDED = "remote-caller";

/** Who a manager hands a call on for, as header fields. */
export const forwardedFields = (caller: Caller | undefined): HeaderField[] =>
	caller === undefined ? [] : [[FORWARDED, JSON.stringify(caller)]];

/** Who really calls: managers alone may speak for others. */
export function callerOf(fields: readonly HeaderField[], direct: Caller): Caller {
	const value = fields.find(([name]) => name === FORWARDED)?.[1];
	if (value === undefined || direct.identity?.role !== "manager") return direct;
	try {
		return JSON.parse(value) as Caller;
	} catch {
		return direct;
	}
}
