// What belongs to the cluster as a whole (swarmkit api/objects.proto `Cluster`, specs.proto `ClusterSpec`).
import { seconds } from "../../sim/index.ts";
import { protobuf } from "../../wire/index.ts";
import { rootCertificate, rootKey } from "../certificates.ts";
import type { ClusterObject, EncryptionKey, Meta } from "../objects.ts";
import { type Annotations, annotations, duration, empty, encryptionKey, meta } from "./common.ts";

const { always, int64, mapped, message, messages, octets, text, texts, uint } = protobuf;

/** How raft is to be: swarmkit's defaults (manager/state/raft, `DefaultRaftConfig`). */
interface RaftConfig {
	readonly snapshotInterval: number;
	readonly keepOldSnapshots: number;
	readonly logEntriesForSlowFollowers: number;
	readonly heartbeatTick: number;
	readonly electionTick: number;
}
const RAFT: RaftConfig = {
	snapshotInterval: 10_000,
	keepOldSnapshots: 0,
	logEntriesForSlowFollowers: 500,
	heartbeatTick: 1,
	electionTick: 10,
};
/** How long a node's certificate is good: ninety days. */
const NODE_CERTIFICATE = seconds(90 * 86_400);
/** The cluster has one name. */
const NAME = "default";

interface SpecMessage {
	readonly annotations: Annotations;
	readonly acceptance: object;
	readonly orchestration: { readonly taskHistoryLimit: number };
	readonly raft: RaftConfig;
	readonly dispatcher: { readonly heartbeat: number };
	readonly ca: { readonly nodeCertificate: number };
	readonly taskDefaults: object;
	readonly encryption: object;
}
/** How many tasks are kept of each slot. */
export const orchestration: protobuf.Codec<SpecMessage["orchestration"]> = message({
	taskHistoryLimit: int64(1),
});
/** How often nodes say that they are there, in nanoseconds. */
export const dispatcherConfig: protobuf.Codec<SpecMessage["dispatcher"]> = message({
	heartbeat: duration(1),
});
const spec = message<SpecMessage>({
	annotations: always(1, annotations),
	acceptance: always(2, empty),
	orchestration: always(3, orchestration),
	raft: always(
		4,
		message<RaftConfig>({
			snapshotInterval: uint(1),
			keepOldSnapshots: uint(2),
			logEntriesForSlowFollowers: uint(3),
			heartbeatTick: uint(4),
			electionTick: uint(5),
		}),
	),
	dispatcher: always(5, dispatcherConfig),
	ca: always(6, message<SpecMessage["ca"]>({ nodeCertificate: duration(1) })),
	taskDefaults: always(7, empty),
	encryption: always(8, empty),
});

interface RootCa {
	readonly key: Uint8Array;
	readonly certificate: Uint8Array;
	readonly digest: string;
	readonly tokens: ClusterObject["tokens"];
}
interface Removed {
	readonly nodeId: string;
	/** Until when its certificate would have been good. */
	readonly certificate: object;
}
interface ClusterMessage {
	readonly id: string;
	readonly meta: Meta;
	readonly spec: SpecMessage;
	readonly rootCa: RootCa;
	readonly keys: readonly EncryptionKey[];
	readonly keyLamportTime: number;
	readonly removed: readonly Removed[];
	readonly defaultAddressPool: readonly string[];
	readonly subnetSize: number;
	readonly dataPathPort: number;
}

/** The root certificate's digest, with as many digits as SHA-256 has in base 16. */
const DIGEST = "sha256:";
const DIGEST_DIGITS = 64;

/** The cluster. Its root certificate and key follow from its id. */
export const cluster: protobuf.Codec<ClusterObject> = mapped<ClusterObject, ClusterMessage>(
	message<ClusterMessage>({
		id: text(1),
		meta: always(2, meta),
		spec: always(3, spec),
		rootCa: always(
			4,
			message<RootCa>({
				key: octets(1),
				certificate: octets(2),
				digest: text(3),
				tokens: always(4, message<RootCa["tokens"]>({ worker: text(1), manager: text(2) })),
			}),
		),
		keys: messages(5, encryptionKey),
		keyLamportTime: uint(6),
		removed: messages(8, message<Removed>({ nodeId: text(1), certificate: always(2, empty) })),
		defaultAddressPool: texts(11),
		subnetSize: uint(12),
		dataPathPort: uint(13),
	}),
	(object) => ({
		id: object.id,
		meta: object.meta,
		spec: {
			annotations: { name: NAME, labels: {} },
			acceptance: {},
			orchestration: { taskHistoryLimit: object.taskHistoryLimit },
			raft: RAFT,
			dispatcher: { heartbeat: object.dispatcherHeartbeat },
			ca: { nodeCertificate: NODE_CERTIFICATE },
			taskDefaults: {},
			encryption: {},
		},
		rootCa: {
			key: rootKey(object.id),
			certificate: rootCertificate(object.id),
			digest: DIGEST + object.rootDigest.padStart(DIGEST_DIGITS),
			tokens: object.tokens,
		},
		keys: object.keys,
		keyLamportTime: object.keyLamportTime,
		removed: (object.removedNodes ?? []).map((nodeId) => ({ nodeId, certificate: {} })),
		defaultAddressPool: object.defaultAddressPool,
		subnetSize: object.subnetSize,
		dataPathPort: object.dataPathPort,
	}),
	({ spec: { orchestration, dispatcher }, rootCa, removed, ...of }) => ({
		kind: "cluster",
		id: of.id,
		meta: of.meta,
		tokens: rootCa.tokens,
		rootDigest: rootCa.digest.slice(DIGEST.length).trimStart(),
		defaultAddressPool: of.defaultAddressPool,
		subnetSize: of.subnetSize,
		dataPathPort: of.dataPathPort,
		dispatcherHeartbeat: dispatcher.heartbeat,
		taskHistoryLimit: orchestration.taskHistoryLimit,
		keys: of.keys,
		keyLamportTime: of.keyLamportTime,
		...(removed.length === 0 ? {} : { removedNodes: removed.map(({ nodeId }) => nodeId) }),
	}),
);
