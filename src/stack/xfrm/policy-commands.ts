import { NetError } from "../../errors.ts";
import type { Namespace } from "../namespace.ts";
import { Mark } from "./mark.ts";
import {
	DIRECTION_BITS,
	type PolicyDirection,
	type PolicyId,
	type PolicyOptions,
	XfrmPolicy,
} from "./policy.ts";
import { Selector } from "./selector.ts";
import { wallTime } from "./state-commands.ts";
import { policyText, type XfrmShowOptions } from "./text.ts";
import { Xfrm } from "./xfrm.ts";

/** Steps of the generator of indices, whose lower bits are the direction. */
const INDEX_STEP = 8;

/** `ip xfrm policy` of one namespace. */
export class XfrmPolicyCommands {
	readonly #ns: Namespace;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** `ip xfrm policy add …`. Throws `NetError` EEXIST; RangeError for what cannot be read. */
	add(options: PolicyOptions): XfrmPolicy {
		if (this.#find(options) !== undefined) {
			throw new NetError("EEXIST", "RTNETLINK answers: File exists", {
				remedy: "Another policy has this selector, direction and mark: update it instead.",
				context: { dir: options.dir },
			});
		}
		return this.update(options);
	}

	/** `ip xfrm policy update …`: adds it, in place of one that is there. */
	update(options: PolicyOptions): XfrmPolicy {
		const xfrm = (this.#ns.ipsec ??= new Xfrm(this.#ns));
		const { now } = this.#ns.kernel.world.scheduler;
		const old = this.#find(options);
		const policy = new XfrmPolicy(options, options.index ?? old?.index ?? this.#nextIndex(options.dir), now);
		if (old !== undefined) xfrm.database.removePolicy(old);
		xfrm.database.addPolicy(policy);
		return policy;
	}

	/** `ip xfrm policy delete …`, by selector or by index. Throws `NetError` ENOENT for what is not there. */
	del(id: PolicyId | { readonly dir: PolicyDirection; readonly index: number }): void {
		const policy =
			"index" in id
				? this.list().find((each) => each.index === id.index && each.direction === id.dir)
				: this.#find(id);
		if (policy === undefined) {
			throw new NetError("ENOENT", "RTNETLINK answers: No such file or directory", {
				remedy:
					"A policy is named by selector, direction and, if it has one, mark; or by direction and index.",
				context: { dir: id.dir },
			});
		}
		this.#ns.ipsec?.database.removePolicy(policy);
	}

	/** `ip xfrm policy flush`. */
	flush(): void {
		const database = this.#ns.ipsec?.database;
		for (const policy of [...(database?.policies ?? [])]) database?.removePolicy(policy);
	}

	/** All policies, the last one added first. */
	list(): readonly XfrmPolicy[] {
		return this.#ns.ipsec?.database.policies ?? [];
	}

	/** What `ip xfrm policy` prints, `ip -s xfrm policy` with `statistics`. Times are UT. */
	show(options: XfrmShowOptions = {}): string {
		return this.list()
			.map((policy) => policyText(policy, options, (instant) => wallTime(this.#ns, instant)))
			.join("");
	}

	#find(id: PolicyId): XfrmPolicy | undefined {
		const [selector, mark] = [new Selector(id), new Mark(id.mark)];
		return this.#ns.ipsec?.database.findPolicy(selector, id.dir, mark);
	}

	/** `xfrm_gen_index`. */
	#nextIndex(direction: PolicyDirection): number {
		const { kernel } = this.#ns;
		const index = kernel.nextPolicyIndex | DIRECTION_BITS[direction];
		kernel.nextPolicyIndex += INDEX_STEP;
		return index === 0 ? INDEX_STEP : index;
	}
}
