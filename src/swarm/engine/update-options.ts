import { cliRefuses } from "../../cnm/index.ts";
import { type Duration, parseDuration } from "../../sim/index.ts";
import type { ClusterChange } from "../dispatcher/index.ts";

/** What `docker swarm update` takes: what is not said stays. */
export interface SwarmUpdateOptions {
	/** `--task-history-limit`: tasks kept of each slot, 5 unless said; all of them when it is below nothing. */
	readonly taskHistoryLimit?: number;
	/** `--dispatcher-heartbeat`: how often nodes are to say that they are there; 5 s unless said. */
	readonly dispatcherHeartbeat?: Duration;
}

/** What the managers are asked for. Throws `NetError` where the CLI refuses. */
export function clusterChange({ taskHistoryLimit, dispatcherHeartbeat }: SwarmUpdateOptions): ClusterChange {
	if (taskHistoryLimit !== undefined && !Number.isSafeInteger(taskHistoryLimit)) {
		const text = JSON.stringify(String(taskHistoryLimit));
		throw cliRefuses(
			`invalid argument ${text} for "--task-history-limit" flag: strconv.ParseInt: parsing ${text}: invalid syntax`,
		);
	}
	return {
		...(taskHistoryLimit === undefined ? {} : { taskHistoryLimit }),
		...(dispatcherHeartbeat === undefined
			? {}
			: { dispatcherHeartbeat: parseDuration(dispatcherHeartbeat, "dispatcherHeartbeat") }),
	};
}
