import { formatMac } from "../addr/index.ts";
import type { Device } from "./device.ts";
import { linkFlags, operState, type OperState, qdiscName } from "./operstate.ts";

/** How a namespace refers to another one: by number, and by its name where `ip netns` knows one. */
export interface NetnsRef {
	readonly id: number;
	readonly name: string | undefined;
}

/** An element of `ip -j link show`, keys in its order. */
export interface LinkJson {
	readonly ifindex: number;
	/** Number of the device behind the `@` when that is in another namespace. */
	readonly link_index?: number;
	/** Name of the device behind the `@`. */
	readonly link?: string;
	readonly ifname: string;
	readonly flags: readonly string[];
	readonly mtu: number;
	readonly qdisc: string;
	readonly master?: string;
	readonly operstate: OperState;
	readonly linkmode: "DEFAULT";
	readonly group: "default";
	readonly txqlen?: number;
	readonly link_type: "ether" | "loopback";
	readonly address: string;
	readonly broadcast: string;
	readonly link_netnsid?: number;
}

/** A device as `ip -j link show` has it. `netns` names the namespace of the device behind the `@`. */
export function linkJson(device: Device, netns: (of: { readonly name: string }) => NetnsRef): LinkJson {
	const { link } = device;
	const master = device.upper?.master;
	const loopback = device.kind === "loopback";
	const far = device.home === device.owner ? undefined : netns(device.home);
	return {
		ifindex: device.index,
		// A tunnel that was moved away from its underlay lies on itself, so to speak (`nla_put_iflink`).
		...(far === undefined ? {} : { link_index: (link ?? device).index }),
		...(link !== null && far === undefined ? { link: link.name } : {}),
		ifname: device.name,
		flags: linkFlags(device),
		mtu: device.mtu,
		qdisc: qdiscName(device),
		...(master === null || master === undefined || master === device || master.kind !== "bridge"
			? {}
			: { master: master.name }),
		operstate: operState(device),
		linkmode: "DEFAULT",
		group: "default",
		...(device.txQueueLength === 0 ? {} : { txqlen: device.txQueueLength }),
		link_type: loopback ? "loopback" : "ether",
		address: formatMac(device.mac),
		broadcast: loopback ? "00:00:00:00:00:00" : "ff:ff:ff:ff:ff:ff",
		...(far === undefined ? {} : { link_netnsid: far.id }),
	};
}

/** The two lines of `ip link show`, without a newline behind the second. */
export function linkText(device: Device, netns: (of: { readonly name: string }) => NetnsRef): string {
	const link = linkJson(device, netns);
	const below =
		link.link_index === undefined
			? link.link === undefined
				? ""
				: `@${link.link}`
			: `@if${String(link.link_index)}`;
	const master = link.master === undefined ? "" : `master ${link.master} `;
	const qlen = link.txqlen === undefined ? "" : `qlen ${String(link.txqlen)}`;
	const name = link.link_netnsid === undefined ? undefined : netns(device.home).name;
	const far =
		link.link_netnsid === undefined
			? ""
			: name === undefined
				? ` link-netnsid ${String(link.link_netnsid)}`
				: ` link-netns ${name}`;
	return (
		`${String(link.ifindex)}: ${link.ifname}${below}: <${link.flags.join(",")}> mtu ${String(link.mtu)}` +
		` qdisc ${link.qdisc} ${master}state ${link.operstate} mode ${link.linkmode} group ${link.group} ${qlen}\n` +
		`    link/${link.link_type} ${link.address} brd ${link.broadcast}${far}`
	);
}
