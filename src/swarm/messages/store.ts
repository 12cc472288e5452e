// What managers agree upon, and all that they keep (swarmkit api/raft.proto `InternalRaftRequest`, snapshot.proto).
import { protobuf } from "../../wire/index.ts";
import type { ClusterObject, NetworkObject, ObjectKind, ServiceObject, StoreObject } from "../objects.ts";
import type { StoreSnapshot } from "../store/store.ts";
import type { Reader } from "../store/tables.ts";
import type { StoreAction } from "../store/transaction.ts";
import { cluster } from "./cluster.ts";
import type { NetworkOf } from "./attachment.ts";
import { network } from "./network.ts";
import { node, type NodeMessage, nodeTold } from "./node.ts";
import { service } from "./service.ts";
import { task, type TaskMessage, taskTold } from "./task.ts";

const { mapped, message, messages, optional, uint, uint64, word } = protobuf;

/** What managers' logs agree upon. */
export interface Proposal {
	/** Who waits for it: 64 bits. */
	readonly id: bigint;
	readonly actions: readonly StoreAction[];
}

/** An object as it is told, by its kind; all the others are undefined. */
interface Target {
	readonly node: NodeMessage | undefined;
	readonly service: ServiceObject | undefined;
	readonly task: TaskMessage | undefined;
	readonly network: NetworkObject | undefined;
	readonly cluster: ClusterObject | undefined;
}
interface ActionMessage extends Target {
	readonly op: "unknown" | StoreAction["op"];
}
interface SnapshotMessage {
	readonly nodes: readonly NodeMessage[];
	readonly services: readonly ServiceObject[];
	readonly networks: readonly NetworkObject[];
	readonly tasks: readonly TaskMessage[];
	readonly clusters: readonly ClusterObject[];
	readonly version: number;
}

const NO_TARGET: Target = {
	node: undefined,
	service: undefined,
	task: undefined,
	network: undefined,
	cluster: undefined,
};

/** What is told along with objects: networks, and of which cluster they are. */
interface Surroundings {
	readonly network: NetworkOf;
	readonly cluster: string;
}
const around = (reader: Reader): Surroundings => ({
	network: (id) => reader.get("network", id),
	cluster: reader.all("cluster")[0]?.id ?? "",
});

function target(object: StoreObject, surroundings: Surroundings): Target {
	switch (object.kind) {
		case "node":
			return { ...NO_TARGET, node: nodeTold(object, surroundings.cluster, surroundings.network) };
		case "service":
			return { ...NO_TARGET, service: object };
		case "task":
			return { ...NO_TARGET, task: taskTold(object, surroundings.network) };
		case "network":
			return { ...NO_TARGET, network: object };
		case "cluster":
			return { ...NO_TARGET, cluster: object };
	}
}

const objectIn = (found: Target): StoreObject | undefined =>
	found.node?.node ?? found.service ?? found.task?.task ?? found.network ?? found.cluster;

const actionMessage = message<ActionMessage>({
	op: word(1, ["unknown", "create", "update", "delete"]),
	node: optional(2, node),
	service: optional(3, service),
	task: optional(4, task),
	network: optional(5, network),
	cluster: optional(6, cluster),
});

/** Of an object that goes its last state is told; when that is gone already, its id. */
function lastOf(reader: Reader, kind: ObjectKind, id: string): StoreObject {
	return reader.get(kind, id) ?? nothingBut(kind, id);
}

const NOTHING = new Uint8Array(0);
function nothingBut(kind: ObjectKind, id: string): StoreObject {
	const bare = { node, service, task, network, cluster }[kind].read(NOTHING);
	if (typeof bare === "string") throw new RangeError(`no empty ${kind}`);
	const object = "kind" in bare ? bare : "task" in bare ? bare.task : bare.node;
	return { ...object, id };
}

/** Proposals, as the manager of this store tells them. */
export function proposals(reader: Reader): protobuf.Codec<Proposal> {
	const action = mapped<StoreAction, ActionMessage>(
		actionMessage,
		(of) => ({
			...target(of.op === "delete" ? lastOf(reader, of.kind, of.id) : of.object, around(reader)),
			op: of.op,
		}),
		({ op, ...found }) => {
			const object = objectIn(found);
			if (object === undefined || op === "unknown") return undefined;
			return op === "delete" ? { op, kind: object.kind, id: object.id } : { op, object };
		},
	);
	return message<Proposal>({ id: uint64(1), actions: messages(2, action) });
}

/** Everything in a store. */
export const storeSnapshot: protobuf.Codec<StoreSnapshot> = mapped<StoreSnapshot, SnapshotMessage>(
	message<SnapshotMessage>({
		nodes: messages(1, node),
		services: messages(2, service),
		networks: messages(3, network),
		tasks: messages(4, task),
		clusters: messages(5, cluster),
		// The index of the last write. Swarmkit has raft's own in its place, which counts more than writes.
		version: uint(1000),
	}),
	({ version, objects }) => {
		const networks = new Map<string, NetworkObject>();
		for (const object of objects) if (object.kind === "network") networks.set(object.id, object);
		const surroundings: Surroundings = {
			network: (id) => networks.get(id),
			cluster: objects.find(({ kind }) => kind === "cluster")?.id ?? "",
		};
		const targets = objects.map((object) => target(object, surroundings));
		return {
			nodes: targets.flatMap((each) => each.node ?? []),
			services: targets.flatMap((each) => each.service ?? []),
			networks: targets.flatMap((each) => each.network ?? []),
			tasks: targets.flatMap((each) => each.task ?? []),
			clusters: targets.flatMap((each) => each.cluster ?? []),
			version,
		};
	},
	({ nodes, services, networks, tasks, clusters, version }) => ({
		version,
		objects: [
			...nodes.map((each) => each.node),
			...networks,
			...services,
			...tasks.map((each) => each.task),
			...clusters,
		],
	}),
);
