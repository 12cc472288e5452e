import { rootCertificate } from "./certificates.ts";
import type { NodeDescription } from "./objects.ts";

/** What a node says of itself, with how it trusts its cluster: the root certificate, its issuer and that one's key. */
export interface Described {
	readonly hostname: string;
	readonly platform: { readonly architecture: string; readonly os: string } | undefined;
	readonly resources: { readonly nanoCpus: number; readonly memoryBytes: number } | undefined;
	readonly engine:
		| {
				readonly version: string;
				readonly labels: Readonly<Record<string, string>>;
				readonly plugins: readonly { readonly type: string; readonly name: string }[];
		  }
		| undefined;
	readonly tls:
		| { readonly trustRoot: Uint8Array; readonly issuer: Uint8Array; readonly issuerKey: Uint8Array }
		| undefined;
}

type Plugin = NonNullable<NodeDescription["plugins"]>[number];

const plugins = (type: Plugin["type"], names: string): Plugin[] =>
	names.split(" ").map((name) => ({ type, name }));

/** What Docker 20.10 comes with, in the order of `docker node inspect`. */
export const DOCKER_PLUGINS: readonly Plugin[] = [
	...plugins("Log", "awslogs fluentd gcplogs gelf journald json-file local logentries splunk syslog"),
	...plugins("Network", "bridge host ipvlan macvlan null overlay"),
	...plugins("Volume", "local"),
];

const DOCKER_PLUGINS_TOLD = JSON.stringify(DOCKER_PLUGINS);

/** A machine of an ordinary size: what it has is nobody's to ask for yet. */
const RESOURCES = { nanoCpus: 2_000_000_000, memoryBytes: 2_058_293_248 };
/** The issuer's name in DER, and its P-256 key. */
const ISSUER_OCTETS = 21;
const ISSUER_KEY_OCTETS = 91;

/** A description as it is on its way between a node and its manager. */
export function describe(description: NodeDescription, cluster: string): Described {
	const { hostname, platform, engineVersion, engineLabels } = description;
	const trustRoot = rootCertificate(cluster);
	return {
		hostname,
		platform,
		resources: RESOURCES,
		engine: {
			version: engineVersion,
			labels: engineLabels,
			plugins: description.plugins ?? DOCKER_PLUGINS,
		},
		tls: {
			trustRoot,
			issuer: trustRoot.slice(0, ISSUER_OCTETS),
			issuerKey: trustRoot.slice(-ISSUER_KEY_OCTETS),
		},
	};
}

/** What a node said of itself. */
export function descriptionIn({ hostname, platform, engine }: Described): NodeDescription {
	const told = engine?.plugins ?? [];
	// What nearly all nodes come with is one list.
	const list = JSON.stringify(told) === DOCKER_PLUGINS_TOLD ? DOCKER_PLUGINS : told;
	return {
		hostname,
		platform: platform ?? { architecture: "", os: "" },
		engineVersion: engine?.version ?? "",
		engineLabels: engine?.labels ?? {},
		plugins: list as Plugin[],
	};
}
