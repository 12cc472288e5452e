import { type kind, refuse } from "./kind.ts";

/** A VLAN identifier, 12 bits of which 0 (priority only) and 4095 are no VLAN (IEEE 802.1Q-2018 table 9-2). */
export type VlanId = number & { readonly [kind]: "VlanId" };

/** A VlanId from a number. Throws RangeError or TypeError that names `argument`. */
export function toVlanId(value: number, argument: string): VlanId {
	if (Number.isInteger(value) && value >= 1 && value <= 4094) return value as VlanId;
	return refuse(argument, value, "a whole number from 1 to 4094");
}
