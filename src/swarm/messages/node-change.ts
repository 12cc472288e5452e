// What becomes of a node by its users' wish (swarmkit api/control.proto `UpdateNodeRequest`).
import { protobuf } from "../../wire/index.ts";
import { NODE_AVAILABILITIES, NODE_ROLES, type NodeAvailability, type NodeRole } from "../objects.ts";
import { type Annotations, annotations, unlessEmpty } from "./common.ts";

const { message, optional, text, texts, word } = protobuf;

/** What changes of a node. Swarmkit sends all of what it is to be; here it is said which of it is new. */
export interface NodeChangeMessage {
	readonly id: string;
	readonly spec: NodeSpecMessage | undefined;
	readonly said: readonly string[];
	readonly labelRm: readonly string[];
}
interface NodeSpecMessage {
	readonly annotations: Annotations | undefined;
	readonly role: NodeRole;
	readonly membership: "pending" | "accepted";
	readonly availability: NodeAvailability;
}
export const nodeChange: protobuf.Codec<NodeChangeMessage> = message<NodeChangeMessage>({
	id: text(1),
	spec: optional(
		3,
		message<NodeSpecMessage>({
			annotations: optional(1, annotations),
			role: word(2, NODE_ROLES),
			membership: word(3, ["pending", "accepted"]),
			availability: word(4, NODE_AVAILABILITIES),
		}),
	),
	said: texts(1000),
	labelRm: texts(1001),
});
/** What changes: what is left out stays. */
export interface NodeChange {
	readonly role?: NodeRole;
	readonly availability?: NodeAvailability;
	readonly labels?: Readonly<Record<string, string>>;
	readonly labelRm?: readonly string[];
}
/** A change as it is told. */
export const changeOf = (
	nodeId: string,
	{ role, availability, labels, labelRm }: NodeChange,
): NodeChangeMessage => ({
	id: nodeId,
	spec: {
		annotations: labels === undefined ? undefined : { name: "", labels },
		role: role ?? "worker",
		membership: "accepted",
		availability: availability ?? "active",
	},
	said: [...(role === undefined ? [] : ["role"]), ...(availability === undefined ? [] : ["availability"])],
	labelRm: labelRm ?? [],
});
/** The change that was told. */
export const changeIn = ({ spec, said, labelRm }: NodeChangeMessage): NodeChange => ({
	...(spec !== undefined && said.includes("role") ? { role: spec.role } : {}),
	...(spec !== undefined && said.includes("availability") ? { availability: spec.availability } : {}),
	...(spec?.annotations === undefined ? {} : { labels: spec.annotations.labels }),
	...unlessEmpty("labelRm", labelRm),
});
