import { timestamp } from "../../cnm/index.ts";
import { type Exchange, RpcError, type RpcServer } from "../control/index.ts";
import { nodeCertificate, rootCertificate } from "../certificates.ts";
import { newId } from "../identity.ts";
import { getRootCaCertificate, issueNodeCertificate, nodeCertificateStatus } from "../methods.ts";
import type { NodeAvailability, NodeObject, NodeRole } from "../objects.ts";
import type { Leadership } from "./leadership.ts";

/** Gives nodes their certificates: for a token, or anew for one that is in the cluster (swarmkit ca/server.go). */
export class CertificateAuthority {
	readonly #reign: Leadership;
	readonly #requests = new Map<string, Uint8Array>();

	constructor(reign: Leadership) {
		this.#reign = reign;
	}

	/** Answers at a manager that leads. */
	serve(rpc: RpcServer): void {
		rpc.handle(getRootCaCertificate, (_, exchange) => {
			exchange.answer({ certificate: rootCertificate(this.#reign.cluster?.id ?? "") });
		});
		rpc.handle(issueNodeCertificate, ({ csr, token, availability }, exchange) => {
			const { identity } = exchange.caller;
			if (identity !== undefined) {
				this.#requests.set(identity.nodeId, csr);
				exchange.answer({ nodeId: identity.nodeId, accepted: true });
				return;
			}
			this.#admit(csr, this.#roleFor(token), availability, exchange);
		});
		rpc.handle(nodeCertificateStatus, ({ nodeId }, exchange) => {
			this.#whenIssued(nodeId, exchange);
		});
	}

	#roleFor(token: string): NodeRole {
		const tokens = this.#reign.cluster?.tokens;
		if (token !== "" && token === tokens?.manager) return "manager";
		if (token !== "" && token === tokens?.worker) return "worker";
		throw new RpcError("InvalidArgument", "A valid join token is necessary to join this cluster");
	}

	#admit(
		csr: Uint8Array,
		role: NodeRole,
		availability: NodeAvailability,
		exchange: Exchange<{ readonly nodeId: string; readonly accepted: boolean }>,
	): void {
		const { store, rng, kernel } = this.#reign;
		const id = newId(rng);
		const now = timestamp(kernel);
		const node: NodeObject = {
			kind: "node",
			id,
			meta: { version: 0, createdAt: now, updatedAt: now },
			spec: { role, availability, labels: {} },
			description: undefined,
			status: { state: "unknown", message: "", addr: "" },
			managerStatus: undefined,
			attachments: [],
		};
		this.#requests.set(id, csr);
		store.update(
			(tx) => {
				tx.create(node);
			},
			(error) => {
				if (error !== undefined) {
					exchange.end(new RpcError("Unknown", error instanceof Error ? error.message : "not agreed upon"));
					return;
				}
				exchange.answer({ nodeId: id, accepted: true });
				this.#sign(id, role);
			},
		);
	}

	#sign(id: string, role: NodeRole): void {
		this.#reign.store.update((tx) => {
			const node = tx.get("node", id);
			if (node !== undefined && node.role === undefined) tx.update({ ...node, role });
		});
	}

	#whenIssued(nodeId: string, exchange: Exchange<ReturnType<typeof issued>>): void {
		const { store } = this.#reign;
		if (store.get("node", nodeId) === undefined) throw new RpcError("NotFound", `node ${nodeId} not found`);
		const look = (): boolean => {
			const node = store.get("node", nodeId);
			if (node?.role === undefined) return false;
			exchange.answer(issued(node.id, node.role, this.#requests.get(nodeId) ?? new Uint8Array(0)));
			this.#requests.delete(nodeId);
			return true;
		};
		if (look()) return;
		const stop = store.watch(() => {
			if (look()) stop();
		});
		exchange.onCancel = stop;
		this.#reign.atEnd(stop);
	}
}

const issued = (nodeId: string, role: NodeRole, csr: Uint8Array) =>
	({
		status: { state: "issued" },
		certificate: {
			role,
			csr,
			status: { state: "issued" },
			certificate: nodeCertificate(nodeId, role),
			cn: nodeId,
		},
	}) as const;
