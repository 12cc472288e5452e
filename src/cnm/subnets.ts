import { formatIp4, formatPrefix4, type Ip4, parseIp4 } from "../addr/index.ts";
import { DockerError, failed, forbidden, invalid } from "./docker-error.ts";
import type { IpamData } from "./driver.ts";
import type { AddressPool, Ipam } from "./ipam/index.ts";
import { readSubnet } from "./ipam-config.ts";
import type { IpamConfig } from "./network.ts";
import { undoing } from "./undo.ts";

/** A network's subnet: where its addresses come from, and what the driver hears of it. */
export interface Subnet {
	readonly pool: AddressPool;
	readonly data: IpamData;
}

/**
 * Takes a subnet, its gateway and the addresses kept free (`ipamAllocateVersion`); any default pool where the config
 * says no subnet. Throws `DockerError`, nothing changed.
 */
export function allocateSubnet(ipam: Ipam, config: IpamConfig, driver: string): Subnet {
	const subnet = config.Subnet === "" ? undefined : readSubnet(config.Subnet);
	const range = config.IPRange === undefined ? undefined : readSubnet(config.IPRange);
	const pool = ipam.requestPool({
		...(subnet === undefined ? {} : { subnet }),
		...(range === undefined ? {} : { range }),
	});
	return undoing((undo) => {
		undo(() => {
			ipam.releasePool(pool);
		});
		const wanted = config.Gateway;
		const gateway = inWords(
			(why) => `failed to allocate gateway (${wanted ?? ""}): ${why}`,
			() => pool.request(wanted === undefined ? undefined : parseIp4(wanted)),
		);
		const auxAddresses: Record<string, Ip4> = {};
		for (const [name, text] of Object.entries(config.AuxiliaryAddresses ?? {})) {
			const ip = parseIp4(text);
			if (ip === undefined)
				throw invalid(`non parsable secondary ip address (${name}:${text}) passed for network ${driver}`);
			if (!pool.contains(ip)) {
				throw forbidden(
					`auxilairy address: (${name}:${text}) must belong to the master pool: ${formatPrefix4(pool.subnet)}`,
				);
			}
			inWords(
				(why) => `failed to allocate secondary ip address (${name}:${text}): ${why}`,
				() => pool.request(ip),
			);
			auxAddresses[name] = ip;
		}
		return { pool, data: { pool: pool.subnet, gateway, auxAddresses } };
	});
}

/** As `docker network inspect` shows it. */
export function shownSubnet(
	data: IpamData,
	config: IpamConfig | undefined,
	hideGateway: boolean,
): IpamConfig {
	return {
		Subnet: config?.Subnet ?? formatPrefix4(data.pool),
		...(config?.IPRange === undefined ? {} : { IPRange: config.IPRange }),
		...(hideGateway ? {} : { Gateway: formatIp4(data.gateway) }),
		...(config?.AuxiliaryAddresses === undefined ? {} : { AuxiliaryAddresses: config.AuxiliaryAddresses }),
	};
}

/** Says a refusal in the words of what was to be done. */
function inWords<T>(text: (why: string) => string, work: () => T): T {
	try {
		return work();
	} catch (error) {
		if (error instanceof DockerError) throw failed(text(error.daemonMessage), { context: error.context });
		throw error;
	}
}
