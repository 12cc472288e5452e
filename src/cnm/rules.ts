import type { IpNamespace } from "../stack/index.ts";

/**
 * Whether there is what iptables is asked for, as libnetwork asks before it writes: `-C` for a rule, `-S` for a chain. A
 * rule that leads to a chain that is not there is not there either. Throws `NetError` for a command with a mistake in it.
 */
export function iptablesTakes(ns: IpNamespace, command: string): boolean {
	return ns.iptablesTool.takes(command);
}
