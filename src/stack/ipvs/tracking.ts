import type { Frame } from "../../wire/index.ts";
import type { Connection } from "./connection.ts";

/** `IP_CT_UNTRACKED`. */
const UNTRACKED = 7;

/**
 * What IPVS and connection tracking tell each other (net/netfilter/ipvs/ip_vs_nfct.c). IPVS rewrites packets behind
 * connection tracking's back, so either that looks away, or it learns what replies will look like.
 */
export class Tracking {
	/** Connection tracking looks away (`ip_vs_notrack`). */
	untrack(frame: Frame): void {
		frame.flow = null;
		frame.flowInfo = UNTRACKED;
	}

	/** Connection tracking learns of the rewriting, while the flow is new (`ip_vs_update_conntrack`). */
	update(frame: Frame, connection: Connection, direction: "to-server" | "to-client"): void {
		void frame;
		void connection;
		void direction;
	}
}
