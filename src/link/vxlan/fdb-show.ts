import { ANY_IP4, formatIp4, formatMac, type Mac, type Vni } from "../../addr/index.ts";
import type { Remote, VxlanFdb, VxlanFdbEntry, VxlanFdbState } from "./fdb.ts";

/** One line of `bridge -j fdb show`, keys in iproute2's order. */
export interface VxlanFdbJson {
	readonly mac: string;
	readonly dst?: string;
	readonly port?: number;
	readonly vni?: number;
	readonly viaIf?: string;
	/** Number of the namespace in which the remote is reached, where that is another one. */
	readonly linkNetNsId?: number;
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

const GOLDEN_RATIO_64 = 0x61c8_8646_80b5_83ebn;

/** The bucket of the kernel's table that an address is in, which is how it lists them (`eth_hash`: `hash_64` to eight bits). */
function bucketOf(mac: Mac): number {
	let key = 0n;
	// The octets as a little-endian number, above two octets of nothing.
	for (let rest = BigInt(mac), i = 0; i < 6; i++, rest >>= 8n) key = (key << 8n) | (rest & 0xffn);
	return Number(BigInt.asUintN(64, (key << 16n) * GOLDEN_RATIO_64) >> 56n);
}

/** `bridge fdb show dev …`: entries as the kernel's table has them, remotes in their order. Port and VNI appear where they are not the device's. */
export function showFdb(fdb: VxlanFdb, port: number, vni: Vni, netnsid?: number): VxlanFdbLine[] {
	return fdb
		.entries()
		.map((entry) => ({ entry, bucket: bucketOf(entry.mac) }))
		.sort((a, b) => a.bucket - b.bucket)
		.flatMap(({ entry }) => entry.remotes.map((remote) => line(entry, remote, port, vni, netnsid)));
}

function line(
	entry: VxlanFdbEntry,
	remote: Remote,
	port: number,
	vni: Vni,
	netnsid: number | undefined,
): VxlanFdbLine {
	const json: VxlanFdbJson = {
		mac: formatMac(entry.mac),
		...(remote.ip !== ANY_IP4 && { dst: formatIp4(remote.ip) }),
		...(remote.port !== port && { port: remote.port }),
		...(remote.vni !== vni && { vni: remote.vni }),
		...(remote.device !== null && { viaIf: remote.device.name }),
		...(netnsid !== undefined && { linkNetNsId: netnsid }),
		flags: entry.router ? ["self", "router"] : ["self"],
		state: STATES[entry.state],
	};
	const words = [
		json.mac,
		json.dst === undefined ? "" : `dst ${json.dst}`,
		json.port === undefined ? "" : `port ${String(json.port)}`,
		json.vni === undefined ? "" : `vni ${String(json.vni)}`,
		json.viaIf === undefined ? "" : `via ${json.viaIf}`,
		netnsid === undefined ? "" : `link-netnsid ${String(netnsid)}`,
		...json.flags,
	];
	return { text: `${words.filter((word) => word !== "").join(" ")} ${json.state}`, json };
}
