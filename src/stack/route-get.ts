import { BROADCAST_IP4, formatIp4, type Ip4, isMulticastIp4, toIp4 } from "../addr/index.ts";
import type { Namespace } from "./namespace.ts";
import type { Route } from "./route.ts";
import { tableName, TABLES } from "./rules.ts";

/** What `ip route get` is told beside the destination. */
export interface RouteQuery {
	/** Source address of the packet. */
	readonly from?: Ip4 | string;
	readonly mark?: number;
}

/** What `ip route get` prints of a route that was found (`inet_rtm_getroute`, `print_route`). */
export function routeGetText(ns: Namespace, route: Route, to: Ip4, { from, mark = 0 }: RouteQuery): string {
	const kind = isMulticastIp4(to) ? "multicast" : to === BROADCAST_IP4 ? "broadcast" : route.type;
	const words = [`${kind === "unicast" ? "" : `${kind} `}${formatIp4(to)}`];
	if (from !== undefined) words.push(`from ${formatIp4(toIp4(from, "from"))}`);
	if (route.via !== 0) words.push(`via ${formatIp4(route.via)}`);
	if (route.device !== null) words.push(`dev ${route.device.name}`);
	const table = tableOf(ns, to, route);
	if (table !== undefined) words.push(`table ${tableName(table)}`);
	if (from === undefined) words.push(`src ${formatIp4(ns.sourceFor(route, to))}`);
	if (mark !== 0) words.push(`mark 0x${mark.toString(16)}`);
	words.push("uid 0");

	const redirected = ns.ipv4.redirects?.expires(to);
	const flags = [
		...(kind === "local" ? ["local"] : kind === "broadcast" ? ["local", "brd"] : []),
		...(kind === "multicast" ? ["mc"] : []),
		...(redirected === undefined ? [] : ["redirected"]),
	];
	const mtu = ns.ipv4.pathMtus.get(to);
	const expires = mtu === undefined ? redirected : ns.ipv4.pathMtus.expires(to);
	const cache = [
		"cache",
		...(flags.length === 0 ? [] : [`<${flags.join(",")}>`]),
		...(expires === undefined ? [] : [`expires ${String(expires)}sec`]),
		...(mtu === undefined ? [] : [`mtu ${String(mtu)}`]),
	];
	return `${words.join(" ")} \n    ${cache.join(" ")} \n`;
}

/** The table a route was found in, when it is none of those every host has. */
function tableOf(ns: Namespace, to: Ip4, route: Route): number | undefined {
	const named: readonly number[] = Object.values(TABLES);
	for (const [number, fib] of ns.rules?.tables ?? []) {
		if (!named.includes(number) && fib.lookup(to) === route) return number;
	}
	return undefined;
}
