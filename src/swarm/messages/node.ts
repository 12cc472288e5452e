// A node, and what it says of itself (swarmkit api/objects.proto `Node`, types.proto `NodeDescription`, `Certificate`).
import { protobuf } from "../../wire/index.ts";
import { nodeCertificate, nodeRequest } from "../certificates.ts";
import { type Described, describe, descriptionIn } from "../description.ts";
import {
	type Meta,
	type NetworkObject,
	NODE_AVAILABILITIES,
	NODE_ROLES,
	type NodeAvailability,
	type NodeObject,
	type NodeRole,
	type NodeState,
} from "../objects.ts";
import {
	attachment,
	type AttachmentMessage,
	attachmentsIn,
	type NetworkOf,
	networksIn,
	withNetworks,
} from "./attachment.ts";
import { type Annotations, annotations, meta } from "./common.ts";

const { always, bool, int64, map, mapped, message, messages, octets, optional, text, uint, valued, word } =
	protobuf;

/** How far a certificate is. */
export interface Issuance {
	readonly state: "unknown" | "renew" | "pending" | "issued" | "failed" | "rotate";
}
export const issuance: protobuf.Codec<Issuance> = message<Issuance>({
	state: word(1, ["unknown", "renew", "pending", "issued", "failed", "rotate"]),
});

/** A node's certificate, with what it asked for. */
export interface Certificate {
	readonly role: NodeRole;
	readonly csr: Uint8Array;
	readonly status: Issuance;
	readonly certificate: Uint8Array;
	readonly cn: string;
}
export const certificate: protobuf.Codec<Certificate> = message<Certificate>({
	role: word(1, NODE_ROLES),
	csr: octets(2),
	status: always(3, issuance),
	certificate: octets(4),
	cn: text(5),
});

/** What a node says of itself. */
export const described: protobuf.Codec<Described> = message<Described>({
	hostname: text(1),
	platform: optional(2, message<NonNullable<Described["platform"]>>({ architecture: text(1), os: text(2) })),
	resources: optional(
		3,
		message<NonNullable<Described["resources"]>>({ nanoCpus: int64(1), memoryBytes: int64(2) }),
	),
	engine: optional(
		4,
		message<NonNullable<Described["engine"]>>({
			version: text(1),
			labels: map(2),
			plugins: messages(
				3,
				message<{ readonly type: string; readonly name: string }>({ type: text(1), name: text(2) }),
			),
		}),
	),
	tls: optional(
		5,
		message<NonNullable<Described["tls"]>>({
			trustRoot: octets(1),
			issuer: octets(2),
			issuerKey: octets(3),
		}),
	),
});

interface SpecMessage {
	readonly annotations: Annotations;
	readonly role: NodeRole;
	readonly membership: "pending" | "accepted";
	readonly availability: NodeAvailability;
}
type ManagerStatus = NonNullable<NodeObject["managerStatus"]>;
interface ManagerStatusMessage extends Omit<ManagerStatus, "reachability"> {
	readonly reachability: ManagerStatus["reachability"] | "unknown";
}
interface NodeFields {
	readonly id: string;
	readonly meta: Meta;
	readonly spec: NodeObject["spec"];
	readonly description: Described | undefined;
	readonly status: { readonly state: NodeState; readonly message: string; readonly addr: string };
	readonly managerStatus: ManagerStatus | undefined;
	readonly certificate: Certificate;
	readonly role: NodeRole;
	readonly attachments: readonly AttachmentMessage[];
	readonly dataPathPort: number;
}

const fields = message<NodeFields>({
	id: text(1),
	meta: always(2, meta),
	spec: always(
		3,
		mapped<NodeObject["spec"], SpecMessage>(
			message<SpecMessage>({
				annotations: always(1, annotations),
				role: word(2, NODE_ROLES),
				membership: word(3, ["pending", "accepted"]),
				availability: word(4, NODE_AVAILABILITIES),
			}),
			({ role, availability, labels }) => ({
				annotations: { name: "", labels },
				role,
				membership: "accepted",
				availability,
			}),
			({ annotations: { labels }, role, availability }) => ({ role, availability, labels }),
		),
	),
	description: optional(4, described),
	status: always(
		5,
		message<NodeFields["status"]>({
			state: word(1, ["unknown", "down", "ready", "disconnected"]),
			message: text(2),
			addr: text(3),
		}),
	),
	managerStatus: optional(
		6,
		mapped<ManagerStatus, ManagerStatusMessage>(
			message<ManagerStatusMessage>({
				raftId: uint(1),
				addr: text(2),
				leader: bool(3),
				reachability: valued(4, { unknown: 0, unreachable: 1, reachable: 2 }),
			}),
			(status) => status,
			({ reachability, ...status }) => ({
				...status,
				reachability: reachability === "unknown" ? "unreachable" : reachability,
			}),
		),
	),
	certificate: always(8, certificate),
	role: word(9, NODE_ROLES),
	attachments: messages(10, attachment),
	dataPathPort: uint(11),
});

/** A node as it is told: of which cluster, and with the networks that its load balancers are on. */
export interface NodeMessage {
	readonly node: NodeObject;
	readonly cluster: string;
	readonly attachments: readonly AttachmentMessage[];
}

/** A node. Its certificate, and what it trusts, follow from whose they are. */
export const node: protobuf.Codec<NodeMessage> = mapped<NodeMessage, NodeFields>(
	fields,
	({ node: of, cluster, attachments }) => ({
		id: of.id,
		meta: of.meta,
		spec: of.spec,
		description: of.description === undefined ? undefined : describe(of.description, cluster),
		status: of.status,
		managerStatus: of.managerStatus,
		certificate: certificateOf(of),
		role: of.role ?? of.spec.role,
		attachments,
		dataPathPort: of.dataPathPort ?? 0,
	}),
	({ certificate: { status: issued }, description, role, attachments, dataPathPort, ...of }) => ({
		node: {
			kind: "node",
			id: of.id,
			meta: of.meta,
			spec: of.spec,
			...(issued.state === "issued" ? { role } : {}),
			description: description === undefined ? undefined : descriptionIn(description),
			status: of.status,
			managerStatus: of.managerStatus,
			attachments: attachmentsIn(attachments),
			...(dataPathPort === 0 ? {} : { dataPathPort }),
		},
		cluster: "",
		attachments,
	}),
);

const NOTHING = new Uint8Array(0);
const certificateOf = ({ id, role, spec }: NodeObject): Certificate => ({
	role: role ?? spec.role,
	csr: nodeRequest(id),
	status: { state: role === undefined ? "pending" : "issued" },
	certificate: role === undefined ? NOTHING : nodeCertificate(id, role),
	cn: id,
});

/** A node with its networks. */
export const nodeTold = (object: NodeObject, cluster: string, networkOf: NetworkOf): NodeMessage => ({
	node: object,
	cluster,
	attachments: withNetworks(object.attachments, networkOf),
});

/** The networks that were told with a node. */
export const networksAt = ({ attachments }: NodeMessage): readonly NetworkObject[] => networksIn(attachments);
