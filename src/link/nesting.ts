import { NetError } from "../errors.ts";
import type { Device } from "./device.ts";

/** Devices that may lie on top of each other (`MAX_NEST_DEV`). */
const MOST = 8;

/** Throws `NetError` EMLINK when one more device on top of this one would be too many. */
export function checkNesting(lower: Device): void {
	let levels = 1;
	for (let each: Device | null = lower; each !== null; each = each.lower) levels++;
	if (levels <= MOST) return;
	throw new NetError("EMLINK", "RTNETLINK answers: Too many links", {
		remedy: `At most ${String(MOST)} devices lie on top of each other.`,
		context: { device: lower.place },
	});
}
