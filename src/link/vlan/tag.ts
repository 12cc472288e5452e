import { ethernet, type Frame, popTag, vlan } from "../../wire/index.ts";
import type { Device } from "../device.ts";

/** True for the EtherTypes of tags: 802.1Q and 802.1ad. */
export const isTag = (type: number): boolean => type === vlan.TPID_CUSTOMER || type === vlan.TPID_SERVICE;

/**
 * A tagged frame came up to a device's own stack: no VLAN device and nothing else took it. Tags of VLAN 0, which
 * only carry a priority, come off; what is behind them may yet be a VLAN device's. True when the frame is untagged
 * now and the caller's; else it was taken or dropped. Reference: `check_vlan_id` in `__netif_receive_skb_core`.
 */
export function stripPriorityTags(frame: Frame, device: Device): boolean {
	for (;;) {
		if (frame.end - frame.start < ethernet.OCTETS + vlan.OCTETS) {
			device.dropIn(frame, "vlan-truncated");
			return false;
		}
		const vid = vlan.vid(frame.view, frame.start + ethernet.OCTETS);
		if (vid !== 0) {
			device.dropIn(frame, "vlan-unknown", `VLAN ${String(vid)}`);
			return false;
		}
		popTag(frame);
		if (!isTag(ethernet.type(frame.view, frame.start))) return true;
		if (device.takenByVlan(frame)) return false;
	}
}
