// A place on a network, with the network itself (swarmkit api/objects.proto `NetworkAttachment`).
import { protobuf } from "../../wire/index.ts";
import type { NetworkAttachment, NetworkObject } from "../objects.ts";
import { unlessBare } from "./common.ts";
import { network } from "./network.ts";

const { map, message, optional, texts } = protobuf;

/** An attachment as it is told: whoever hears of it knows the network from then on. */
export interface AttachmentMessage {
	readonly network: NetworkObject | undefined;
	readonly addresses: readonly string[];
	readonly aliases: readonly string[];
	readonly driverOptions: Readonly<Record<string, string>>;
}
export const attachment: protobuf.Codec<AttachmentMessage> = message<AttachmentMessage>({
	network: optional(1, network),
	addresses: texts(2),
	aliases: texts(3),
	driverOptions: map(4),
});

/** Finds networks that are told with what is on them. */
export type NetworkOf = (id: string) => NetworkObject | undefined;

/** Attachments with their networks; of a network that is not there any more only the id is known. */
export const withNetworks = (
	attachments: readonly NetworkAttachment[],
	networkOf: NetworkOf,
): readonly AttachmentMessage[] =>
	attachments.map(({ networkId, addresses, aliases, driverOptions = {} }) => ({
		network: networkOf(networkId) ?? networkNamed(networkId),
		addresses,
		aliases,
		driverOptions,
	}));

/** Attachments without their networks. */
export const attachmentsIn = (told: readonly AttachmentMessage[]): readonly NetworkAttachment[] =>
	told.map(({ network: on, addresses, aliases, driverOptions }) => ({
		networkId: on?.id ?? "",
		addresses,
		aliases,
		...unlessBare("driverOptions", driverOptions),
	}));

/** The networks of attachments: those of which more than the id was told. */
export const networksIn = (told: readonly AttachmentMessage[]): readonly NetworkObject[] =>
	told.flatMap(({ network: on }) => (on === undefined || on.spec.name === "" ? [] : on));

const networkNamed = (id: string): NetworkObject => ({
	kind: "network",
	id,
	meta: { version: 0, createdAt: "", updatedAt: "" },
	spec: {
		name: "",
		labels: {},
		driver: "",
		options: {},
		internal: false,
		attachable: false,
		ingress: false,
		ipam: { options: null, configs: [] },
	},
	allocated: undefined,
	predefined: false,
});
