import { type kind, refuse } from "./kind.ts";

/** VXLAN network identifier, 24 bits (RFC 7348 §5). */
export type Vni = number & { readonly [kind]: "Vni" };

/** A Vni from a number. Throws RangeError or TypeError that names `argument`. */
export function toVni(value: number, argument: string): Vni {
	if (Number.isInteger(value) && value >= 0 && value <= 0xff_ffff) return value as Vni;
	return refuse(argument, value, "a whole number from 0 to 16777215");
}
