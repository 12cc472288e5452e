import { Nic } from "../link/index.ts";
import type { Netns } from "./netns.ts";

/**
 * A machine loses power: its cards go dark, and with its memory go programs, connections, devices that were made, tables,
 * rules and what was learned. Nothing of it is said to anybody. What its system sets up again when it boots stays: the
 * cards, and their addresses.
 */
export function losePower(netns: Netns, others: readonly Netns[]): void {
	// First the cards, so that nothing of what follows is heard outside.
	for (const ns of [netns, ...others])
		for (const device of ns.devices) if (device instanceof Nic) device.down();
	for (const ns of others) ns.purge();
	// Those of other namespaces too: a VXLAN device has its VNI at the machine's own.
	for (const ns of [...others, netns]) {
		for (const device of [...ns.devices].reverse()) {
			if (device.gone || device === ns.loopback) continue;
			if (!(device instanceof Nic)) device.delete();
			else if (ns !== netns) ns.move(device, netns);
		}
	}
	netns.purge();
	// Modules are loaded anew by who needs them.
	netns.kernel.hasBridgeNetfilter = false;
}
