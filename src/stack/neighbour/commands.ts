import { formatIp4, formatMac, type Ip4, type Mac, toIp4, toMac } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import type { Device } from "../../link/index.ts";
import type { Namespace } from "../namespace.ts";
import { NUD_STATES, type NudState } from "./state.ts";
import type { PromisedNeighbours } from "./table.ts";

/** The part of `ip neigh add` behind the address. */
export interface NeighbourOptions {
	readonly dev: Device | string;
	readonly lladdr?: Mac | string;
	/** `permanent` unless said, as iproute2 has it. */
	readonly nud?: Exclude<NudState, "none" | "incomplete" | "delay">;
}

/** What `ip neigh show` is asked for. */
export interface NeighbourFilter {
	readonly dev?: Device | string;
	/** Entries in this state, or in one of these. */
	readonly nud?: NudState | "all" | readonly NudState[];
}

/** One line of `ip neigh show`. */
export interface NeighbourLine {
	readonly address: string;
	readonly dev: string;
	readonly lladdr: string | undefined;
	readonly state: string;
	/** The line as `ip neigh` prints it. */
	readonly text: string;
}

/** `ip neigh` of one namespace. */
export class NeighbourCommands {
	readonly #ns: Namespace;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	#device(device: Device | string): Device {
		return typeof device === "string" ? this.#ns.device(device) : device;
	}

	#table(device: Device | string): ReturnType<Namespace["neighbours"]> {
		const inDevice = this.#ns.inDevice(this.#device(device));
		if (inDevice === undefined) throw new NetError("ENODEV", "RTNETLINK answers: No such device");
		return this.#ns.neighbours(inDevice);
	}

	/** `ip neigh add`. Throws `NetError` EEXIST, ENODEV. */
	add(address: Ip4 | string, options: NeighbourOptions): void {
		const ip = toIp4(address, "address");
		const known = this.#table(options.dev).get(ip);
		if (known !== undefined) {
			throw new NetError("EEXIST", "RTNETLINK answers: File exists", { context: { address: formatIp4(ip) } });
		}
		this.replace(ip, options);
	}

	/** `ip neigh replace`. Throws `NetError` EINVAL when a state wants an address and there is none. */
	replace(address: Ip4 | string, options: NeighbourOptions): void {
		const ip = toIp4(address, "address");
		const mac = options.lladdr === undefined ? undefined : toMac(options.lladdr, "lladdr");
		const state = options.nud ?? "permanent";
		const table = this.#table(options.dev);
		if (mac === undefined && state !== "failed" && table.get(ip)?.facts.mac === undefined) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				remedy: "Name the link address (lladdr).",
			});
		}
		table.set(ip, mac, state);
	}

	/**
	 * As `replace` of all that `promised` gives away, each when somebody first asks for it, or lists the table. In place of
	 * what was promised for the device before. Throws `NetError` ENODEV.
	 */
	promise(promised: PromisedNeighbours, options: { readonly dev: Device | string }): void {
		this.#table(options.dev).promise(promised);
	}

	/** `ip neigh del`. Throws `NetError` ENOENT. */
	del(address: Ip4 | string, options: { readonly dev: Device | string }): void {
		const ip = toIp4(address, "address");
		if (!this.#table(options.dev).remove(ip)) {
			throw new NetError("ENOENT", "RTNETLINK answers: No such file or directory", {
				context: { address: formatIp4(ip) },
			});
		}
	}

	/** `ip neigh flush all`, or of one device. */
	flush(device?: Device | string): void {
		const only = device === undefined ? undefined : this.#device(device);
		for (const inDevice of this.#ns.inDevices) {
			if (only === undefined || inDevice.device === only) this.#ns.neighbours(inDevice).flush();
		}
	}

	/** `ip neigh add proxy ADDRESS dev …`. */
	addProxy(address: Ip4 | string, options: { readonly dev: Device | string }): void {
		this.#ns.addProxyNeighbour(this.#device(options.dev), toIp4(address, "address"));
	}

	/** `ip neigh del proxy ADDRESS dev …`. */
	delProxy(address: Ip4 | string, options: { readonly dev: Device | string }): void {
		this.#ns.delProxyNeighbour(this.#device(options.dev), toIp4(address, "address"));
	}

	/**
	 * `ip neigh show [dev DEV] [nud STATE]`; the device that is asked for does not stand in the lines again. Without a state
	 * what never had to be asked (`noarp`) is left out, and so is what was not asked yet (`none`). Throws `NetError` ENODEV,
	 * EINVAL.
	 */
	show(filter: NeighbourFilter = {}): NeighbourLine[] {
		const only = filter.dev === undefined ? undefined : this.#device(filter.dev);
		const wanted = shownStates(filter.nud);
		const asked = this.#ns.inDevices.filter(({ device }) => only === undefined || device === only);
		return asked.flatMap((inDevice) => {
			const entries = inDevice.neighbours?.entries() ?? [];
			return entries
				.filter(({ facts }) => wanted(facts.state))
				.map(({ ip, facts }) => {
					const address = formatIp4(ip);
					const dev = inDevice.device.name;
					const lladdr = facts.mac === undefined ? undefined : formatMac(facts.mac);
					const state = facts.state.toUpperCase();
					const at = only === undefined ? ` dev ${dev}` : "";
					const to = lladdr === undefined ? "" : `lladdr ${lladdr} `;
					const text = `${address}${at} ${to}${facts.state === "none" ? "" : `${state} `}`;
					return { address, dev, lladdr, state, text };
				});
		});
	}
}

function shownStates(nud: NeighbourFilter["nud"]): (state: NudState) => boolean {
	if (nud === "all") return () => true;
	if (nud === undefined) return (state) => state !== "noarp" && state !== "none";
	const states: readonly NudState[] = typeof nud === "string" ? [nud] : nud;
	for (const state of states) {
		if (!NUD_STATES.includes(state))
			throw new NetError("EINVAL", `Error: argument "${state}" is wrong: nud state is bad`, {
				remedy: `States: all ${NUD_STATES.join(" ")}.`,
			});
	}
	return (state) => states.includes(state);
}
