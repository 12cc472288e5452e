import { isIdentity } from "./certificate.ts";
import type { HeaderField } from "./hpack.ts";
import type { Caller } from "./rpc.ts";

/** Header field in which a manager says on whose behalf it calls the leader (swarmkit ca/forward.go, in one field). */
const FORWARDED = "remote-caller";

/** Who a manager hands a call on for, as header fields. */
export const forwardedFields = (caller: Caller | undefined): HeaderField[] =>
	caller === undefined ? [] : [[FORWARDED, JSON.stringify(caller)]];

/** Who really calls: managers alone may speak for others, and say who those are. */
export function callerOf(fields: readonly HeaderField[], direct: Caller): Caller {
	const value = fields.find(([name]) => name === FORWARDED)?.[1];
	if (value === undefined || direct.identity?.role !== "manager") return direct;
	try {
		const said: unknown = JSON.parse(value);
		return isCaller(said) ? said : direct;
	} catch {
		return direct;
	}
}

function isCaller(value: unknown): value is Caller {
	if (typeof value !== "object" || value === null) return false;
	if (!("address" in value) || typeof value.address !== "string") return false;
	return !("identity" in value) || value.identity === undefined || isIdentity(value.identity);
}
