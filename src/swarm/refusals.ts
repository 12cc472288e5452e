import { cliRefuses, DockerError } from "../cnm/index.ts";
import { type NetError } from "../errors.ts";
import { RpcError } from "./control/index.ts";

/** The API's 500. */
export const failed = (text: string): DockerError => new DockerError(500, text);
/** The API's 400. */
export const invalid = (text: string): DockerError => new DockerError(400, text);
/** The API's 503: not as the node is now. */
export const unavailable = (text: string, remedy?: string): DockerError =>
	new DockerError(503, text, remedy === undefined ? {} : { remedy });

/** `--availability` of `swarm init` and `join`. Throws `NetError`. */
export function checkAvailability(value = "active"): void {
	if (!["active", "pause", "drain"].includes(value)) {
		throw cliRefuses(
			`invalid availability ${JSON.stringify(value)}, only active, pause and drain are supported`,
		);
	}
}

/** `swarm init` or `join` on a node that is in a swarm. */
export const alreadyInSwarm = (): DockerError =>
	unavailable(
		'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
	);
/** `swarm leave` on a node that is in none. */
export const notInSwarm = (): DockerError => unavailable("This node is not part of a swarm");
/** A command for managers on a node that is in no swarm. */
export const noSwarm = (): DockerError =>
	unavailable(
		'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
	);
/** A command for managers on a worker. */
export const notManager = (): DockerError =>
	unavailable(
		"This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
	);
export const NO_LEADER =
	"The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.";
/** What the leader would be asked, and there is none (swarmkit manager/raftselector). */
export const noLeader = (): DockerError => failed(`rpc error: code = Unknown desc = ${NO_LEADER}`);
/** Twenty seconds, and the node is not in the swarm yet. */
export const joinTimeout = (): DockerError =>
	unavailable(
		'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.',
	);

const LEAVING = "You are attempting to leave the swarm on a node that is participating as a manager. ";
const LOST =
	"The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.";

/** `swarm leave` without `--force` on a manager, by how many managers answer and how many do not (daemon/cluster/swarm.go). */
export function leaving(
	managers: { readonly reachable: number; readonly unreachable: number } | undefined,
): DockerError {
	if (managers === undefined)
		return unavailable(`${LEAVING}Doing so may lose the consensus of your cluster. ${LOST}`);
	const { reachable, unreachable } = managers;
	if (reachable - 2 > unreachable) return unavailable(LEAVING + LOST);
	if (reachable === 1 && unreachable === 0)
		return unavailable(
			`${LEAVING}Removing the last manager erases all current state of the swarm. Use \`--force\` to ignore this message. `,
		);
	const left = `${String(reachable - 1)} managers out of ${String(reachable + unreachable)}`;
	return unavailable(
		`${LEAVING}Removing this node leaves ${left}. Without a Raft quorum your swarm will be inaccessible. ${LOST}`,
	);
}

const STATUS: Readonly<Record<string, number>> = {
	InvalidArgument: 400,
	PermissionDenied: 403,
	NotFound: 404,
	AlreadyExists: 409,
	Unavailable: 503,
	FailedPrecondition: 400,
};

/** What the daemon answers when a call to a manager failed: gRPC's text, with `prefix` in front. */
export function refusalOf(error: NetError, prefix = ""): DockerError {
	if (error instanceof DockerError) return error;
	const status = error instanceof RpcError ? (STATUS[error.rpcCode] ?? 500) : 500;
	return new DockerError(status, prefix + error.message);
}
