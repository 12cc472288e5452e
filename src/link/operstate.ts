import type { Device } from "./device.ts";

/** `state` in `ip link` (RFC 2863, `IF_OPER_*`). */
export type OperState = "UP" | "DOWN" | "LOWERLAYERDOWN" | "UNKNOWN" | "TESTING" | "DORMANT";

/** What a bridge has beside a device; known here by its shape, since the bridge is a device itself. */
interface HasPorts {
	readonly ports: readonly { readonly state: string }[];
}

/** Drivers that never speak of a carrier: their state stays what it was at birth. */
const SILENT: ReadonlySet<string> = new Set(["loopback", "vxlan", "dummy"]);

/** `netif_carrier_ok`: something answers below. A bridge has carrier while one of its ports forwards (`br_port_state_selection`). */
export function hasCarrier(device: Device): boolean {
	if (device.kind !== "bridge") return device.carrier;
	return (device as Device & HasPorts).ports.some((port) => port.state === "forwarding");
}

/** `default_operstate` in net/core/link_watch.c; a device that is down shows as DOWN. */
export function operState(device: Device): OperState {
	if (!device.isUp) return "DOWN";
	if (!hasCarrier(device)) {
		// The kernel asks by interface number alone: a peer of the same number in another namespace counts as none.
		const { link } = device;
		return link === null || link.index === device.index ? "DOWN" : "LOWERLAYERDOWN";
	}
	return SILENT.has(device.kind) ? "UNKNOWN" : "UP";
}

/** The words between `<` and `>` in `ip link`, in its order. */
export function linkFlags(device: Device): string[] {
	const state = operState(device);
	const running = state === "UP" || state === "UNKNOWN";
	const loopback = device.kind === "loopback";
	const { link } = device;
	const words: readonly (readonly [string, boolean])[] = [
		["NO-CARRIER", device.isUp && !running],
		["LOOPBACK", loopback],
		["BROADCAST", !loopback],
		["MULTICAST", !loopback && device.kind !== "dummy"],
		["NOARP", !loopback && device.noArp],
		["UP", device.isUp],
		["LOWER_UP", device.isUp && hasCarrier(device)],
		["M-DOWN", link !== null && link.owner === device.owner && !link.isUp],
	];
	return words.filter(([, on]) => on).map(([word]) => word);
}

/** The word behind `qdisc` in `ip link`: its root queueing discipline, or what it has by itself. */
export function qdiscName(device: Device): string {
	if (device.qdisc !== null) return device.qdisc.kind;
	if (!device.wasUp) return "noop";
	return device.kind === "nic" ? "fq_codel" : "noqueue";
}
