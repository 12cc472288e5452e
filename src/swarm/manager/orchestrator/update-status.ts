import type { ServiceObject, UpdateStatus } from "../../objects.ts";
import type { Transaction } from "../../store/transaction.ts";

function write(tx: Transaction, service: ServiceObject, now: string, changes: Partial<ServiceObject>): void {
	tx.update({ ...service, ...changes, meta: { ...service.meta, updatedAt: now } });
}

/** The service's status, when it still has one: a change of its spec since takes it away. */
function begun(tx: Transaction, id: string): readonly [ServiceObject, UpdateStatus] | undefined {
	const service = tx.get("service", id);
	return service?.updateStatus === undefined ? undefined : [service, service.updateStatus];
}

/** `updating`: tasks begin to be replaced. */
export function startUpdate(tx: Transaction, id: string, now: string): void {
	const service = tx.get("service", id);
	if (service === undefined || service.updateStatus !== undefined) return;
	const updateStatus = { state: "updating", startedAt: now, message: "update in progress" } as const;
	write(tx, service, now, { updateStatus });
}

/** `paused`, or `rollback_paused`: nothing goes on until the user says so. */
export function pauseUpdate(tx: Transaction, id: string, now: string, message: string): void {
	const found = begun(tx, id);
	if (found === undefined) return;
	const [service, status] = found;
	const state = status.state === "rollback_started" ? "rollback_paused" : "paused";
	write(tx, service, now, { updateStatus: { ...status, state, message } });
}

/** `rollback_started`: the previous spec is the service's again. */
export function rollBackUpdate(tx: Transaction, id: string, now: string, message: string): void {
	const found = begun(tx, id);
	if (found === undefined) return;
	const [service, status] = found;
	if (service.previousSpec === undefined) return;
	write(tx, service, now, {
		spec: service.previousSpec,
		specVersion: service.previousSpecVersion ?? 0,
		previousSpec: undefined,
		previousSpecVersion: undefined,
		updateStatus: { ...status, state: "rollback_started", message },
	});
}

/** `completed`, or `rollback_completed`. */
export function completeUpdate(tx: Transaction, id: string, now: string): void {
	const found = begun(tx, id);
	if (found === undefined) return;
	const [service, status] = found;
	const back = status.state === "rollback_started";
	write(tx, service, now, {
		updateStatus: {
			...status,
			state: back ? "rollback_completed" : "completed",
			message: back ? "rollback completed" : "update completed",
			completedAt: now,
		},
	});
}
