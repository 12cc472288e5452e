import { DockerError } from "../../cnm/index.ts";
import { PREDEFINED } from "../manager/labels.ts";
import { live, rank } from "../manager/part.ts";
import type { NetworkSpec } from "../objects.ts";
import type { Reader } from "../store/tables.ts";
import type { Transaction } from "../store/transaction.ts";
import { usersOf } from "./control-services.ts";
import { rpcError } from "./rpc-error.ts";
import { validateNetworkSpec } from "./validate.ts";

/** `CreateNetwork`. Subnets that others use are not refused: such a network gets none (swarmkit issue 2398). */
export function checkNetworkCreate(reader: Reader, spec: NetworkSpec): void {
	validateNetworkSpec(spec);
	const networks = reader.all("network");
	const ingress = networks.find((each) => each.spec.ingress);
	if (spec.ingress && ingress !== undefined)
		throw rpcError("AlreadyExists", `ingress network (${ingress.id}) is already present`);
	if (networks.some((each) => !each.predefined && each.spec.name === spec.name))
		throw new DockerError(409, `network with name ${spec.name} already exists`, {
			context: { network: spec.name },
		});
}

export function createNetwork(tx: Transaction, id: string, spec: NetworkSpec, now: string): void {
	checkNetworkCreate(tx, spec);
	tx.create({
		kind: "network",
		id,
		meta: { version: 0, createdAt: now, updatedAt: now },
		spec,
		allocated: undefined,
		predefined: false,
	});
}

/** `RemoveNetwork`. Throws `DockerError`. */
export function checkNetworkRemove(reader: Reader, id: string): void {
	const network = reader.get("network", id);
	if (network === undefined) throw rpcError("NotFound", `network ${id} not found`);
	const { spec } = network;
	if (PREDEFINED in spec.labels) {
		throw rpcError(
			"FailedPrecondition",
			`network ${id} (${spec.name}) is a swarm predefined network and cannot be removed`,
		);
	}
	const [service] = usersOf(reader, id, spec);
	if (service !== undefined) {
		throw rpcError(
			"FailedPrecondition",
			spec.ingress
				? `ingress network cannot be removed because service ${service.id} depends on it`
				: `network ${id} is in use by service ${service.id}`,
		);
	}
	const task = reader
		.all("task")
		.find(
			(each) =>
				live(each.status) &&
				rank(each.desiredState) <= rank("running") &&
				[
					...each.networks.map(({ networkId }) => networkId),
					...each.spec.networks.map(({ target }) => target),
				].includes(id),
		);
	if (task !== undefined) throw rpcError("FailedPrecondition", `network ${id} is in use by task ${task.id}`);
}
