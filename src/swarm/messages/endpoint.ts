// How a service is reached (swarmkit api/specs.proto `EndpointSpec`, objects.proto `Endpoint`).
import { protobuf } from "../../wire/index.ts";
import { ENDPOINT } from "../manager/defaults.ts";
import type { EndpointSpec, ServiceEndpoint } from "../objects.ts";
import { port } from "./common.ts";

const { mapped, message, messages, optional, text, word } = protobuf;

/** As asked for. */
export const endpointSpec: protobuf.Codec<EndpointSpec> = message<EndpointSpec>({
	mode: word(1, ["vip", "dnsrr"]),
	ports: messages(2, port),
});

interface EndpointMessage {
	readonly spec: EndpointSpec | undefined;
	readonly ports: ServiceEndpoint["ports"];
	readonly virtualIps: ServiceEndpoint["virtualIps"];
}

/** As allocated. */
export const endpoint: protobuf.Codec<ServiceEndpoint> = mapped<ServiceEndpoint, EndpointMessage>(
	message<EndpointMessage>({
		spec: optional(1, endpointSpec),
		ports: messages(2, port),
		virtualIps: messages(
			3,
			message<ServiceEndpoint["virtualIps"][number]>({ networkId: text(1), addr: text(2) }),
		),
	}),
	({ spec, ports, virtualIps }) => ({ spec, ports, virtualIps }),
	({ spec = ENDPOINT, ports, virtualIps }) => ({ spec, mode: spec.mode, ports, virtualIps }),
);
