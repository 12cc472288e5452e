import { NetError } from "../errors.ts";
import type { Device } from "./device.ts";

/** Devices that may lie on top of each other (`MAX_NEST_DEV`). */
const MOST = 8;

/** How many devices lie on top of each other up to this one (`lower_level`). */
const depth = (device: Device): number => 1 + Math.max(0, ...device.lowers.map(depth));
/** How many do from this one on (`upper_level`). */
const height = (device: Device): number => 1 + Math.max(0, ...device.uppers.map(height));

/** True when a device lies on another one, however many are between them (`netdev_has_upper_dev`). */
const liesOn = (device: Device, other: Device): boolean =>
	device.lowers.some((lower) => lower === other || liesOn(lower, other));

/**
 * Throws `NetError` for what may not be put on top of a device (`__netdev_upper_dev_link`): EBUSY for a device that
 * it lies on already, EMLINK when too many would lie on top of each other. Without `upper` it is a new device, with
 * nothing on it.
 */
export function checkNesting(lower: Device, upper?: Device): void {
	const context = { device: lower.place, ...(upper === undefined ? {} : { upper: upper.place }) };
	if (upper !== undefined && (upper === lower || liesOn(lower, upper))) {
		throw new NetError("EBUSY", "RTNETLINK answers: Device or resource busy", {
			remedy: `${lower.name} lies on ${upper.name}: frames would go round between them.`,
			context,
		});
	}
	if (depth(lower) + (upper === undefined ? 1 : height(upper)) <= MOST) return;
	throw new NetError("EMLINK", "RTNETLINK answers: Too many links", {
		remedy: `At most ${String(MOST)} devices lie on top of each other.`,
		context,
	});
}
