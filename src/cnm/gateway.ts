import type { Endpoint } from "./endpoint.ts";
import type { Network } from "./network.ts";

/** The bridge that gives a way out to those whose networks have none. */
export const GWBRIDGE = "docker_gwbridge";

/** Digits of the sandbox's id in the name of its endpoint there. */
const ID_DIGITS = 12;

/** The bridge's options, as the daemon makes it (`createGWNetwork`). */
export const GWBRIDGE_OPTIONS: Readonly<Record<string, string>> = {
	"com.docker.network.bridge.name": GWBRIDGE,
	"com.docker.network.bridge.enable_icc": "false",
	"com.docker.network.bridge.enable_ip_masquerade": "true",
};

/** What a sandbox gets its way out from. Implemented by the engine's controller. */
export interface GatewayService {
	/** docker_gwbridge, made when it is not there. Throws `DockerError`. */
	network(): Network;
	/** The id of an endpoint there. */
	endpointId(): string;
}

/** `gateway_` and who it is for: the name of a container that is none, or the sandbox's id. */
export const gatewayName = ({
	id,
	containerId,
}: {
	readonly id: string;
	readonly containerId: string;
}): string => `gateway_${containerId.length <= ID_DIGITS ? containerId : id.slice(0, ID_DIGITS)}`;

/** Whether it is the endpoint that the daemon itself made for a way out (`endpointInGWNetwork`). */
export const isGatewayEndpoint = ({ network, name }: Endpoint): boolean =>
	network.name === GWBRIDGE && name.startsWith("gateway_");

/** Whether a sandbox with these endpoints has no way out and should have one (`needDefaultGW`). */
export function needsGateway(endpoints: readonly Endpoint[]): boolean {
	let needed = false;
	for (const endpoint of endpoints) {
		const { network, joinInfo } = endpoint;
		if (isGatewayEndpoint(endpoint) || network.driver.type === "null" || network.driver.type === "host")
			continue;
		if (network.internal || joinInfo?.disableGatewayService === true) continue;
		if (endpoint.gateway !== undefined) return false;
		if (joinInfo?.routes?.some(({ destination }) => destination.length === 0) === true) return false;
		needed = true;
	}
	return needed;
}
