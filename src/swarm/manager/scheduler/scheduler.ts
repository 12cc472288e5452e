import { milliseconds, type Instant, seconds, Timer } from "../../../sim/index.ts";
import type { TaskObject } from "../../objects.ts";
import type { StoreEvent } from "../../store/store.ts";
import type { Transaction } from "../../store/transaction.ts";
import { live, TurningPart, rank } from "../part.ts";
import { noSuitableNode, Pipeline } from "./filters.ts";
import { MAX_FAILURES, NodeInfo } from "./node-info.ts";
import { type PlacementTree, placementTree } from "./placement-tree.ts";

/** Changes are waited for so long, so that tasks made together are placed together (`commitDebounceGap`). */
const GAP = milliseconds(50);
/** But no longer than this (`maxLatency`). */
const LONGEST = seconds(1);

type Before = (a: NodeInfo, b: NodeInfo) => number;

/**
 * Gives tasks that have their addresses a node: the one with the fewest tasks of their service, then with the fewest of
 * all, among those that pass the filters (swarmkit manager/scheduler). Between equals the lower id decides.
 */
export class Scheduler extends TurningPart {
	readonly #infos = new Map<string, NodeInfo>();
	/** Tasks to place, oldest first. */
	readonly #unassigned = new Set<string>();
	/** Tasks of global services and attachments: their node is known and has to agree. */
	readonly #preassigned = new Set<string>();
	readonly #timer = new Timer(() => {
		this.turn();
	});
	#waitingSince: Instant | undefined;

	start(): void {
		const { store } = this.context;
		for (const node of [...store.all("node")]) this.#infos.set(node.id, new NodeInfo(node));
		for (const task of store.all("task")) this.#taskChanged(task, undefined);
		this.turn();
	}

	override stop(): void {
		super.stop();
		this.#timer.cancel();
	}

	changed(events: readonly StoreEvent[]): void {
		let changed = false;
		for (const { op, object, previous } of events) {
			if (object.kind === "node") {
				const info = this.#infos.get(object.id);
				if (op === "delete") this.#infos.delete(object.id);
				else if (info === undefined) this.#infos.set(object.id, new NodeInfo(object));
				else info.node = object;
				changed ||= op !== "delete";
			} else if (object.kind === "task") {
				const before = previous?.kind === "task" ? previous : undefined;
				changed = (op === "delete" ? this.#gone(object) : this.#taskChanged(object, before)) || changed;
			}
		}
		if (changed && this.#unassigned.size + this.#preassigned.size > 0) this.#soon();
	}

	/** A turn when nothing changed for a while. */
	#soon(): void {
		const { clock } = this.context;
		this.#waitingSince ??= clock.now;
		if (clock.now - this.#waitingSince <= LONGEST) clock.arm(this.#timer, GAP);
	}

	/** True when something is to be placed, or may be now. */
	#taskChanged(task: TaskObject, previous: TaskObject | undefined): boolean {
		if (task.status.state === "new") return this.#neverRuns(task);
		if (!live(task.status)) {
			const failed = task.status.state === "failed" || task.status.state === "rejected";
			if (failed && previous?.status.state !== task.status.state && task.slot > 0)
				this.#infos.get(task.nodeId)?.failed(task, this.context.clock.now);
			return this.#gone(task);
		}
		if (task.nodeId === "") this.#unassigned.add(task.id);
		else if (task.status.state === "pending") this.#preassigned.add(task.id);
		else {
			this.#unassigned.delete(task.id);
			this.#preassigned.delete(task.id);
			this.#infos.get(task.nodeId)?.add(task);
			return false;
		}
		return true;
	}

	/** A task that got no addresses and is not wanted any more is ended here, as no node will. */
	#neverRuns(task: TaskObject): boolean {
		if (rank(task.desiredState) <= rank("running")) return false;
		this.#unassigned.add(task.id);
		return true;
	}

	#gone(task: TaskObject): boolean {
		this.#unassigned.delete(task.id);
		this.#preassigned.delete(task.id);
		return this.#infos.get(task.nodeId)?.remove(task.id) ?? false;
	}

	protected work(tx: Transaction): void {
		this.#waitingSince = undefined;
		for (const id of [...this.#preassigned]) this.#confirm(tx, id);
		const groups = new Map<string, TaskObject[]>();
		for (const id of [...this.#unassigned]) {
			const task = tx.get("task", id);
			if (task === undefined) continue;
			if (rank(task.desiredState) > rank("running")) {
				tx.update(this.with(task, { status: this.status(task.status, "shutdown", task.status.message) }));
				continue;
			}
			const key = task.specVersion === undefined ? id : `${task.serviceId} ${String(task.specVersion)}`;
			const group = groups.get(key);
			if (group === undefined) groups.set(key, [task]);
			else group.push(task);
		}
		for (const group of groups.values()) this.#place(tx, group);
	}

	/** A task whose node is known: the node's readiness and ports still count. */
	#confirm(tx: Transaction, id: string): void {
		const task = tx.get("task", id);
		const info = this.#infos.get(task?.nodeId ?? "");
		if (task === undefined || info === undefined) return;
		if (rank(task.desiredState) > rank("running")) {
			tx.update(this.with(task, { status: this.status(task.status, "shutdown", task.status.message) }));
			return;
		}
		const pipeline = new Pipeline(task);
		if (pipeline.passes(info)) {
			this.#assign(tx, task, info, "scheduler confirmed task can run on preassigned node");
		} else {
			this.#explain(tx, task, pipeline.explain([info]));
		}
	}

	#assign(tx: Transaction, task: TaskObject, info: NodeInfo, message: string): void {
		const assigned = this.with(task, {
			nodeId: info.node.id,
			status: this.status(task.status, "assigned", message),
		});
		info.add(assigned);
		tx.update(assigned);
	}

	#explain(tx: Transaction, task: TaskObject, err: string): void {
		if (task.status.err === err) return;
		tx.update(this.with(task, { status: this.status(task.status, "pending", task.status.message, err) }));
	}

	/** Tasks of one service and one version of its spec. */
	#place(tx: Transaction, group: readonly TaskObject[]): void {
		const [first] = group;
		if (first === undefined) return;
		const pipeline = new Pipeline(first);
		const { now } = this.context.clock;
		const before: Before = (a, b) => {
			const failures = [a.failures(first, now), b.failures(first, now)] as const;
			if (Math.max(...failures) >= MAX_FAILURES && failures[0] !== failures[1])
				return failures[0] - failures[1];
			const ofService = a.of(first.serviceId) - b.of(first.serviceId);
			return ofService === 0 ? a.active - b.active : ofService;
		};
		const left = [...group].reverse();
		const tree = placementTree(
			[...this.#infos.values()].filter((info) => pipeline.passes(info)),
			first.spec.placement.preferences,
			first.serviceId,
		);
		const assign = (task: TaskObject, info: NodeInfo): void => {
			this.#assign(tx, task, info, "scheduler assigned task to node");
		};
		placeOnTree(tree, left, left.length, { pipeline, before, assign });
		if (left.length === 0) return;
		const explanation = noSuitableNode(pipeline.explain(this.#infos.values()));
		for (const task of left.reverse()) this.#explain(tx, task, explanation);
	}
}

interface Placing {
	readonly pipeline: Pipeline;
	readonly before: Before;
	readonly assign: (task: TaskObject, info: NodeInfo) => void;
}

/** Places up to `count` of the tasks that are left, the branches kept even; returns how many it placed. */
function placeOnTree(tree: PlacementTree, left: TaskObject[], count: number, placing: Placing): number {
	if (tree.branches.size === 0) return placeOnNodes(tree.nodes, left, count, placing);
	let placed = 0;
	let usable = tree.tasks;
	const full = new Set<PlacementTree>();
	while (placed < count && full.size < tree.branches.size) {
		const share = usable + count - placed;
		const open = tree.branches.size - full.size;
		const each = Math.floor(share / open);
		let remainder = share % open;
		for (const branch of tree.branches.values()) {
			if (full.has(branch) || branch.tasks > each || (branch.tasks === each && remainder === 0)) continue;
			const wanted = each - branch.tasks + (remainder > 0 ? 1 : 0);
			const before = branch.tasks;
			const done = placeOnTree(branch, left, wanted, placing);
			if (done < wanted) {
				full.add(branch);
				usable -= before;
			} else if (remainder > 0) remainder--;
			placed += done;
		}
	}
	return placed;
}

/**
 * The first pass fills the nodes until they are even; later ones give each node that still passes one task more
 * (swarmkit `scheduleNTasksOnNodes`).
 */
function placeOnNodes(
	all: readonly NodeInfo[],
	left: TaskObject[],
	count: number,
	{ pipeline, before, assign }: Placing,
): number {
	const nodes = all
		.filter((info) => pipeline.passes(info))
		.sort((a, b) => before(a, b) || (a.node.id < b.node.id ? -1 : 1));
	const out = new Set<number>();
	let placed = 0;
	let at = 0;
	while (placed < count) {
		const info = nodes[at % nodes.length];
		const task = info === undefined ? undefined : left.pop();
		if (info === undefined || task === undefined) return placed;
		assign(task, info);
		placed++;
		const next = nodes[at + 1];
		if (next === undefined || before(next, info) < 0) at++;
		for (let tried = 0; ; tried++, at++) {
			if (tried === nodes.length) return placed;
			const index = at % nodes.length;
			const candidate = nodes[index];
			if (candidate === undefined || out.has(index)) continue;
			if (pipeline.passes(candidate)) break;
			out.add(index);
		}
	}
	return placed;
}
