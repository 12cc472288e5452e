import type { Ip4 } from "../../../addr/index.ts";
import type { Destination, Service } from "../service.ts";

/** What a scheduler may look at: the packet that begins a connection. */
export interface Request {
	readonly source: Ip4;
	readonly sourcePort: number;
	readonly destination: Ip4;
}

/** Chooses real servers for one service (`struct ip_vs_scheduler`). */
export interface Scheduler {
	/** As `ipvsadm -s` names it. */
	readonly name: string;
	/** The real server for a new connection; undefined when none may take it. */
	schedule(request: Request): Destination | undefined;
	/** A destination was added or edited. The list has it already. */
	changed(): void;
	/** A destination was taken out of the list, where it stood at `index`. */
	removed(destination: Destination, index: number): void;
}

/** Binds a scheduler to a service (`init_service`). */
export type MakeScheduler = (service: Service) => Scheduler;
