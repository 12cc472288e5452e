import type { NetworkSpec, ServiceObject, ServicePort, ServiceSpec } from "../objects.ts";
import { ingressOf, needsIngress } from "../manager/allocator/endpoint.ts";
import { same } from "../manager/same.ts";
import type { Reader } from "../store/tables.ts";
import type { Transaction } from "../store/transaction.ts";
import { rpcError } from "./rpc-error.ts";
import { validateServiceSpec } from "./validate.ts";

/** A service by its id. Throws `DockerError` 404. */
function service(reader: Reader, id: string): ServiceObject {
	const found = reader.get("service", id);
	if (found === undefined) throw rpcError("NotFound", `service ${id} not found`);
	return found;
}

/** `CreateService`. Throws `DockerError`. */
export function checkCreate(reader: Reader, spec: ServiceSpec): void {
	validateServiceSpec(spec);
	checkNetworks(reader, spec);
	checkPortConflicts(reader, spec, undefined);
	checkIngress(reader, spec);
	if (reader.all("service").some((each) => each.spec.name.toLowerCase() === spec.name.toLowerCase())) {
		throw rpcError(
			"AlreadyExists",
			`name conflicts with an existing object: service ${spec.name} already exists`,
		);
	}
}

export function createService(tx: Transaction, id: string, spec: ServiceSpec, now: string): void {
	checkCreate(tx, spec);
	tx.create({
		kind: "service",
		id,
		meta: { version: 0, createdAt: now, updatedAt: now },
		spec,
		specVersion: 0,
		previousSpec: undefined,
		previousSpecVersion: undefined,
		endpoint: undefined,
		updateStatus: undefined,
	});
}

/** `UpdateService`. Throws `DockerError`. */
export function checkUpdate(reader: Reader, id: string, spec: ServiceSpec, specVersion: number): void {
	validateServiceSpec(spec);
	const old = service(reader, id);
	checkNetworks(reader, spec);
	if (!same(spec.endpoint, old.spec.endpoint)) checkPortConflicts(reader, spec, id);
	if (spec.mode.kind !== old.spec.mode.kind)
		throw rpcError("Unimplemented", "service mode change is not allowed");
	if (spec.name !== old.spec.name) throw rpcError("Unimplemented", "renaming services is not supported");
	if (old.specVersion !== specVersion) throw rpcError("Unknown", "update out of sequence");
	checkIngress(reader, spec);
}

export function updateService(
	tx: Transaction,
	id: string,
	spec: ServiceSpec,
	specVersion: number,
	now: string,
): void {
	checkUpdate(tx, id, spec, specVersion);
	const old = service(tx, id);
	tx.update({
		...old,
		meta: { ...old.meta, updatedAt: now },
		spec,
		specVersion: old.meta.version,
		previousSpec: old.spec,
		previousSpecVersion: old.specVersion,
		updateStatus: undefined,
	});
}

/** `UpdateService` with `rollback=previous`. Throws `DockerError`. */
export function checkRollback(reader: Reader, id: string): void {
	const { previousSpec } = service(reader, id);
	if (previousSpec === undefined)
		throw rpcError("FailedPrecondition", `service ${id} does not have a previous spec`);
	// What was right when it came may be taken by others since.
	checkPortConflicts(reader, previousSpec, id);
}

export function rollbackService(tx: Transaction, id: string, now: string): void {
	checkRollback(tx, id);
	const old = service(tx, id);
	if (old.previousSpec === undefined) return;
	tx.update({
		...old,
		meta: { ...old.meta, updatedAt: now },
		spec: old.previousSpec,
		specVersion: old.previousSpecVersion ?? 0,
		previousSpec: old.spec,
		previousSpecVersion: old.specVersion,
		updateStatus: { state: "rollback_started", startedAt: now, message: "manually requested rollback" },
	});
}

/** `RemoveService`. Throws `DockerError`. */
export function checkRemove(reader: Reader, id: string): void {
	service(reader, id);
}

function checkNetworks(reader: Reader, spec: ServiceSpec): void {
	for (const { target } of spec.task.networks) {
		const network = reader.get("network", target);
		// It may have been removed since it was looked up.
		if (network === undefined) throw rpcError("NotFound", `network ${target} not found`);
		if (network.spec.ingress) {
			throw rpcError(
				"InvalidArgument",
				`Service cannot be explicitly attached to the ingress network ${JSON.stringify(network.spec.name)}`,
			);
		}
	}
}

function checkIngress(reader: Reader, spec: ServiceSpec): void {
	if (needsIngress(spec.endpoint) && ingressOf(reader) === undefined) {
		throw rpcError("FailedPrecondition", "service needs ingress network, but no ingress network is present");
	}
}

const key = ({ publishedPort, protocol }: ServicePort): string => `${String(publishedPort)}/${protocol}`;

/** Ports of ingress mode are the whole cluster's; those of mode host may be several services', on other nodes. */
function checkPortConflicts(reader: Reader, { endpoint }: ServiceSpec, self: string | undefined): void {
	const wanted = endpoint.ports.filter(({ publishedPort }) => publishedPort !== 0);
	if (wanted.length === 0) return;
	const ingress = new Set(wanted.filter(({ publishMode }) => publishMode === "ingress").map(key));
	const all = new Set(wanted.map(key));
	for (const other of reader.all("service")) {
		if (other.id === self) continue;
		for (const port of [...other.spec.endpoint.ports, ...(other.endpoint?.ports ?? [])]) {
			if (port.publishedPort === 0) continue;
			const host = port.publishMode === "host";
			if (!(host ? ingress : all).has(key(port))) continue;
			throw rpcError(
				"InvalidArgument",
				`port '${String(port.publishedPort)}' is already in use by service '${other.spec.name}' (${other.id}) as ${
					host ? "a host-published port" : "an ingress port"
				}`,
			);
		}
	}
}

/** Services that are on a network, or need it for their published ports. */
export const usersOf = (reader: Reader, id: string, { ingress }: NetworkSpec): readonly ServiceObject[] =>
	reader
		.all("service")
		.filter(({ spec }) =>
			ingress ? needsIngress(spec.endpoint) : spec.task.networks.some(({ target }) => target === id),
		);
