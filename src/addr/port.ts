import { type kind, refuse } from "./kind.ts";

/** A UDP or TCP port. */
export type Port = number & { readonly [kind]: "Port" };

/** A Port from a number. Throws RangeError or TypeError that names `argument`. */
export function toPort(value: number, argument: string): Port {
	if (Number.isInteger(value) && value >= 0 && value <= 0xffff) return value as Port;
	return refuse(argument, value, "a whole number from 0 to 65535");
}
