import { DockerError } from "../../cnm/index.ts";
import type { NetworkObject, NodeObject, ServiceObject } from "../objects.ts";
import type { Reader } from "../store/tables.ts";

/** By id, by name, or by the first digits of an id (moby daemon/cluster/helpers.go). Throws `DockerError`. */
function find<T extends { readonly id: string }>(
	what: string,
	term: string,
	all: readonly T[],
	nameOf: (object: T) => string | undefined,
): T {
	const byId = all.find(({ id }) => id === term);
	if (byId !== undefined) return byId;
	const byName = all.filter((object) => nameOf(object) === term);
	const found = byName.length > 0 || term === "" ? byName : all.filter(({ id }) => id.startsWith(term));
	const [only] = found;
	if (only === undefined)
		throw new DockerError(404, `${what} ${term} not found`, { context: { [what]: term } });
	if (found.length > 1)
		throw new DockerError(400, `${what} ${term} is ambiguous (${String(found.length)} matches found)`);
	return only;
}

/** A service by name or id. Throws `DockerError` 404, 400. */
export const findService = (reader: Reader, term: string): ServiceObject =>
	find("service", term, reader.all("service"), ({ spec }) => spec.name);

/** A node by hostname or id; `self` is the one that is asked. Throws `DockerError` 404, 400. */
export const findNode = (reader: Reader, term: string, self: string): NodeObject =>
	find("node", term === "self" ? self : term, reader.all("node"), ({ description }) => description?.hostname);

/** A network of the cluster's by name or id. Throws `DockerError` 404, 400. */
export const findNetwork = (reader: Reader, term: string): NetworkObject =>
	find("network", term, reader.all("network"), ({ spec }) => spec.name);
