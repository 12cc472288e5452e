import type { Rng } from "../../sim/index.ts";
import type { Identity } from "./rpc.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** A worker's certificate in DER, and a manager's, which is for `swarm-manager` and `swarm-ca` too. */
const OCTETS = { worker: 557, manager: 570 } as const;

/** A certificate as long as swarmkit's: who its node is, and else chance where keys and signatures are. */
export function certificateOf(identity: Identity, rng: Rng): Uint8Array {
	const certificate = new Uint8Array(OCTETS[identity.role]);
	rng.bytes(certificate);
	const text = encodeUtf8(JSON.stringify(identity));
	certificate.set([0x30, 0x82, (certificate.length - 4) >>> 8, (certificate.length - 4) & 0xff, text.length]);
	certificate.set(text, 5);
	return certificate;
}

/** Whether what was read from somebody's octets says who a node is. */
export function isIdentity(value: unknown): value is Identity {
	if (typeof value !== "object" || value === null) return false;
	if (!("nodeId" in value && "role" in value && "cluster" in value)) return false;
	const { nodeId, role, cluster } = value;
	return (
		typeof nodeId === "string" && (role === "worker" || role === "manager") && typeof cluster === "string"
	);
}

/** Who a certificate is for; undefined where it does not say so. */
export function identityIn(certificate: Uint8Array): Identity | undefined {
	const [, , , , length = 0] = certificate;
	try {
		const said: unknown = JSON.parse(decodeUtf8(certificate.slice(5, 5 + length)));
		return isIdentity(said) ? said : undefined;
	} catch {
		return undefined;
	}
}
