import { formatIp4, toIp4 } from "../../addr/index.ts";
import type { VxlanDevice } from "./vxlan.ts";

/** The part of `ip -d link show` that begins with the word `vxlan`, in iproute2's order (ip/iplink_vxlan.c). */
export function vxlanText(device: VxlanDevice): string {
	const { options, group, dev } = device;
	const [low, high] = options.sourcePorts ?? [0, 0];
	const { ttl = "auto", tos = 0, df = "unset" } = options;
	const words = [
		`vxlan id ${String(device.vni)}`,
		group === undefined ? "" : `group ${formatIp4(group)}`,
		group !== undefined || options.remote === undefined
			? ""
			: `remote ${formatIp4(toIp4(options.remote, "remote"))}`,
		options.local === undefined ? "" : `local ${formatIp4(toIp4(options.local, "local"))}`,
		dev === undefined ? "" : `dev ${dev.name}`,
		`srcport ${String(low)} ${String(high)}`,
		`dstport ${String(device.port)}`,
		options.learning === false ? "nolearning" : "",
		options.proxy === true ? "proxy" : "",
		options.rsc === true ? "rsc" : "",
		options.l2miss === true ? "l2miss" : "",
		options.l3miss === true ? "l3miss" : "",
		tos === 0 ? "" : `tos ${tos === 1 || tos === "inherit" ? "inherit" : `0x${tos.toString(16)}`}`,
		`ttl ${ttl === 0 ? "auto" : String(ttl)}`,
		df === "unset" ? "" : `df ${df}`,
		`ageing ${String(Math.floor(device.fdb.ageing / 1e9))}`,
		options.udpChecksum === false ? "noudpcsum" : "udpcsum",
		"noudp6zerocsumtx noudp6zerocsumrx",
		options.gbp === true ? "gbp" : "",
	];
	return `${words.filter((word) => word !== "").join(" ")} `;
}
