import { formatMac, type Mac, toMac, toVlanId } from "../../addr/index.ts";
import type { Duration } from "../../sim/index.ts";

/** What a switch does with a frame that breaks a port's security, beside dropping it. */
export type Violation = "protect" | "restrict" | "shutdown";

/** What `lab.switch` takes. */
export interface SwitchOptions {
	/** Addresses the table holds; sources beyond that are not learned, so frames to them flood. 16,384 unless said. */
	readonly macTable?: number;
	/** How long an address is kept without being seen. 300 s unless said. */
	readonly ageing?: Duration;
	/** Passes 01:80:c2:00:00:00 to ..0f like other multicast (..01, pause, never). */
	readonly transparent?: boolean;
	/** VLAN aware from the beginning: ports nobody configured are access ports of VLAN 1. */
	readonly managed?: boolean;
}

/** What a port of a managed switch is set to. Without `access` and `trunk` it is an access port of VLAN 1. */
export interface SwitchPortOptions {
	/** The one VLAN of an access port: frames are untagged on the cable. */
	readonly access?: number;
	/** The VLANs of a trunk, tagged on the cable. */
	readonly trunk?: readonly number[] | "all";
	/** The VLAN of a trunk whose frames are untagged on the cable; without it untagged frames are dropped. */
	readonly native?: number;
	/** Addresses the port may speak with, those of `allowedMacs` included: port security. */
	readonly maxMacs?: number;
	/** Addresses that may always speak here; without `maxMacs` no others may. */
	readonly allowedMacs?: readonly (Mac | string)[];
	/** Secure addresses outlast the loss of the link. */
	readonly sticky?: boolean;
	/** What a violation does: `protect` drops, `restrict` (unless said) counts as well, `shutdown` err-disables the port. */
	readonly violation?: Violation;
}

/** Which VLANs a port carries, and how. */
export interface PortVlans {
	readonly mode: "access" | "trunk";
	/** The VLAN of untagged frames, 0 for none. */
	readonly untagged: number;
	/** The VLANs that are tagged on the cable. */
	readonly tagged: ReadonlySet<number> | "all";
}

/** Who may speak at a port. */
export interface PortSecurity {
	readonly allowed: ReadonlySet<Mac>;
	/** Addresses beside the allowed ones. */
	readonly others: number;
	readonly sticky: boolean;
	readonly violation: Violation;
}

const NONE: ReadonlySet<number> = new Set();

/** The VLANs that options ask for. Throws RangeError or TypeError that names the option. */
export function readVlans(options: SwitchPortOptions): PortVlans {
	const { access, trunk, native } = options;
	if (trunk === undefined) {
		if (native !== undefined) throw new RangeError("native is given without trunk, expected both or neither");
		return { mode: "access", untagged: toVlanId(access ?? 1, "access"), tagged: NONE };
	}
	if (access !== undefined) throw new RangeError("access and trunk are both given, expected one of them");
	const untagged = native === undefined ? 0 : toVlanId(native, "native");
	const tagged = trunk === "all" ? trunk : new Set<number>(trunk.map((id) => toVlanId(id, "trunk")));
	return { mode: "trunk", untagged, tagged };
}

/** The security that options ask for, if any. Throws RangeError or TypeError that names the option. */
export function readSecurity(options: SwitchPortOptions): PortSecurity | null {
	const { maxMacs, allowedMacs, sticky = false, violation = "restrict" } = options;
	if (!["protect", "restrict", "shutdown"].includes(violation)) {
		throw new RangeError(
			`violation is ${JSON.stringify(violation)}, expected "protect", "restrict" or "shutdown"`,
		);
	}
	if (maxMacs === undefined && allowedMacs === undefined) return null;
	const allowed = new Set((allowedMacs ?? []).map((mac) => toMac(mac, "allowedMacs")));
	const most = maxMacs ?? allowed.size;
	if (!Number.isInteger(most) || most < allowed.size || (maxMacs !== undefined && most < 1)) {
		throw new RangeError(
			`maxMacs is ${String(maxMacs)}, expected a whole number from ${String(Math.max(1, allowed.size))}`,
		);
	}
	return { allowed, others: most - allowed.size, sticky, violation };
}

/** `1,10-12,20`, as switches list VLANs. */
export function formatVlans(vlans: ReadonlySet<number> | "all"): string {
	if (vlans === "all") return "1-4094";
	const ids = [...vlans].sort((a, b) => a - b);
	const runs: [number, number][] = [];
	for (const id of ids) {
		const last = runs.at(-1);
		if (last !== undefined && last[1] === id - 1) last[1] = id;
		else runs.push([id, id]);
	}
	return runs.map(([from, to]) => (from === to ? String(from) : `${String(from)}-${String(to)}`)).join(",");
}

/** What a violation's drop says: the address and the rule. */
export const violationText = (mac: Mac, port: string, why: string): string =>
	`${formatMac(mac)} on ${port}: ${why}`;
