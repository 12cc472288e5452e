import { NetError } from "../errors.ts";
import type { IpNamespace } from "../stack/index.ts";

/** Whether iptables takes a command, as libnetwork asks before it writes: `-C` for a rule, `-S` for a chain. */
export function iptablesTakes(ns: IpNamespace, command: string): boolean {
	try {
		ns.iptables(command);
		return true;
	} catch (error) {
		if (error instanceof NetError) return false;
		throw error;
	}
}
