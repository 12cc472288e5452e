import type { Member, MemberChange, Snapshot } from "./message.ts";
import { majority } from "./progress.ts";

/**
 * Who has to agree: the members as the applied entries have them (raft §6). They come and go one at a time: a change counts
 * when it is applied, and no other is taken before.
 */
export class Group {
	#members = new Map<number, Member>();
	#removed = new Set<number>();

	/** All of them. */
	get members(): readonly Member[] {
		return [...this.#members.values()];
	}

	/** Numbers that were members, and may not be again. */
	get removed(): readonly number[] {
		return [...this.#removed];
	}

	/** How many make a majority. */
	get majority(): number {
		return majority(this.#members.size);
	}

	/** Their numbers. */
	get ids(): readonly number[] {
		return [...this.#members.keys()];
	}

	has(id: number): boolean {
		return this.#members.has(id);
	}

	/** All numbers but one. */
	others(than: number): readonly number[] {
		return this.ids.filter((id) => id !== than);
	}

	/** An agreed change; false for a member that was removed and wants to come again. */
	apply({ op, member }: MemberChange): boolean {
		const { raftId } = member;
		if (op === "remove") {
			this.#members.delete(raftId);
			this.#removed.add(raftId);
			return true;
		}
		if (this.#removed.has(raftId)) return false;
		this.#members.set(raftId, member);
		return true;
	}

	/** As a snapshot has it. */
	restore({ members, removed }: Pick<Snapshot<unknown>, "members" | "removed">): void {
		this.#members = new Map(members.map((member) => [member.raftId, member]));
		this.#removed = new Set(removed);
	}
}
