export {
	ACCEPT,
	DROP,
	HookChain,
	type HookFunction,
	type HookPoint,
	Hooks,
	PRIORITY,
	STOLEN,
	type Verdict,
} from "./hooks.ts";
export { type ConntrackConf } from "./conntrack/conf.ts";
export { Conntrack } from "./conntrack/conntrack.ts";
export { type Direction, directionOf, Flow, INFO, ORIGINAL, REPLY, STATUS, Tuple } from "./conntrack/flow.ts";
export { type Predicates, type TableName } from "./iptables/extension.ts";
export { Iptables } from "./iptables/iptables.ts";
export { type RuleObject, type RuleOptions } from "./iptables/rule-object.ts";
export { type LogLine, Log } from "./log.ts";
export { Nat } from "./nat/nat.ts";
export { Netfilter } from "./netfilter.ts";
