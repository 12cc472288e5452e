import { Nic, Partition, type World } from "../link/index.ts";
import type { Host } from "./host.ts";

/** A fault that lasts until it is healed. */
export interface Fault {
	/** Ends it; nothing when it has ended. */
	heal(): void;
}

/** Cuts groups of hosts off from each other, with the cards they have now. Throws RangeError. */
export function partition(world: World, groups: readonly (readonly Host[])[]): Fault {
	const hosts = groups.flat();
	if (groups.length < 2 || groups.some((group) => group.length === 0))
		throw new RangeError(
			`partition has groups of ${groups.map(({ length }) => String(length)).join(", ") || "no"} hosts, expected two groups or more with a host or more`,
		);
	const twice = hosts.find((host, at) => hosts.indexOf(host) !== at);
	if (twice !== undefined)
		throw new RangeError(`${twice.name} is in two groups of a partition, expected it in one`);
	const made = new Partition(
		groups.map((group) => group.flatMap(({ netns }) => netns.devices.filter((each) => each instanceof Nic))),
	);
	world.partitions.push(made);
	return {
		heal: () => {
			const at = world.partitions.indexOf(made);
			if (at >= 0) world.partitions.splice(at, 1);
		},
	};
}
