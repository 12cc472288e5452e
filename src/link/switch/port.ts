import type { Mac } from "../../addr/index.ts";
import { ethernet, type Frame, vlan } from "../../wire/index.ts";
import type { CableEnd, Plug } from "../cable.ts";
import {
	type PortSecurity,
	type PortVlans,
	readSecurity,
	readVlans,
	type SwitchPortOptions,
} from "./options.ts";

const MACS = 12; // both addresses, in front of the tag

/** What a port needs of its switch. */
export interface SwitchCore {
	readonly place: string;
	/** A frame came in at a port. Takes it. */
	receive(frame: Frame, from: SwitchPort): void;
	/** The port's link went: forgets what was learned there, but for sticky addresses unless `all`. */
	forget(port: SwitchPort, all: boolean): void;
	/** A port got settings: the switch is VLAN aware from now on. */
	manage(): void;
}

/** Where the port stands: in use, without a link, shut by hand, shut by a security violation. */
export type SwitchPortState = "up" | "down" | "disabled" | "err-disabled";

/** One port of a physical switch. */
export class SwitchPort implements Plug {
	readonly place: string;
	readonly number: number;
	/** True while a whole cable leads to something that is on, and the port is enabled. */
	isUp = false;
	/** Violations of the port's security that `restrict` or `shutdown` counted. */
	violations = 0;
	/** Secure addresses here beside the allowed ones. */
	secured = 0;
	readonly #switch: SwitchCore;
	#vlans: PortVlans = readVlans({});
	#security: PortSecurity | null = null;
	#cable: CableEnd | null = null;
	#carrier = false;
	#shut: "" | "disabled" | "err-disabled" = "";

	constructor(owner: SwitchCore, number: number) {
		this.#switch = owner;
		this.number = number;
		this.place = `${owner.place}:${String(number)}`;
	}

	/** `port3`: its name in tables of the switch. */
	get name(): string {
		return `port${String(this.number)}`;
	}

	/** Where the port stands. */
	get state(): SwitchPortState {
		return this.#shut === "" ? (this.#carrier ? "up" : "down") : this.#shut;
	}

	/** The VLANs it carries on a managed switch. */
	get vlans(): PortVlans {
		return this.#vlans;
	}

	/** Who may speak here; `null` for everyone. */
	get security(): PortSecurity | null {
		return this.#security;
	}

	/**
	 * Sets what the port is, all of it anew, and makes the switch VLAN aware: what was learned here is forgotten.
	 * Throws RangeError or TypeError that names the option; then nothing changed.
	 */
	configure(options: SwitchPortOptions): this {
		const vlans = readVlans(options);
		const security = readSecurity(options);
		this.#switch.manage();
		this.#switch.forget(this, true);
		this.#vlans = vlans;
		this.#security = security;
		return this;
	}

	/** `no shutdown`: ends `disable` and the err-disabled state. */
	enable(): void {
		this.#setShut("");
	}

	/** `shutdown`: the link goes, at the far end too. */
	disable(): void {
		this.#setShut("disabled");
	}

	/** What a violation of a port set to `shutdown` does. */
	errDisable(): void {
		this.#setShut("err-disabled");
	}

	#setShut(shut: "" | "disabled" | "err-disabled"): void {
		this.#shut = shut;
		this.isUp = this.#carrier && shut === "";
		this.#cable?.light(shut === "");
	}

	/** True for an address that this port's list names. */
	allows(mac: Mac): boolean {
		return this.#security?.allowed.has(mac) === true;
	}

	get hasCable(): boolean {
		return this.#cable !== null;
	}

	plugged(end: CableEnd | null): void {
		this.#cable = end;
		if (end === null) this.carrierChanged(false);
		else end.light(this.#shut === "");
	}

	carrierChanged(carrier: boolean): void {
		this.#carrier = carrier;
		this.isUp = carrier && this.#shut === "";
		if (!carrier) this.#switch.forget(this, false);
	}

	/** A frame comes out of the cable. Takes it. */
	deliver(frame: Frame): void {
		this.#switch.receive(frame, this);
	}

	/** The VLAN of a frame that came in here, -1 where it may not come in (802.1Q-2018 §6.9, §8.6.2). */
	classify(frame: Frame): number {
		const { view, start } = frame;
		const { untagged, tagged, mode } = this.#vlans;
		if (ethernet.type(view, start) !== vlan.TPID_CUSTOMER) return untagged === 0 ? -1 : untagged;
		if (frame.end - start < ethernet.OCTETS + vlan.OCTETS) return -1;
		const vid = vlan.vid(view, start + ethernet.OCTETS);
		if (vid === 0) return untagged === 0 ? -1 : untagged;
		if (mode === "access" || vid === 4095) return -1;
		return vid === untagged || tagged === "all" || tagged.has(vid) ? vid : -1;
	}

	/** True when frames of the VLAN go out here; 0 stands for an unmanaged switch. */
	carries(vid: number): boolean {
		if (vid === 0) return true;
		const { untagged, tagged } = this.#vlans;
		return vid === untagged || tagged === "all" || tagged.has(vid);
	}

	/** Out by this port, tagged as the port wants it. Takes the frame. */
	send(frame: Frame, vid: number): void {
		if (vid !== 0) retag(frame, vid, vid !== this.#vlans.untagged);
		this.#cable?.send(frame);
	}
}

/** Gives the frame the tag of the VLAN, or none; the priority of a tag it has already stays. */
function retag(frame: Frame, vid: number, wanted: boolean): void {
	const { bytes, view } = frame;
	const has = ethernet.type(view, frame.start) === vlan.TPID_CUSTOMER;
	if (has && wanted) {
		const at = frame.start + ethernet.OCTETS;
		const tci = vlan.tci(view, at);
		if ((tci & 0xfff) === vid) return;
		view.setUint16(at, (tci & 0xf000) | vid);
		frame.changed();
	} else if (has) {
		bytes.copyWithin(frame.start + vlan.OCTETS, frame.start, frame.start + MACS);
		frame.pull(vlan.OCTETS);
		frame.changed();
	} else if (wanted) {
		frame.push(vlan.OCTETS);
		bytes.copyWithin(frame.start, frame.start + vlan.OCTETS, frame.start + vlan.OCTETS + MACS);
		view.setUint16(frame.start + MACS, vlan.TPID_CUSTOMER);
		view.setUint16(frame.start + ethernet.OCTETS, vid);
	}
}
