import type { Target } from "../extension.ts";
import { LogTarget } from "./log.ts";
import { ConnmarkTarget, CtTarget, MarkTarget } from "./mark.ts";
import { DnatTarget, MasqueradeTarget, RedirectTarget, SnatTarget } from "./nat.ts";
import { RejectTarget } from "./reject.ts";
import { TcpmssTarget } from "./tcpmss.ts";
import { VerdictTarget } from "./verdict.ts";

// Verdicts know nothing of their rule: one of each serves all.
const ACCEPT = new VerdictTarget("ACCEPT");
const DROP = new VerdictTarget("DROP");
const RETURN = new VerdictTarget("RETURN");

/** Every target that is known, by what stands after `-j`. */
export const TARGETS: ReadonlyMap<string, () => Target> = new Map<string, () => Target>([
	["ACCEPT", () => ACCEPT],
	["DROP", () => DROP],
	["RETURN", () => RETURN],
	["CONNMARK", () => new ConnmarkTarget()],
	["CT", () => new CtTarget(false)],
	["DNAT", () => new DnatTarget()],
	["LOG", () => new LogTarget()],
	["MARK", () => new MarkTarget()],
	["MASQUERADE", () => new MasqueradeTarget()],
	["NOTRACK", () => new CtTarget(true)],
	["REDIRECT", () => new RedirectTarget()],
	["REJECT", () => new RejectTarget()],
	["SNAT", () => new SnatTarget()],
	["TCPMSS", () => new TcpmssTarget()],
]);
