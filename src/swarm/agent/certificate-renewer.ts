import { type Rng, seconds, Timer } from "../../sim/index.ts";
import type { Clock } from "../clock.ts";
import { type Channel, RpcError } from "../control/index.ts";
import type { Membership } from "../membership.ts";
import type { NodeRole } from "../objects.ts";
import type { ConnectionBroker } from "./connection-broker.ts";
import { requestCertificate } from "./join.ts";

/** A certificate that could not be had is asked for again after so long. */
const RENEW_AGAIN = seconds(2);

/** What a renewer needs around it. */
export interface CertificateRenewerOptions {
	readonly clock: Clock;
	readonly fork: (purpose: string) => Rng;
	readonly broker: ConnectionBroker;
	readonly membership: () => Membership | undefined;
	/** The way to the manager on this node, once that can answer. */
	readonly local: () => Channel | undefined;
	/** The node's identity has another role now; `manager` is one that it knew of. */
	readonly onRenewed: (role: NodeRole, manager: string) => void;
}

/** Has a node's certificate changed for one with the role that the managers want it to have (swarmkit ca/renewer.go). */
export class CertificateRenewer {
	readonly #options: CertificateRenewerOptions;
	readonly #renewing = new Timer(() => {
		this.#renew();
	});
	#wanted: NodeRole | undefined;

	constructor(options: CertificateRenewerOptions) {
		this.#options = options;
	}

	/** The managers want the node to be this. */
	want(role: NodeRole): void {
		const { clock, membership } = this.#options;
		this.#wanted = role;
		if (role !== membership()?.identity?.role && !this.#renewing.pending) clock.after(0, this.#renewing);
	}

	#renew(): void {
		const { clock, fork, broker, local } = this.#options;
		const membership = this.#options.membership();
		const identity = membership?.identity;
		const role = this.#wanted;
		const remote = broker.select();
		if (membership === undefined || identity === undefined || role === undefined || remote === undefined)
			return;
		if (role === identity.role) return;
		const own = local();
		const client = own === undefined ? broker.dial(remote.addr, "swarm-ca") : undefined;
		const channel = own ?? client;
		if (channel === undefined) return;
		const request = { token: "", availability: "active", role } as const;
		requestCertificate(channel, fork("renewal"), request, (result) => {
			client?.close();
			if (this.#options.membership() !== membership) return;
			if (result instanceof RpcError || result.role === identity.role) {
				clock.after(RENEW_AGAIN, this.#renewing);
				return;
			}
			membership.identity = { ...identity, role: result.role };
			this.#options.onRenewed(result.role, remote.addr);
		});
	}

	/** The node left, or its machine stopped. */
	forget(): void {
		this.#renewing.cancel();
		this.#wanted = undefined;
	}
}
