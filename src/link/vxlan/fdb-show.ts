import { ANY_IP4, formatIp4, formatMac, type Vni } from "../../addr/index.ts";
import type { Remote, VxlanFdb, VxlanFdbEntry, VxlanFdbState } from "./fdb.ts";

/** One line of `bridge -j fdb show`, keys in iproute2's order. */
export interface VxlanFdbJson {
	readonly mac: string;
	readonly dst?: string;
	readonly port?: number;
	readonly vni?: number;
	readonly viaIf?: string;
	readonly flags: readonly string[];
	readonly state: string;
}

/** One line of `bridge fdb show dev …`: a remote of an entry. */
export interface VxlanFdbLine {
	/** As iproute2 prints it, a space at the end of learned entries included. */
	readonly text: string;
	readonly json: VxlanFdbJson;
}

const STATES: Readonly<Record<VxlanFdbState, string>> = {
	permanent: "permanent",
	static: "static",
	reachable: "",
};

/** `bridge fdb show dev …`: entries by address, remotes in their order. Port and VNI appear where they are not the device's. */
export function showFdb(fdb: VxlanFdb, port: number, vni: Vni): VxlanFdbLine[] {
	return fdb.entries().flatMap((entry) => entry.remotes.map((remote) => line(entry, remote, port, vni)));
}

function line(entry: VxlanFdbEntry, remote: Remote, port: number, vni: Vni): VxlanFdbLine {
	const json: VxlanFdbJson = {
		mac: formatMac(entry.mac),
		...(remote.ip !== ANY_IP4 && { dst: formatIp4(remote.ip) }),
		...(remote.port !== port && { port: remote.port }),
		...(remote.vni !== vni && { vni: remote.vni }),
		...(remote.device !== null && { viaIf: remote.device.name }),
		flags: entry.router ? ["self", "router"] : ["self"],
		state: STATES[entry.state],
	};
	const words = [
		json.mac,
		json.dst === undefined ? "" : `dst ${json.dst}`,
		json.port === undefined ? "" : `port ${String(json.port)}`,
		json.vni === undefined ? "" : `vni ${String(json.vni)}`,
		json.viaIf === undefined ? "" : `via ${json.viaIf}`,
		...json.flags,
	];
	return { text: `${words.filter((word) => word !== "").join(" ")} ${json.state}`, json };
}
