import { LayeredMap } from "../../layered-map.ts";
import type { Instant, Rng } from "../../sim/index.ts";
import type { Member } from "./member.ts";
import { GOSSIP_TO_THE_DEAD } from "./scale.ts";

/** The nodes one node knows, itself among them, in the order in which it probes them. */
export class Members {
	readonly #rng: Rng;
	#list: Member[] = [];
	readonly #byName = new LayeredMap<string, Member>();
	#next = 0;

	constructor(rng: Rng) {
		this.#rng = rng;
	}

	/** How many are known, the dead included. */
	get count(): number {
		return this.#list.length;
	}

	/** All, in probing order. */
	get all(): readonly Member[] {
		return this.#list;
	}

	/** The node of a name. */
	get(name: string): Member | undefined {
		return this.#byName.get(name);
	}

	/** Adds one at a place by chance, so that all are found to be gone equally fast. */
	add(member: Member): void {
		this.#byName.set(member.name, member);
		this.#place(member);
	}

	/** Adds those of many that are not known; many nodes have them in common. Says which. */
	addCommon(members: ReadonlyMap<string, Member>): Member[] {
		const added = [...members.values()].filter(({ name }) => !this.#byName.has(name));
		for (const member of added) this.#place(member);
		if (this.#byName.common === undefined) this.#byName.lay(members);
		else for (const member of added) this.#byName.set(member.name, member);
		return added;
	}

	/** A member that may be changed here: itself, unless many nodes have it in common. */
	own(member: Member): Member {
		if (!member.common) return member;
		const own = member.copy();
		this.#byName.set(own.name, own);
		this.#list[this.#list.indexOf(member)] = own;
		return own;
	}

	#place(member: Member): void {
		const { length } = this.#list;
		const at = length === 0 ? 0 : this.#rng.below(length);
		const other = this.#list[at];
		this.#list.push(member);
		if (other === undefined) return;
		this.#list[at] = member;
		this.#list[length] = other;
	}

	/** The next one to be probed, round after round; between rounds those long gone are forgotten and the others shuffled. */
	nextToProbe(now: Instant, skip: (member: Member) => boolean): Member | undefined {
		for (let checked = 0; checked < this.#list.length; checked++) {
			const member = this.#list[this.#next];
			if (member === undefined) {
				this.#shuffle(now);
				this.#next = 0;
				continue;
			}
			this.#next++;
			if (!skip(member)) return member;
		}
		return undefined;
	}

	#shuffle(now: Instant): void {
		const [kept, forgotten]: [Member[], Member[]] = [[], []];
		for (const member of this.#list)
			(member.gone && now - member.since > GOSSIP_TO_THE_DEAD ? forgotten : kept).push(member);
		for (const member of forgotten) this.#byName.delete(member.name);
		for (let i = kept.length - 1; i > 0; i--) {
			const j = this.#rng.below(i + 1);
			const [a, b] = [kept[i], kept[j]];
			if (a !== undefined && b !== undefined) [kept[i], kept[j]] = [b, a];
		}
		this.#list = kept;
	}

	/** Up to `count` different ones by chance, without those that `skip` says (`kRandomNodes`). */
	some(count: number, skip: (member: Member) => boolean): Member[] {
		return someOf(this.#rng, this.#list, count, skip);
	}
}

/** Up to `count` different elements by chance; the list is not gone through, so with many to skip some may be missed. */
export function someOf<T>(rng: Rng, list: readonly T[], count: number, skip: (each: T) => boolean): T[] {
	const found: T[] = [];
	for (let i = 0; i < 3 * list.length && found.length < count; i++) {
		const each = list[rng.below(list.length)];
		if (each !== undefined && !skip(each) && !found.includes(each)) found.push(each);
	}
	return found;
}
