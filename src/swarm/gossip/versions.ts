import type { memberlist } from "../../wire/index.ts";
import type { Member } from "./member.ts";

interface Spoken {
	readonly name: string;
	readonly alive: boolean;
	readonly vsn: Uint8Array;
}

/**
 * Why the nodes of a push/pull and those known here cannot all understand each other, in memberlist's words; undefined when
 * they can (`verifyProtocol`).
 */
export function incompatibility(
	remote: readonly memberlist.PushNodeState[],
	known: readonly Member[],
): string | undefined {
	const all: Spoken[] = [
		...remote.map(({ name, state, vsn }) => ({ name, alive: state === 0, vsn })),
		...known.map(({ name, state, vsn }) => ({ name, alive: state === "alive", vsn })),
	];
	return outOfRange(all, 0, "protocol version") ?? outOfRange(all, 3, "delegate protocol version");
}

/** The first node whose version is not understood by all that are alive; lowest, highest and spoken stand at `at`. */
function outOfRange(nodes: readonly Spoken[], at: number, what: string): string | undefined {
	let lowest = 0;
	let highest = 255;
	for (const { alive, vsn } of nodes) {
		if (!alive || vsn.length < 5) continue;
		lowest = Math.max(lowest, vsn[at] ?? 0);
		highest = Math.min(highest, vsn[at + 1] ?? 0);
	}
	for (const { name, vsn } of nodes) {
		const spoken = vsn.length >= 6 ? (vsn[at + 2] ?? 0) : 0;
		if (spoken < lowest || spoken > highest)
			return `Node '${name}' ${what} (${String(spoken)}) is incompatible: [${String(lowest)}, ${String(highest)}]`;
	}
	return undefined;
}
