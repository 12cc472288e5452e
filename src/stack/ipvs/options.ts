import { BROADCAST_IP4, formatIp4, type Ip4, parseIp4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { ForwardMethod, Service, ServiceName } from "./service.ts";

/** Which virtual service: one of `-t`, `-u`, `-f` of ipvsadm. */
export interface ServiceSelector {
	/** `10.1.0.100:80`; without a port, or with 0, all ports (of a persistent service). */
	readonly tcp?: string;
	readonly udp?: string;
	/** The packet mark, 1 to 2^32 - 1. */
	readonly fwmark?: number;
}

/** A virtual service: `ipvsadm -A`. */
export interface ServiceOptions extends ServiceSelector {
	/** `-s`; `wlc` unless said. */
	readonly scheduler?: string;
	/** `-p`: seconds a client sticks to its real server; `true` for 360. */
	readonly persistent?: number | true;
	/** `-M`: clients of one network stick together. */
	readonly netmask?: string;
	/** `-o`: every datagram on its own. */
	readonly onePacket?: boolean;
	/** `-b`: flags of the scheduler. */
	readonly flags?: readonly ("sh-fallback" | "sh-port")[];
}

/** A real server: `ipvsadm -a`. */
export interface DestinationOptions {
	/** `10.2.0.11:80`; without a port, that of the service. */
	readonly address: string;
	/** `-m`, `-g`, `-i`; `gatewaying` unless said. */
	readonly forward?: ForwardMethod;
	/** `-w`, 0 to 65,535; 1 unless said. 0: no new connections. */
	readonly weight?: number;
	/** `-x`: connections at which it gets no more; 0 for any number. */
	readonly upperThreshold?: number;
	/** `-y`: connections below which it gets some again. */
	readonly lowerThreshold?: number;
}

/** A service as asked for, checked. */
export interface WantedService {
	readonly name: ServiceName;
	readonly scheduler: string;
	readonly persistence: number;
	readonly netmask: Ip4;
	readonly onePacket: boolean;
	readonly fallback: boolean;
	readonly hashPort: boolean;
}

/** A real server as asked for, checked. */
export interface WantedDestination {
	readonly address: Ip4;
	readonly port: number;
	readonly forward: ForwardMethod;
	readonly weight: number;
	readonly upper: number;
	readonly lower: number;
}

const TCP = 6;
const UDP = 17;
const DEFAULT_SCHEDULER = "wlc";
/** `IPVS_SVC_PERSISTENT_TIMEOUT`. */
const DEFAULT_PERSISTENCE = 360;
/** `MAX_TIMEOUT`. */
const MOST_SECONDS = 86_400 * 31;
const MOST_WEIGHT = 65_535;
const MOST_CONNECTIONS = 0x7fff_ffff;

/** Throws `NetError` EINVAL in ipvsadm's words. */
export function readServiceName(selector: ServiceSelector): ServiceName {
	const { tcp, udp, fwmark } = selector;
	const given = [tcp, udp, fwmark].filter((each) => each !== undefined).length;
	if (given > 1) throw refused("multiple 'service-address' options specified", selector);
	if (fwmark !== undefined) {
		if (!Number.isInteger(fwmark) || fwmark < 1 || fwmark > 0xffff_ffff) {
			throw refused(`invalid fwmark value \`${String(fwmark)}' specified`, selector);
		}
		// ipvsadm names TCP for them, though they take any protocol.
		return { protocol: TCP, address: 0 as Ip4, port: 0, fwmark };
	}
	const text = tcp ?? udp;
	if (text === undefined) throw refused("You need to supply the 'service-address' option", selector);
	const end = readEnd(text);
	if (end === undefined) throw refused("illegal virtual server address[:port] specified", selector);
	return { protocol: tcp === undefined ? UDP : TCP, address: end.address, port: end.port ?? 0, fwmark: 0 };
}

/** Throws `NetError` EINVAL in ipvsadm's words. */
export function readService(options: ServiceOptions): WantedService {
	const name = readServiceName(options);
	const { persistent, netmask } = options;
	const persistence = persistent === true ? DEFAULT_PERSISTENCE : (persistent ?? 0);
	if (persistent !== undefined && !isWithin(persistence, 1, MOST_SECONDS)) {
		throw refused(`invalid timeout value \`${String(persistent)}' specified`, options);
	}
	const mask = netmask === undefined ? BROADCAST_IP4 : parseIp4(netmask);
	if (mask === undefined) throw refused("illegal virtual server persistent mask specified", options);
	if (name.fwmark === 0 && name.port === 0 && persistence === 0) {
		throw refused("Zero port specified for non-persistent service", options);
	}
	const onePacket = options.onePacket ?? false;
	if (onePacket && name.fwmark === 0 && name.protocol !== UDP) {
		throw refused("One-Packet Scheduling is only for UDP virtual services", options);
	}
	const flags = options.flags ?? [];
	return {
		name,
		scheduler: options.scheduler ?? DEFAULT_SCHEDULER,
		persistence,
		netmask: mask,
		onePacket,
		fallback: flags.includes("sh-fallback"),
		hashPort: flags.includes("sh-port"),
	};
}

/** Throws `NetError` EINVAL in ipvsadm's words. */
export function readDestination(options: DestinationOptions, service: Service): WantedDestination {
	const end = readEnd(options.address);
	if (end === undefined) throw refused("illegal real server address[:port] specified", options);
	const forward = options.forward ?? "gatewaying";
	const { weight = 1, upperThreshold: upper = 0, lowerThreshold: lower = 0 } = options;
	if (!isWithin(weight, 0, MOST_WEIGHT)) throw refused("illegal weight specified", options);
	if (!isWithin(upper, 0, MOST_CONNECTIONS)) throw refused("illegal u_threshold specified", options);
	if (!isWithin(lower, 0, MOST_CONNECTIONS)) throw refused("illegal l_threshold specified", options);
	// Without address translation a packet arrives at the port it was sent to.
	const keepsPort = service.fwmark === 0 && forward !== "masquerading";
	const port = keepsPort ? service.port : (end.port ?? service.port);
	return { address: end.address, port, forward, weight, upper, lower };
}

/** `10.1.0.100:80`, or without the port. */
function readEnd(text: string): { readonly address: Ip4; readonly port: number | undefined } | undefined {
	const [, host, digits] = /^([0-9.]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
	const address = host === undefined ? undefined : parseIp4(host);
	if (address === undefined) return undefined;
	const port = digits === undefined ? undefined : Number(digits);
	return port !== undefined && port > 0xffff ? undefined : { address, port };
}

/** `10.1.0.100:80`. */
export const formatEnd = (address: Ip4, port: number): string => `${formatIp4(address)}:${String(port)}`;

const isWithin = (value: number, low: number, high: number): boolean =>
	Number.isInteger(value) && value >= low && value <= high;

const refused = (message: string, about: object): NetError =>
	new NetError("EINVAL", message, { context: { ...about } });
