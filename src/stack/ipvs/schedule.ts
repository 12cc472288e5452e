import type { Ip4 } from "../../addr/index.ts";
import type { Connection, ConnectionName } from "./connection.ts";
import type { Connections } from "./connections.ts";
import type { Destination, Service } from "./service.ts";
import type { IpvsSettings } from "./settings.ts";

const UDP = 17;
/** The ports of FTP, whose data connections go where the control connection went. */
const FTP = 21;
const FTP_DATA = 20;

/** The addresses and ports of a packet that may begin a connection. */
export interface Flow {
	readonly protocol: number;
	readonly source: Ip4;
	readonly sourcePort: number;
	readonly destination: Ip4;
	readonly destinationPort: number;
}

/**
 * Begins a connection through a service: chooses the real server, makes the entry (`ip_vs_schedule`). `ignored` when
 * the packet is none of the service's business, undefined when no real server takes it.
 */
export function schedule(
	service: Service,
	flow: Flow,
	connections: Connections,
	settings: IpvsSettings,
): Connection | "ignored" | undefined {
	if (flow.sourcePort === FTP_DATA) return "ignored";
	if (service.persistence > 0) return schedulePersistent(service, flow, connections, settings);
	if (service.fwmark === 0 && flow.destinationPort !== service.port) return undefined;
	const destination = service.scheduler.schedule(flow);
	if (destination === undefined) return undefined;
	const port = destination.port === 0 ? flow.destinationPort : destination.port;
	const connection = connections.add(nameOf(flow), destination, port, optionsOf(service, flow, settings));
	count(service, destination);
	return connection;
}

/** A client's further connections go where its first one went (`ip_vs_sched_persist`). */
function schedulePersistent(
	service: Service,
	flow: Flow,
	connections: Connections,
	settings: IpvsSettings,
): Connection | undefined {
	const ofPort = flow.destinationPort === service.port;
	const byMark = !ofPort && service.fwmark !== 0;
	const name: ConnectionName = {
		protocol: byMark ? 0 : flow.protocol,
		client: (flow.source & service.netmask) as Ip4,
		clientPort: 0,
		virtual: byMark ? (service.fwmark as Ip4) : flow.destination,
		virtualPort: ofPort && service.port !== FTP ? flow.destinationPort : 0,
	};
	let template = connections.template(name, settings.expire_quiescent_template !== 0);
	if (template === undefined) {
		const destination = service.scheduler.schedule(flow);
		if (destination === undefined) return undefined;
		const port = ofPort && service.port !== FTP ? destination.port : 0;
		template = connections.add(name, destination, port, {
			template: true,
			tracked: settings.conntrack !== 0,
		});
		template.timeout = connections.ticks(service.persistence);
	}
	const { destination } = template;
	const port = ofPort && destination.port !== 0 ? destination.port : flow.destinationPort;
	const connection = connections.add(nameOf(flow), destination, port, optionsOf(service, flow, settings));
	connections.control(connection, template);
	connections.put(template);
	count(service, destination);
	return connection;
}

const nameOf = (flow: Flow): ConnectionName => ({
	protocol: flow.protocol,
	client: flow.source,
	clientPort: flow.sourcePort,
	virtual: flow.destination,
	virtualPort: flow.destinationPort,
});

const optionsOf = (
	service: Service,
	flow: Flow,
	settings: IpvsSettings,
): { readonly onePacket: boolean; readonly tracked: boolean } => ({
	onePacket: service.onePacket && flow.protocol === UDP,
	tracked: settings.conntrack !== 0,
});

/** `ip_vs_conn_stats`. */
function count(service: Service, destination: Destination): void {
	service.stats.connection();
	destination.stats.connection();
}
