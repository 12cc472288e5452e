import type { Ip4 } from "../../addr/index.ts";
import { type PolicyDirection, type Template, type XfrmPolicy } from "./policy.ts";
import type { Mark } from "./mark.ts";
import type { Flow, Selector } from "./selector.ts";
import type { XfrmState } from "./state.ts";

/** The states and policies of one namespace, and how packets find theirs (`struct netns_xfrm`). */
export class XfrmDatabase {
	/** As `ip xfrm state` lists them: the last one added first. */
	readonly states: XfrmState[] = [];
	/** As `ip xfrm policy` lists them: the last one added first. */
	readonly policies: XfrmPolicy[] = [];
	readonly #bySpi = new Map<number, XfrmState[]>();
	/** In the order they are asked: by priority, then by age. */
	readonly #ordered: Record<PolicyDirection, XfrmPolicy[]> = { in: [], out: [], fwd: [] };

	addState(state: XfrmState): void {
		this.states.unshift(state);
		this.#bySpi.set(state.spi, [...(this.#bySpi.get(state.spi) ?? []), state]);
	}

	removeState(state: XfrmState): void {
		const index = this.states.indexOf(state);
		if (index < 0) return;
		this.states.splice(index, 1);
		const left = (this.#bySpi.get(state.spi) ?? []).filter((each) => each !== state);
		if (left.length > 0) this.#bySpi.set(state.spi, left);
		else this.#bySpi.delete(state.spi);
	}

	/** The state of a packet that came in (`xfrm_state_lookup`). */
	lookup(destination: Ip4, spi: number, mark: number): XfrmState | undefined {
		const states = this.#bySpi.get(spi);
		if (states === undefined) return undefined;
		for (const state of states) if (state.dst === destination && state.mark.matches(mark)) return state;
		return undefined;
	}

	/** The state of a packet that goes out by a template: one that lives longest, else the youngest (`xfrm_state_find`). */
	find(flow: Flow, template: Template, policy: XfrmPolicy): XfrmState | undefined {
		const mark = policy.mark.value & policy.mark.mask;
		let best: XfrmState | undefined;
		for (const state of this.states) {
			if (state.reqid !== template.reqid || !state.mark.matches(mark)) continue;
			if (state.dst !== flow.destination || state.src !== flow.source) continue;
			if (template.spi !== 0 && template.spi !== state.spi) continue;
			if (state.status !== "valid" || !state.selector.matches(flow)) continue;
			if (
				best === undefined ||
				(best.dying && !state.dying) ||
				(best.dying === state.dying && best.lifetime.added < state.lifetime.added)
			)
				best = state;
		}
		return best;
	}

	addPolicy(policy: XfrmPolicy): void {
		this.policies.unshift(policy);
		const ordered = this.#ordered[policy.direction];
		const place = ordered.findIndex((each) => each.priority > policy.priority);
		ordered.splice(place < 0 ? ordered.length : place, 0, policy);
	}

	removePolicy(policy: XfrmPolicy): void {
		const index = this.policies.indexOf(policy);
		if (index < 0) return;
		this.policies.splice(index, 1);
		const ordered = this.#ordered[policy.direction];
		ordered.splice(ordered.indexOf(policy), 1);
	}

	/** Whether there is any policy for a direction: without one, packets are not looked at. */
	has(direction: PolicyDirection): boolean {
		return this.#ordered[direction].length > 0;
	}

	/** The policy of a packet, if there is one (`xfrm_policy_lookup`). */
	policy(direction: PolicyDirection, flow: Flow): XfrmPolicy | undefined {
		for (const policy of this.#ordered[direction]) {
			if (policy.mark.matches(flow.mark) && policy.selector.matches(flow)) return policy;
		}
		return undefined;
	}

	/** The policy of a name. */
	findPolicy(selector: Selector, direction: PolicyDirection, mark: Mark): XfrmPolicy | undefined {
		return this.policies.find((policy) => policy.is(selector, direction, mark));
	}
}
