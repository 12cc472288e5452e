// The values of libnetwork's tables that the nodes of a swarm share (overlay.proto, agent.proto).
import { bool, type Codec, message, messages, text, texts, uint } from "./protobuf.ts";

/** A network's tables. */
export const TABLE = { overlayPeer: "overlay_peer_table", endpoint: "endpoint_table" } as const;

/** Protocols of published ports. */
export const PROTOCOL = { TCP: 0, UDP: 1, SCTP: 2 } as const;

/** `overlay_peer_table`: where an endpoint of an overlay network is. */
export interface PeerRecord {
	/** With its prefix length: `10.0.1.3/24`. */
	readonly endpointIp: string;
	/** `02:42:0a:00:01:03`. */
	readonly endpointMac: string;
	/** The node's data path address. */
	readonly tunnelEndpointIp: string;
}

/** A port of a service. */
export interface PortConfig {
	readonly name: string;
	/** `PROTOCOL`. */
	readonly protocol: number;
	readonly targetPort: number;
	readonly publishedPort: number;
}

/** `endpoint_table`: what an endpoint is called and which service it stands for. */
export interface EndpointRecord {
	/** The task's name. */
	readonly name: string;
	/** Empty for containers that are no task. */
	readonly serviceName: string;
	readonly serviceId: string;
	/** `<nil>` without one, as Go prints it. */
	readonly virtualIp: string;
	/** Without prefix length. */
	readonly endpointIp: string;
	readonly ingressPorts: readonly PortConfig[];
	readonly aliases: readonly string[];
	readonly taskAliases: readonly string[];
	/** True while the task winds down: names stay, the load balancer sends nothing new. */
	readonly serviceDisabled: boolean;
}

/** How a `PeerRecord` is written and read. */
export const peerRecord: Codec<PeerRecord> = message<PeerRecord>({
	endpointIp: text(1),
	endpointMac: text(2),
	tunnelEndpointIp: text(3),
});

/** How a `PortConfig` is written and read. */
export const portConfig: Codec<PortConfig> = message<PortConfig>({
	name: text(1),
	protocol: uint(2),
	targetPort: uint(3),
	publishedPort: uint(4),
});

/** How an `EndpointRecord` is written and read. */
export const endpointRecord: Codec<EndpointRecord> = message<EndpointRecord>({
	name: text(1),
	serviceName: text(2),
	serviceId: text(3),
	virtualIp: text(4),
	endpointIp: text(5),
	ingressPorts: messages(6, portConfig),
	aliases: texts(7),
	taskAliases: texts(8),
	serviceDisabled: bool(9),
});
