import { contains, type Ip4, type Prefix4 } from "../../../addr/index.ts";
import { failed, invalid } from "../../docker-error.ts";
import type { NetworkInfo } from "../../driver.ts";

/** What `-o` says to the overlay driver (netlabel/labels.go, drivers/overlay/overlay.go). */
const LABELS = {
	vnis: "com.docker.network.driver.overlay.vxlanid_list",
	mtu: "com.docker.network.driver.mtu",
	secure: "encrypted",
} as const;

/** What a packet of the network may have on an ordinary underlay. */
const ETHERNET_MTU = 1500;
/** Ethernet, VXLAN, UDP and IPv4 around an inner packet. */
const VXLAN_OCTETS = 50;
/** What ESP adds, as the driver reckons it: SPI, number, IV, pad length, next header, ICV. */
const ESP_OCTETS = 26;
const ESP_ALIGN = 4;

/** One subnet of an overlay, with the VNI that its frames have on the underlay. */
export interface OverlaySubnet {
	readonly pool: Prefix4;
	readonly gateway: Ip4;
	/** 0 where nobody gave one. */
	readonly vni: number;
}

/** A network as its driver keeps it. */
export interface OverlayConfig {
	readonly id: string;
	readonly subnets: readonly OverlaySubnet[];
	readonly secure: boolean;
	/** Of containers, bridge and vxlan device (`maxMTU`). */
	readonly mtu: number;
}

/** Reads what a network is to be. Throws `DockerError` in libnetwork's words (`CreateNetwork`). */
export function readOptions({ id, options, ipv4 }: NetworkInfo): OverlayConfig {
	const [first] = ipv4;
	if (first === undefined || first.pool.length === 0) throw invalid("ipv4 pool is empty");
	const list = options[LABELS.vnis];
	const vnis = list === undefined ? [] : list.split(",").map(readVni);
	if (vnis.length > 0 && vnis.length < ipv4.length)
		throw failed(`insufficient vnis(${String(vnis.length)}) passed to overlay`);
	const secure = options[LABELS.secure] !== undefined;
	return {
		id,
		subnets: ipv4.map(({ pool, gateway }, i) => ({ pool, gateway, vni: vnis[i] ?? 0 })),
		secure,
		mtu: innerMtu(readMtu(options[LABELS.mtu]), secure),
	};
}

function readVni(text: string): number {
	if (/^\d+$/.test(text)) return Number(text);
	throw failed(`invalid vxlan id value ${JSON.stringify(text)} passed`);
}

function readMtu(text: string | undefined): number {
	if (text === undefined) return 0;
	if (!/^[+-]?\d+$/.test(text)) {
		throw failed(`failed to parse ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
	}
	const mtu = Number(text);
	if (mtu < 0) throw failed(`invalid MTU value: ${String(mtu)}`);
	return mtu;
}

function innerMtu(asked: number, secure: boolean): number {
	const outer = asked === 0 ? ETHERNET_MTU : asked;
	const inner = outer - VXLAN_OCTETS;
	if (!secure) return inner;
	const clear = inner - ESP_OCTETS;
	return clear - (clear % ESP_ALIGN);
}

/** The subnet of an address with its prefix length, if the network has one (`getSubnetforIP`). */
export const subnetOf = (config: OverlayConfig, { address, length }: Prefix4): OverlaySubnet | undefined =>
	config.subnets.find(({ pool }) => pool.length === length && contains(pool, address));
