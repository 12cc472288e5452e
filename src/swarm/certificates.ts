import { Rng } from "../sim/index.ts";
import type { NodeRole } from "./objects.ts";

/** A root certificate of swarmkit's, in PEM. */
const ROOT_OCTETS = 550;
/** A node's: its own and the root's, in PEM. */
const NODE_OCTETS = 809;

/** A cluster's root certificate: chance where keys and signatures are, the same wherever the cluster is the same. */
export function rootCertificate(cluster: string): Uint8Array {
	const certificate = new Uint8Array(ROOT_OCTETS);
	new Rng(`root certificate/${cluster}`).bytes(certificate);
	return certificate;
}

/** A node's certificate, as long as swarmkit's. */
export function nodeCertificate(nodeId: string, role: NodeRole): Uint8Array {
	const certificate = new Uint8Array(NODE_OCTETS);
	new Rng(`certificate/${nodeId}/${role}`).bytes(certificate);
	return certificate;
}
