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
