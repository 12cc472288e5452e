import type { Frame } from "../../wire/index.ts";
import type { Conntrack } from "../netfilter/conntrack/conntrack.ts";
import { directionOf, type Flow, INFO, ORIGINAL, STATUS } from "../netfilter/conntrack/flow.ts";
import type { Connection } from "./connection.ts";

/**
 * What IPVS and connection tracking tell each other. IPVS rewrites packets behind connection tracking's back, so
 * either that looks away, or (`net.ipv4.vs.conntrack`) it learns what replies will look like, and its rules may do more
 * to the packets. Reference: net/netfilter/ipvs/ip_vs_nfct.c.
 */
export class Tracking {
	readonly #conntrack: () => Conntrack | undefined;

	/** `conntrack` gives connection tracking once it is on. */
	constructor(conntrack: () => Conntrack | undefined) {
		this.#conntrack = conntrack;
	}

	/** Connection tracking looks away (`ip_vs_notrack`). */
	untrack(frame: Frame): void {
		frame.flow = null;
		frame.flowInfo = INFO.untracked;
	}

	/**
	 * Connection tracking learns of the rewriting while the flow is new: its replies will come from the real server,
	 * or go to the virtual address (`ip_vs_update_conntrack`).
	 */
	update(frame: Frame, connection: Connection, direction: "to-server" | "to-client"): void {
		const flow = frame.flow as Flow | null;
		if (flow === null || (flow.status & (STATUS.confirmed | STATUS.dying)) !== 0) return;
		if (connection.forward !== "masquerading" || directionOf(frame.flowInfo) !== ORIGINAL) return;
		const { reply } = flow;
		if (direction === "to-server") {
			reply.source = connection.address;
			reply.ports = (connection.port << 16) | (reply.ports & 0xffff);
		} else {
			reply.destination = connection.virtual;
			reply.ports = (reply.ports & ~0xffff) | connection.virtualPort;
		}
	}

	/** Whether a packet's flow was there before: that of the connection it belongs to (`ip_vs_conn_uses_old_conntrack`). */
	isOld(frame: Frame, connection: Connection): boolean {
		if (!connection.tracked || frame.flow === null) return false;
		return ((frame.flow as Flow).status & STATUS.confirmed) !== 0;
	}

	/** A connection ended: its flow ends too (`ip_vs_conn_drop_conntrack`). */
	forget({ client, clientPort, virtual, virtualPort, protocol }: Connection): void {
		const conntrack = this.#conntrack();
		const ports = (clientPort << 16) | virtualPort;
		const tuple = conntrack?.lookup(client, virtual, ports, protocol);
		if (tuple != null) conntrack?.forget(tuple.flow);
	}
}
