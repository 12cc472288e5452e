import type { Mac } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { type Duration, type Nanoseconds, parseDuration, seconds } from "../../sim/index.ts";
import { checkMcast, type McastSettings } from "./mcast/options.ts";
import { checkGroupAddress, checkGroupMask } from "./link-local.ts";

/** What `ip link set … type bridge` changes. */
export interface BridgeSettings extends McastSettings {
	/** How long a learned address is kept: `ageing_time`, 300 s; with 0 nothing is learned. */
	readonly ageing?: Duration;
	/** Bits of link-local groups 01:80:c2:00:00:0X to forward (`group_fwd_mask`); bits 0 to 2 are refused. */
	readonly groupFwdMask?: number;
	/** Where BPDUs go: one of 01:80:c2:00:00:0X but X = 1, 2, 3 (`group_address`); …:00, on an 802.1ad bridge …:08. */
	readonly groupAddress?: Mac | string;
	/** The spanning tree protocol runs (`stp_state`). */
	readonly stp?: boolean;
	/** 0 to 65535: the lowest becomes the root (`priority`, 32768). */
	readonly priority?: number;
	/** 1 to 10 s: between two messages of the root (`hello_time`, 2 s). */
	readonly helloTime?: Duration;
	/** 6 to 40 s: after so much silence the root is lost (`max_age`, 20 s). */
	readonly maxAge?: Duration;
	/** 2 to 30 s with STP on: in listening, and again in learning (`forward_delay`, 15 s). */
	readonly forwardDelay?: Duration;
	/** Frames stay in their VLANs (`vlan_filtering`). */
	readonly vlanFiltering?: boolean;
	/** Which tags name the VLANs (`vlan_protocol`, 802.1Q). */
	readonly vlanProtocol?: "802.1Q" | "802.1ad";
	/** PVID of new ports, 0 for none (`vlan_default_pvid`, 1). */
	readonly defaultPvid?: number;
	/** Sources of link-local frames are not learned (`no_linklocal_learn`). */
	readonly noLinklocalLearn?: boolean;
	/** Its IPv4 frames meet iptables where br_netfilter is loaded, even if the sysctl is off (`nf_call_iptables`, off). */
	readonly nfCallIptables?: boolean;
}

/** What `ip link add … type bridge` takes. */
export interface BridgeOptions extends BridgeSettings {
	/** Station address; without it the bridge takes the lowest of its ports'. */
	readonly mac?: Mac | string;
	/** Octets; without it the smallest of the ports'. */
	readonly mtu?: number;
}

/** `ageing_time` unless said (net/bridge/br_device.c: `br_dev_setup`). */
export const AGEING: Nanoseconds = seconds(300);

/** The settings that are durations, with their limits (net/bridge/br_private_stp.h). */
const LIMITS = { helloTime: [1, 10], maxAge: [6, 40], forwardDelay: [2, 30] } as const;

/** Throws `NetError` ERANGE or EINVAL, in iproute2's words, for what the kernel would refuse. */
export function checkSettings(place: string, settings: BridgeSettings, now: { readonly stp: boolean }): void {
	const outOfRange = (what: string, value: unknown, remedy: string): NetError =>
		new NetError("ERANGE", "RTNETLINK answers: Numerical result out of range", {
			remedy,
			context: { bridge: place, [what]: value },
		});
	for (const [what, [least, most]] of Object.entries(LIMITS) as [
		keyof typeof LIMITS,
		(typeof LIMITS)[keyof typeof LIMITS],
	][]) {
		const value = settings[what];
		if (value === undefined) continue;
		const time = parseDuration(value, what);
		// The forward delay is free while STP is off: it decides nothing then, and STP takes the nearest it can when it starts.
		if (what === "forwardDelay" && !now.stp) continue;
		if (time < seconds(least) || time > seconds(most)) {
			throw outOfRange(what, value, `Expected ${String(least)} to ${String(most)} seconds.`);
		}
	}
	const { priority, groupFwdMask: mask, defaultPvid } = settings;
	if (priority !== undefined && (!Number.isInteger(priority) || priority < 0 || priority > 0xffff)) {
		throw new NetError("EINVAL", `Error: argument "${String(priority)}" is wrong: invalid priority`, {
			remedy: "A bridge's priority is a whole number from 0 to 65535.",
			context: { bridge: place, priority },
		});
	}
	checkMcast(place, settings);
	if (mask !== undefined) checkGroupMask(mask, "bridge", place);
	if (settings.groupAddress !== undefined) checkGroupAddress(settings.groupAddress, place);
	if (defaultPvid === undefined) return;
	if (!Number.isInteger(defaultPvid) || defaultPvid < 0 || defaultPvid > 4094) {
		const readable = Number.isInteger(defaultPvid) && defaultPvid >= 0 && defaultPvid <= 0xffff;
		const text = readable
			? "RTNETLINK answers: Invalid argument"
			: `Error: argument "${String(defaultPvid)}" is wrong: invalid default pvid`;
		throw new NetError("EINVAL", text, {
			remedy: "The default PVID is 0 (none) to 4094.",
			context: { bridge: place, defaultPvid },
		});
	}
}
