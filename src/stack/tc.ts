import { NetError } from "../errors.ts";
import {
	changeQdisc,
	type Device,
	makeQdisc,
	type Qdisc,
	qdiscName,
	type QdiscOptions,
} from "../link/index.ts";
import type { Kernel } from "./kernel.ts";
import type { Namespace } from "./namespace.ts";
import { checkQdisc, inTcWords } from "./tc-errors.ts";

/** The handle of a queueing discipline, `8001:` if the kernel is to choose one. */
export interface QdiscHandle {
	/** `10:`, hexadecimal. */
	readonly handle?: string;
}

const FIRST_HANDLE = 0x8000;
const MOST_HANDLE = 0xffff;
/** `tc qdisc show` of what a card gets when it goes up (net.core.default_qdisc on the recorded machines). */
const FQ_CODEL =
	"limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64 ";

/** The handle given out last, by machine: the counter is the kernel's, not the device's. */
const lastHandles = new WeakMap<Kernel, number>();

const handles = new WeakMap<Qdisc, number>();

/** `tc qdisc … root` of the devices of one namespace. Reference: `tc_modify_qdisc` in net/sched/sch_api.c. */
export class TcCommands {
	readonly #ns: Namespace;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/**
	 * `tc qdisc add dev DEVICE root KIND …`. Throws `NetError`: ENODEV, EEXIST when there is one already, EINVAL or
	 * ENOENT in tc's words for the options.
	 */
	add(device: Device | string, options: QdiscOptions & QdiscHandle): Qdisc {
		const on = this.#device(device);
		const old = on.qdisc;
		const handle = readHandle(options.handle);
		checkQdisc(options);
		if (old !== null && (handle === 0 || handle === handles.get(old))) {
			throw new NetError("EEXIST", "Error: Exclusivity flag on, cannot modify.", {
				remedy: "Delete the queueing discipline first, or replace it.",
				context: { device: on.place, kind: old.kind },
			});
		}
		if (old !== null) throw needsReplace(on);
		return this.#graft(on, options, handle);
	}

	/** `tc qdisc replace …`: one of the same kind is changed where it is. Throws `NetError` as `add` does for options. */
	replace(device: Device | string, options: QdiscOptions & QdiscHandle): Qdisc {
		const on = this.#device(device);
		const handle = readHandle(options.handle);
		checkQdisc(options);
		const old = on.qdisc;
		const same = old?.kind === options.kind && (handle === 0 || handle === handles.get(old));
		return same ? modify(old, options) : this.#graft(on, options, handle);
	}

	/** `tc qdisc change …`. Throws `NetError` ENOENT when there is none, and as `add` does for options. */
	change(device: Device | string, options: QdiscOptions & QdiscHandle): Qdisc {
		const on = this.#device(device);
		const handle = readHandle(options.handle);
		checkQdisc(options);
		const old = on.qdisc;
		if (old === null) {
			throw new NetError("ENOENT", "Error: Qdisc not found. To create specify NLM_F_CREATE flag.", {
				remedy: "Add it first.",
				context: { device: on.place },
			});
		}
		if (handle !== 0 && handle !== handles.get(old)) throw needsReplace(on);
		// Another kind in the place of the old: the kernel takes that for a new one.
		return old.kind === options.kind ? modify(old, options) : this.#graft(on, options, handle);
	}

	/** `tc qdisc del dev DEVICE root`: what waits is dropped. Throws `NetError` ENODEV, ENOENT when there is none. */
	del(device: Device | string): void {
		const on = this.#device(device);
		if (on.qdisc === null) {
			throw new NetError("ENOENT", "Error: Cannot delete qdisc with handle of zero.", {
				remedy: "The device has no queueing discipline but its own.",
				context: { device: on.place },
			});
		}
		on.qdisc.reset();
		on.qdisc = null;
	}

	/** `tc qdisc show`, or of one device `tc qdisc show dev DEVICE`. Throws `NetError` ENODEV. */
	show(device?: Device | string): string {
		if (device !== undefined) return this.#line(this.#device(device), "");
		return this.#ns.devices.map((each) => this.#line(each, `dev ${each.name} `)).join("");
	}

	#line(device: Device, dev: string): string {
		const { qdisc } = device;
		const kind = qdiscName(device);
		if (kind === "noop") return "";
		const handle = qdisc === null ? 0 : (handles.get(qdisc) ?? 0);
		const text = qdisc?.text ?? (kind === "fq_codel" ? FQ_CODEL : "");
		return `qdisc ${kind} ${handle.toString(16)}: ${dev}root refcnt 2 ${text}\n`;
	}

	#graft(device: Device, options: QdiscOptions, handle: number): Qdisc {
		const { world } = this.#ns;
		const exit = {
			deliver: (frame: Parameters<Device["startXmit"]>[0]): void => {
				device.startXmit(frame);
			},
		};
		let made: Qdisc;
		try {
			made = makeQdisc(world, world.rng.fork(`netem/${device.place}`), exit, device, options);
		} catch (error) {
			throw inTcWords(error, options);
		}
		handles.set(made, handle === 0 ? this.#nextHandle() : handle);
		device.qdisc?.reset();
		device.qdisc = made;
		return made;
	}

	#nextHandle(): number {
		const last = lastHandles.get(this.#ns.kernel) ?? FIRST_HANDLE;
		const next = last === MOST_HANDLE ? FIRST_HANDLE + 1 : last + 1;
		lastHandles.set(this.#ns.kernel, next);
		return next;
	}

	#device(device: Device | string): Device {
		return typeof device === "string" ? this.#ns.device(device) : device;
	}
}

function modify(old: Qdisc, options: QdiscOptions): Qdisc {
	try {
		changeQdisc(old, options);
	} catch (error) {
		throw inTcWords(error, options);
	}
	return old;
}

function needsReplace(device: Device): NetError {
	return new NetError("EEXIST", "Error: NLM_F_REPLACE needed to override.", {
		remedy: "Replace it, or leave the handle out.",
		context: { device: device.place },
	});
}

function readHandle(handle: string | undefined): number {
	if (handle === undefined) return 0;
	const number = /^([0-9a-f]{1,4}):$/i.exec(handle)?.[1];
	if (number !== undefined) return Number.parseInt(number, 16);
	throw new NetError("EINVAL", `Error: argument "${handle}" is wrong: invalid qdisc ID`, {
		remedy: 'A handle is written as "10:".',
		context: { handle },
	});
}
