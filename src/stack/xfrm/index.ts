export { XfrmCommands } from "./commands.ts";
export type { LimitOptions } from "./lifetime.ts";
export type { MarkOptions } from "./mark.ts";
export {
	type PolicyDirection,
	type PolicyId,
	type PolicyOptions,
	type TemplateOptions,
	XfrmPolicy,
} from "./policy.ts";
export { XfrmPolicyCommands } from "./policy-commands.ts";
export type { SelectorOptions } from "./selector.ts";
export { XfrmStat, type XfrmCounter } from "./stat.ts";
export { type AeadOptions, type StateFlag, type StateId, type StateOptions, XfrmState } from "./state.ts";
export { XfrmStateCommands } from "./state-commands.ts";
export type { XfrmShowOptions } from "./text.ts";
export { Xfrm, type XfrmVerdict } from "./xfrm.ts";
