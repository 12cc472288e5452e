// What a container of a task is made of (swarmkit api/specs.proto `ContainerSpec`).
import { protobuf } from "../../wire/index.ts";
import { STOP_GRACE_PERIOD } from "../manager/defaults.ts";
import type { ContainerSpec } from "../objects.ts";
import { duration, empty, unlessBare, unlessEmpty } from "./common.ts";

const { int32, map, mapped, message, optional, text, texts } = protobuf;

interface ContainerMessage {
	readonly image: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly args: readonly string[];
	readonly stopGracePeriod: number;
	readonly hostname: string;
	readonly dns: DnsMessage | undefined;
	readonly healthcheck: ContainerSpec["healthcheck"];
	readonly hosts: readonly string[];
	/** The command line always says whether there is to be an init process: it says no. */
	readonly init: object | undefined;
	readonly sysctls: Readonly<Record<string, string>>;
}
interface DnsMessage {
	readonly servers: readonly string[];
	readonly search: readonly string[];
	readonly options: readonly string[];
}
const NO_DNS: DnsMessage = { servers: [], search: [], options: [] };

/** A container as asked for. */
export const containerSpec: protobuf.Codec<ContainerSpec> = mapped<ContainerSpec, ContainerMessage>(
	message<ContainerMessage>({
		image: text(1),
		labels: map(2),
		args: texts(4),
		stopGracePeriod: duration(9, STOP_GRACE_PERIOD),
		hostname: text(14),
		dns: optional(15, message<DnsMessage>({ servers: texts(1), search: texts(2), options: texts(3) })),
		healthcheck: optional(
			16,
			message<NonNullable<ContainerSpec["healthcheck"]>>({
				interval: duration(2),
				timeout: duration(3),
				retries: int32(4),
				startPeriod: duration(5),
			}),
		),
		hosts: texts(17),
		init: optional(23, empty),
		sysctls: map(26),
	}),
	({ dns = [], dnsSearch = [], dnsOptions = [], ...spec }) => ({
		image: spec.image,
		labels: spec.labels,
		args: spec.args,
		stopGracePeriod: spec.stopGracePeriod,
		hostname: spec.hostname ?? "",
		dns: { servers: dns, search: dnsSearch, options: dnsOptions },
		healthcheck: spec.healthcheck,
		hosts: spec.hosts ?? [],
		init: {},
		sysctls: spelled(spec.sysctls ?? {}),
	}),
	({ hostname, dns = NO_DNS, healthcheck, hosts, sysctls, ...spec }) => {
		const numbers = numbersIn(sysctls);
		return numbers === undefined
			? undefined
			: {
					image: spec.image,
					args: spec.args,
					...(hostname === "" ? {} : { hostname }),
					labels: spec.labels,
					...unlessEmpty("hosts", hosts),
					...unlessEmpty("dns", dns.servers),
					...unlessEmpty("dnsSearch", dns.search),
					...unlessEmpty("dnsOptions", dns.options),
					...unlessBare("sysctls", numbers),
					stopGracePeriod: spec.stopGracePeriod,
					...(healthcheck === undefined ? {} : { healthcheck }),
				};
	},
);

const spelled = (numbers: Readonly<Record<string, number>>): Record<string, string> =>
	Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]));

function numbersIn(texts: Readonly<Record<string, string>>): Record<string, number> | undefined {
	const entries = Object.entries(texts).map(([name, value]) => [name, Number(value)] as const);
	return entries.every(([, value]) => Number.isFinite(value)) ? Object.fromEntries(entries) : undefined;
}
