import { NetError } from "../errors.ts";
import {
	Cable,
	type CableOptions,
	PhysicalSwitch,
	type Plug,
	type SwitchPort,
	type SwitchPortOptions,
	type World,
} from "../link/index.ts";

/** A cable, and what the ports are set to that it makes at switches. */
export interface LabCableOptions extends CableOptions {
	/** The new port at each switch; without it the port is as it comes from the factory. */
	readonly port?: SwitchPortOptions;
}

/** Plugs a cable in; where a switch is named a new port is made. When it throws, nothing changed. */
export function plugIn(
	world: World,
	a: Plug | PhysicalSwitch,
	b: Plug | PhysicalSwitch,
	options: LabCableOptions,
): Cable {
	const made: [PhysicalSwitch, SwitchPort][] = [];
	const plug = (end: Plug | PhysicalSwitch): Plug => {
		if (!(end instanceof PhysicalSwitch)) return end;
		const port = end.addPort();
		made.push([end, port]);
		return port;
	};
	let cable: Cable | undefined;
	try {
		const [from, to] = [plug(a), plug(b)];
		for (const each of [from, to]) {
			if (each.hasCable || from === to) {
				throw new NetError("EBUSY", `${each.place} has a cable already`, {
					remedy: "Unplug that one first.",
				});
			}
		}
		cable = new Cable(world, from, to, options);
		if (options.port !== undefined) for (const [, port] of made) port.configure(options.port);
		return cable;
	} catch (error) {
		cable?.unplug();
		for (const [owner, port] of made) owner.removePort(port);
		throw error;
	}
}
