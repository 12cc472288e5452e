import type { NetError } from "../../errors.ts";
import type { NetworkSpec, NodeAvailability, NodeRole, ServiceSpec } from "../objects.ts";

/** What changes of a node. */
export interface NodeChanges {
	readonly role?: NodeRole;
	readonly availability?: NodeAvailability;
	readonly labelAdd?: Readonly<Record<string, string>>;
	readonly labelRm?: readonly string[];
}

/** What the leader is asked to do: plain data, that a manager that does not lead can send on (swarmkit api/control.proto). */
export type ControlRequest =
	| { readonly method: "createService"; readonly spec: ServiceSpec }
	| {
			readonly method: "updateService";
			readonly id: string;
			readonly spec: ServiceSpec;
			/** `specVersion` of what the spec was made from: a change since is not overwritten. */
			readonly specVersion: number;
	  }
	| { readonly method: "rollbackService"; readonly id: string }
	| { readonly method: "removeService"; readonly id: string }
	| { readonly method: "updateNode"; readonly id: string; readonly changes: NodeChanges }
	| { readonly method: "removeNode"; readonly id: string; readonly force: boolean }
	| { readonly method: "createNetwork"; readonly spec: NetworkSpec }
	| { readonly method: "removeNetwork"; readonly id: string };

/** What was made or changed: a service's, node's or network's id. */
export interface ControlResult {
	readonly id: string;
}

/**
 * The way to the leader: its own `ControlApi`, or what carries requests to it. What is refused at once is thrown; `done`
 * says the rest when it is agreed upon.
 */
export interface ControlClient {
	/** Asks; `done` says how it ended, at once or some time later. */
	call(request: ControlRequest, done: (result: ControlResult | NetError) => void): void;
}
