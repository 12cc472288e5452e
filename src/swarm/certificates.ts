import { Rng } from "../sim/index.ts";
import type { NodeRole } from "./objects.ts";

/** A root certificate of swarmkit's, in PEM, and its P-256 key. */
const ROOT_OCTETS = 550;
const ROOT_KEY_OCTETS = 227;
/** A request to sign a node's P-256 key, in PEM; its signature's length varies. */
const REQUEST_OCTETS = 323;
/** A node's: its own and the root's, in PEM. */
const NODE_OCTETS = 809;

/** All that managers and nodes tell each other is of one cluster: its certificate is made once. */
let lastRoot: { readonly cluster: string; readonly certificate: Uint8Array } | undefined;

/** A cluster's root certificate: chance where keys and signatures are, the same wherever the cluster is the same. */
export function rootCertificate(cluster: string): Uint8Array {
	if (lastRoot?.cluster !== cluster)
		lastRoot = { cluster, certificate: chance(`root certificate/${cluster}`, ROOT_OCTETS) };
	return lastRoot.certificate;
}

/** The key that a cluster's certificates are signed with. */
export const rootKey = (cluster: string): Uint8Array => chance(`root key/${cluster}`, ROOT_KEY_OCTETS);

/** What a node asked for its certificate with. */
export function nodeRequest(nodeId: string): Uint8Array {
	const name = `certificate request/${nodeId}`;
	return chance(name, requestOctets(new Rng(`${name}/length`)));
}

/** How long a request is, by chance. */
export const requestOctets = (rng: Rng): number => REQUEST_OCTETS + 4 * rng.below(2);

function chance(name: string, octets: number): Uint8Array {
	const found = new Uint8Array(octets);
	new Rng(name).bytes(found);
	return found;
}

/** A node's certificate, as long as swarmkit's. */
export function nodeCertificate(nodeId: string, role: NodeRole): Uint8Array {
	return chance(`certificate/${nodeId}/${role}`, NODE_OCTETS);
}
