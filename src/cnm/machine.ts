import type { Rng } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";

/** The machine an engine runs on: its namespaces, and chance. Declared here, implemented by `lab`'s host. */
export interface Machine<N extends IpNamespace = IpNamespace> {
	readonly name: string;
	/** The namespace the machine boots with. */
	readonly netns: N;
	/** Chance of the daemon's own. */
	readonly rng: Rng;
	/** `ip netns add NAME`. Throws `NetError` EEXIST. */
	addNetns(name: string): N;
	/** `ip netns del NAME`: what is in it goes with it. Throws `NetError` ENOENT. */
	delNetns(name: string): void;
}
