import type { SwitchPort } from "./port.ts";
import type { SwitchMac } from "./table.ts";
import { formatVlans } from "./options.ts";

/** `0200.0000.0a01`, as switches write addresses. */
const dotted = (mac: string): string => mac.replaceAll(":", "").replace(/(....)(?=.)/g, "$1.");

/** The lines of `show mac address-table`: secure addresses are `STATIC` there. */
export function macTableText(rows: readonly SwitchMac[]): string {
	const lines = rows.map(({ vlan, mac, kind, port }) => {
		const id = vlan === 0 ? "All" : String(vlan);
		return `${id.padStart(4)}    ${dotted(mac)}    ${kind === "secure" ? "STATIC " : "DYNAMIC"}     ${port}`;
	});
	return [
		"Vlan    Mac Address       Type        Ports",
		"----    -----------       --------    -----",
		...lines,
		`Total Mac Addresses for this criterion: ${String(rows.length)}`,
		"",
	].join("\n");
}

/** The lines of `show vlan brief`: every VLAN some port names, with its access ports. */
export function vlanBriefText(ports: readonly SwitchPort[]): string {
	const access = new Map<number, string[]>([[1, []]]);
	const join = (vlan: number): string[] => {
		const names = access.get(vlan) ?? [];
		access.set(vlan, names);
		return names;
	};
	for (const { name, vlans } of ports) {
		if (vlans.mode === "access") join(vlans.untagged).push(name);
		else {
			if (vlans.untagged !== 0) join(vlans.untagged);
			if (vlans.tagged !== "all") for (const vlan of vlans.tagged) join(vlan);
		}
	}
	const lines = [...access]
		.sort(([a], [b]) => a - b)
		.map(([vlan, names]) => {
			const called = vlan === 1 ? "default" : `VLAN${String(vlan).padStart(4, "0")}`;
			return `${String(vlan).padEnd(4)} ${called.padEnd(32)} active    ${names.join(", ")}`.trimEnd();
		});
	return [
		"VLAN Name                             Status    Ports",
		"---- -------------------------------- --------- -------------------------------",
		...lines,
		"",
	].join("\n");
}

/** The lines of `show interfaces trunk`, as far as a port is set to be one. */
export function trunksText(ports: readonly SwitchPort[]): string {
	const lines = ports
		.filter(({ vlans }) => vlans.mode === "trunk")
		.map(({ name, vlans, state }) => {
			const native = vlans.untagged === 0 ? "none" : String(vlans.untagged);
			const status = state === "up" ? "trunking" : "not-trunking";
			return `${name.padEnd(11)} ${status.padEnd(14)} ${native.padEnd(13)}${formatVlans(vlans.tagged)}`.trimEnd();
		});
	return ["Port        Status         Native vlan  Vlans allowed", ...lines, ""].join("\n");
}
