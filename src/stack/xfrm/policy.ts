import { type Ip4, toIp4 } from "../../addr/index.ts";
import type { Instant } from "../../sim/index.ts";
import { Lifetime, type LimitOptions } from "./lifetime.ts";
import { Mark, type MarkOptions } from "./mark.ts";
import { Selector, type SelectorOptions } from "./selector.ts";
import { unsigned } from "./state.ts";

/** Whether a policy is for packets to programs here, from here, or through here. */
export type PolicyDirection = "in" | "out" | "fwd";

/** XFRM_POLICY_IN …: the lower bits of a policy's index. */
export const DIRECTION_BITS: Readonly<Record<PolicyDirection, number>> = { in: 0, out: 1, fwd: 2 };

/** `tmpl …` of a policy: which states its packets go through. */
export interface TemplateOptions {
	readonly src?: Ip4 | string;
	readonly dst?: Ip4 | string;
	readonly proto: "esp";
	/** One state; any unless said. */
	readonly spi?: number;
	readonly reqid?: number;
	readonly mode?: "transport";
	/** `use`: only if there is a state. */
	readonly level?: "required" | "use";
}

/** What names a policy: its selector, direction and mark. */
export interface PolicyId extends SelectorOptions {
	readonly dir: PolicyDirection;
	readonly mark?: MarkOptions | number;
}

/** `ip xfrm policy add …`. */
export interface PolicyOptions extends PolicyId {
	readonly action?: "allow" | "block";
	/** The lowest wins. */
	readonly priority?: number;
	readonly index?: number;
	readonly tmpl?: readonly TemplateOptions[];
	readonly limit?: LimitOptions;
}

/** One template (`struct xfrm_tmpl`). In transport mode its addresses are only shown. */
export class Template {
	readonly src: Ip4;
	readonly dst: Ip4;
	/** 0 for any state. */
	readonly spi: number;
	readonly reqid: number;
	readonly optional: boolean;

	constructor(options: TemplateOptions) {
		this.src = toIp4(options.src ?? 0, "tmpl src");
		this.dst = toIp4(options.dst ?? 0, "tmpl dst");
		this.spi = unsigned(options.spi ?? 0, "tmpl spi");
		this.reqid = unsigned(options.reqid ?? 0, "tmpl reqid");
		this.optional = options.level === "use";
	}
}

/** One policy (`struct xfrm_policy`): what `ip xfrm policy` lists. */
export class XfrmPolicy {
	readonly selector: Selector;
	readonly direction: PolicyDirection;
	readonly mark: Mark;
	readonly action: "allow" | "block";
	readonly priority: number;
	readonly index: number;
	readonly templates: readonly Template[];
	readonly lifetime: Lifetime;

	/** Throws RangeError or TypeError for what is no address, prefix or number. */
	constructor(options: PolicyOptions, index: number, now: Instant) {
		this.selector = new Selector(options);
		this.direction = options.dir;
		this.mark = new Mark(options.mark);
		this.action = options.action ?? "allow";
		this.priority = unsigned(options.priority ?? 0, "priority");
		this.index = index;
		this.templates = (options.tmpl ?? []).map((template) => new Template(template));
		this.lifetime = new Lifetime(options.limit ?? {}, now);
	}

	/** The policy that `id` names. */
	is(selector: Selector, direction: PolicyDirection, mark: Mark): boolean {
		return this.direction === direction && this.mark.equals(mark) && this.selector.equals(selector);
	}
}
