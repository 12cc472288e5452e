import { type DaemonOptions, Docker, type Machine } from "../../cnm/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { Swarm } from "./swarm.ts";

/** `daemon.json`, as far as networks and clusters are concerned. */
export interface EngineOptions<N extends IpNamespace = IpNamespace> extends DaemonOptions<N> {
	/** `labels`: what placement constraints on `engine.labels` ask for. */
	readonly labels?: Readonly<Record<string, string>>;
}

/** The Docker engine of one machine, with its place in a swarm. */
export class Engine<N extends IpNamespace = IpNamespace> extends Docker<N> {
	/** `docker swarm …`, `docker service …`, `docker node …`. */
	readonly swarm: Swarm<N>;

	/** `swarm` is the machine's membership from before it was started anew. */
	constructor(machine: Machine<N>, options: EngineOptions<N> = {}, swarm: Swarm<N> = new Swarm(machine)) {
		super(machine, options);
		this.swarm = swarm;
		swarm.start(this, options.labels ?? {});
	}
}
