import type { TaskObject } from "../../objects.ts";

/** The tasks of one slot. */
export type Slot = readonly TaskObject[];

const runs = (slot: Slot): boolean => slot.some(({ status }) => status.state === "running");

/**
 * Slots in the order in which they are kept when a service gets fewer: those that run before those that do not, then so
 * that nodes with most tasks of the service lose theirs first (swarmkit orchestrator/replicated/services.go).
 */
export function bestFirst(slots: readonly Slot[]): readonly Slot[] {
	const sorted = [...slots].sort(
		(a, b) => Number(runs(b)) - Number(runs(a)) || (a[0]?.slot ?? 0) - (b[0]?.slot ?? 0),
	);
	const onNode = new Map<string, number>();
	return sorted
		.map((slot) => {
			const nodeId = slot.length === 1 ? (slot[0]?.nodeId ?? "") : "";
			if (nodeId === "") return { slot, nth: Infinity };
			const nth = (onNode.get(nodeId) ?? 0) + 1;
			onNode.set(nodeId, nth);
			return { slot, nth };
		})
		.sort((a, b) => (a.nth === b.nth ? 0 : a.nth - b.nth))
		.map(({ slot }) => slot);
}
