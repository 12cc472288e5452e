// A network of the cluster's (swarmkit api/objects.proto `Network`, specs.proto `NetworkSpec`).
import { protobuf } from "../../wire/index.ts";
import { PREDEFINED } from "../manager/labels.ts";
import type { Meta, NetworkIpamConfig, NetworkObject, NetworkSpec } from "../objects.ts";
import { type Annotations, annotations, driver, type Driver, meta, unlessBare } from "./common.ts";

const { always, bool, map, mapped, message, messages, optional, text, valued } = protobuf;

interface IpamConfigMessage {
	/** Said where swarmkit chose the subnet itself. */
	readonly family: "unknown" | "ipv4" | "ipv6";
	readonly subnet: string;
	readonly range: string;
	readonly gateway: string;
	readonly reserved: Readonly<Record<string, string>>;
}
interface IpamMessage {
	readonly driver: Driver | undefined;
	readonly configs: readonly IpamConfigMessage[];
}
const ipam = message<IpamMessage>({
	driver: optional(1, driver),
	configs: messages(
		3,
		message<IpamConfigMessage>({
			family: valued(1, { unknown: 0, ipv4: 4, ipv6: 6 }),
			subnet: text(2),
			range: text(3),
			gateway: text(4),
			reserved: map(5),
		}),
	),
});

interface NetworkSpecMessage {
	readonly annotations: Annotations;
	readonly driver: Driver | undefined;
	readonly internal: boolean;
	readonly ipam: IpamMessage | undefined;
	readonly attachable: boolean;
	readonly ingress: boolean;
}

/** The driver of a network that names none, and of addresses. */
const DEFAULT_DRIVER = "overlay";
const DEFAULT_IPAM = "default";
const NO_DRIVER: Driver = { name: "", options: {} };

const isBare = (options: Readonly<Record<string, string>> | null): boolean =>
	options === null || Object.keys(options).length === 0;

/** The ingress network that comes with a cluster names no drivers. */
const isOwnIngress = ({ ingress, name, options, driver: named }: NetworkSpec): boolean =>
	ingress && name === "ingress" && named === DEFAULT_DRIVER && isBare(options);

const isPredefined = (labels: Readonly<Record<string, string>>): boolean => Object.hasOwn(labels, PREDEFINED);

/** A network as asked for. */
export const networkSpec: protobuf.Codec<NetworkSpec> = mapped<NetworkSpec, NetworkSpecMessage>(
	message<NetworkSpecMessage>({
		annotations: always(1, annotations),
		driver: optional(2, driver),
		internal: bool(4),
		ipam: optional(5, ipam),
		attachable: bool(6),
		ingress: bool(7),
	}),
	(spec) => {
		const { name, labels, internal, attachable, ingress, ipam: asked } = spec;
		const own = isOwnIngress(spec);
		const ipamDriver = { name: own ? "" : DEFAULT_IPAM, options: asked.options ?? {} };
		const configs = asked.configs.map(ipamConfig);
		const bare = isPredefined(labels) && configs.length === 0 && isBare(asked.options);
		return {
			annotations: { name, labels },
			driver: own ? NO_DRIVER : { name: spec.driver, options: spec.options },
			internal,
			ipam: bare ? undefined : { driver: ipamDriver, configs },
			attachable,
			ingress,
		};
	},
	({ annotations: { name, labels }, driver: named, internal, ipam: asked, attachable, ingress }) => ({
		name,
		labels,
		driver: named === undefined || named.name === "" ? DEFAULT_DRIVER : named.name,
		options: named?.options ?? {},
		internal,
		attachable,
		ingress,
		ipam: {
			options: isBare(asked?.driver?.options ?? null) ? null : (asked?.driver?.options ?? null),
			configs: (asked?.configs ?? []).map(ipamConfigIn),
		},
	}),
);

const ipamConfig = ({
	subnet,
	range = "",
	gateway = "",
	reserved = {},
}: NetworkIpamConfig): IpamConfigMessage => ({
	family: "unknown",
	subnet,
	range,
	gateway,
	reserved,
});

const ipamConfigIn = ({ subnet, range, gateway, reserved }: IpamConfigMessage): NetworkIpamConfig => ({
	subnet,
	...(range === "" ? {} : { range }),
	...(gateway === "" ? {} : { gateway }),
	...unlessBare("reserved", reserved),
});

interface NetworkMessage {
	readonly id: string;
	readonly meta: Meta;
	readonly spec: NetworkSpec;
	readonly driverState: Driver | undefined;
	readonly ipam: IpamMessage | undefined;
}

const whole: protobuf.Codec<NetworkObject> = mapped<NetworkObject, NetworkMessage>(
	message<NetworkMessage>({
		id: text(1),
		meta: always(2, meta),
		spec: always(3, networkSpec),
		driverState: optional(4, driver),
		ipam: optional(5, ipam),
	}),
	({ id, meta: when, spec, allocated, predefined }) => ({
		id,
		meta: when,
		spec,
		...(predefined ? nodesOwn(spec) : allocated === undefined ? NOT_ALLOCATED : allocation(spec, allocated)),
	}),
	({ id, meta: when, spec, driverState, ipam: given }) => {
		const predefined = isPredefined(spec.labels);
		return {
			kind: "network",
			id,
			meta: when,
			spec,
			allocated:
				predefined || driverState === undefined
					? undefined
					: {
							options: driverState.options,
							configs: (given?.configs ?? []).map(({ subnet, gateway }) => ({ subnet, gateway })),
						},
			predefined,
		};
	},
);

/** Tasks and nodes tell their networks again and again: each is written once. */
const octetsOf = new WeakMap<NetworkObject, Uint8Array<ArrayBuffer>>();
const written = (object: NetworkObject): Uint8Array<ArrayBuffer> => {
	const octets = octetsOf.get(object) ?? whole.write(object);
	octetsOf.set(object, octets);
	return octets;
};
/** What was read last: what comes next is most often the same network. */
let last: { readonly octets: Uint8Array; readonly object: NetworkObject } | undefined;

function isLast(bytes: Uint8Array, from: number, to: number): boolean {
	if (last?.octets.length !== to - from) return false;
	for (let i = 0; i < last.octets.length; i++) if (last.octets[i] !== bytes[from + i]) return false;
	return true;
}

/** A network. */
export const network: protobuf.Codec<NetworkObject> = {
	write: (object) => written(object).slice(),
	writeTo: (writer, object) => {
		writer.put(written(object));
	},
	read(bytes, from = 0, to = bytes.length) {
		if (last !== undefined && isLast(bytes, from, to)) return last.object;
		const object = whole.read(bytes, from, to);
		if (typeof object !== "string") last = { octets: bytes.slice(from, to), object };
		return object;
	},
};

type Allocated = NonNullable<NetworkObject["allocated"]>;
const NOT_ALLOCATED = { driverState: undefined, ipam: undefined };

/** Of a node's own network nothing is allocated, and that is said. */
const nodesOwn = ({ driver: name }: NetworkSpec): Pick<NetworkMessage, "driverState" | "ipam"> => ({
	driverState: { name, options: {} },
	ipam: { driver: NO_DRIVER, configs: [] },
});

const allocation = (
	spec: NetworkSpec,
	{ options, configs }: Allocated,
): Pick<NetworkMessage, "driverState" | "ipam"> => ({
	driverState: { name: spec.driver, options },
	ipam: {
		driver: { name: DEFAULT_IPAM, options: spec.ipam.options ?? {} },
		configs: configs.map(({ subnet, gateway }, i) => ({
			...ipamConfig({ ...spec.ipam.configs[i], subnet, gateway }),
			family: spec.ipam.configs.length === 0 ? "ipv4" : "unknown",
		})),
	},
});
