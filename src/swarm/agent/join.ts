import { type Rng, seconds, Timer } from "../../sim/index.ts";
import { MachineClock } from "../clock.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { type Channel, GrpcClient, type Identity, RpcError, unary } from "../control/index.ts";
import { requestOctets } from "../certificates.ts";
import { digestIn, digestOf, hexOfDigest } from "../identity.ts";
import { getRootCaCertificate, issueNodeCertificate, nodeCertificateStatus } from "../methods.ts";
import type { NodeAvailability } from "../objects.ts";

const TIMEOUT = seconds(5);
/** How often a root certificate, and a certificate of one's own, are asked for (swarmkit ca/certificates.go). */
const TRIES = 5;
/** Between tries for the root certificate (`GetCertRetryInterval`). */
const RETRY = seconds(2);

/** Who wants to join, and where. */
export interface JoinRequest {
	readonly ns: IpNamespace;
	readonly rng: Rng;
	/** `172.31.1.5:2377`. */
	readonly remote: string;
	readonly token: string;
	readonly availability: NodeAvailability;
}

/** How it ended: in the words of gRPC, or of the one who asked. */
export type JoinResult = Identity | { readonly error: string };

/**
 * A node's first words with its cluster: the root certificate, checked by the token's digest, on a connection of its own;
 * then a certificate for the token's secret, on another one to `swarm-ca`. What is returned gives it up, saying nothing.
 */
export function obtainCertificate(request: JoinRequest, done: (result: JoinResult) => void): () => void {
	const { ns, rng, remote, token, availability } = request;
	const clock = new MachineClock(ns.kernel);
	const [address = "", port = ""] = remote.split(":");
	let client: GrpcClient | undefined;
	let over = false;
	let tries = 0;
	const connect = (serverName?: string): GrpcClient =>
		new GrpcClient(ns, {
			address,
			port: Number(port),
			...(serverName === undefined ? {} : { serverName }),
			identity: undefined,
			trusts: (peer) => peer?.role === "manager",
			rng,
		});
	const end = (result: JoinResult): void => {
		over = true;
		again.cancel();
		done(result);
	};
	const again = new Timer(() => {
		root();
	});
	const root = (): void => {
		client = connect();
		unary(
			client,
			getRootCaCertificate,
			{},
			(reply) => {
				client?.close();
				if (over) return;
				const failure = reply instanceof RpcError ? reply.message : fingerprint(reply.certificate, token);
				if (failure === undefined) {
					tries = 0;
					certificate();
				} else if (++tries < TRIES) clock.after(RETRY, again);
				else end({ error: failure });
			},
			{ timeout: TIMEOUT },
		);
	};
	const certificate = (): void => {
		const connection = connect("swarm-ca");
		client = connection;
		requestCertificate(connection, rng, { token, availability, role: "worker" }, (result) => {
			const { server } = connection;
			connection.close();
			if (over) return;
			if (!(result instanceof RpcError) && server !== undefined) end({ ...result, cluster: server.cluster });
			else if (result instanceof RpcError && ++tries < TRIES) certificate();
			else end({ error: result instanceof RpcError ? result.message : "EOF" });
		});
	};
	root();
	return () => {
		over = true;
		again.cancel();
		client?.forget();
	};
}

/** Asks for a certificate and waits until it is there. */
export function requestCertificate(
	channel: Channel,
	rng: Rng,
	wanted: {
		readonly token: string;
		readonly availability: NodeAvailability;
		readonly role: Identity["role"];
	},
	done: (result: { readonly nodeId: string; readonly role: Identity["role"] } | RpcError) => void,
): void {
	const csr = new Uint8Array(requestOctets(rng));
	rng.bytes(csr);
	unary(
		channel,
		issueNodeCertificate,
		{ ...wanted, csr },
		(issued) => {
			if (issued instanceof RpcError) {
				done(issued);
				return;
			}
			const { nodeId } = issued;
			unary(
				channel,
				nodeCertificateStatus,
				{ nodeId },
				(status) => {
					if (status instanceof RpcError) done(status);
					else done({ nodeId, role: status.certificate?.role ?? "worker" });
				},
				{ timeout: TIMEOUT },
			);
		},
		{ timeout: TIMEOUT },
	);
}

/** What is wrong with a root certificate, by a token. */
function fingerprint(certificate: Uint8Array, token: string): string | undefined {
	const expected = digestIn(token);
	if (expected === digestOf(certificate)) return undefined;
	return `remote CA does not match fingerprint. Expected: ${expected === undefined ? "" : hexOfDigest(expected)}`;
}
