import { type Frame, hasTag, popTag, pushTag, vlan } from "../../wire/index.ts";
import { ethernet } from "../../wire/index.ts";

/** The VLAN id of a frame inside the bridge; `TAGGED` is added while its octets carry the tag. 0: not admitted. */
export const TAGGED = 0x1000;
/** The bits of the VLAN id itself. */
export const VID = 0xfff;

/** One line of `bridge vlan show`. */
export interface VlanMember {
	readonly vid: number;
	/** Untagged frames that come in belong to it. */
	readonly pvid: boolean;
	/** Frames go out without the tag. */
	readonly untagged: boolean;
}

const DEFAULT_PVID = 1;
/** Shared by all groups of no VLAN, and by all that are in VLAN 1 alone, as ports begin. Never changed. */
const NONE = new Map<number, boolean>();
const USUAL = new Map([[DEFAULT_PVID, true]]);

/**
 * The VLANs of a port, or of the bridge itself, with VLAN filtering on: what may come in, and with or without
 * a tag go out (`struct net_bridge_vlan_group`).
 */
export class VlanGroup {
	/** The VLAN of untagged frames, 0 for none: they are dropped. */
	pvid = 0;
	/** By VLAN id: whether frames leave untagged. Shared with others until it is changed, except from nothing to the usual. */
	#untagged: Map<number, boolean> = NONE;

	/** True for a member. */
	has(vid: number): boolean {
		return this.#untagged.has(vid);
	}

	/** Makes it a member, or changes how it is one; says whether anything changed. */
	add(vid: number, { pvid, untagged }: { readonly pvid: boolean; readonly untagged: boolean }): boolean {
		const changed = this.#untagged.get(vid) !== untagged || pvid !== (this.pvid === vid);
		if (this.#untagged === NONE && vid === DEFAULT_PVID && untagged) this.#untagged = USUAL;
		else this.#own().set(vid, untagged);
		if (pvid) this.pvid = vid;
		else if (this.pvid === vid) this.pvid = 0;
		return changed;
	}

	/** Ends a membership; says whether there was one. */
	remove(vid: number): boolean {
		if (this.pvid === vid) this.pvid = 0;
		return this.#untagged.has(vid) && this.#own().delete(vid);
	}

	#own(): Map<number, boolean> {
		if (this.#untagged === NONE || this.#untagged === USUAL) this.#untagged = new Map(this.#untagged);
		return this.#untagged;
	}

	/** The members by VLAN id. */
	members(): VlanMember[] {
		return [...this.#untagged]
			.sort(([a], [b]) => a - b)
			.map(([vid, untagged]) => ({ vid, pvid: vid === this.pvid, untagged }));
	}

	/** The VLAN a frame belongs to as it comes in here, `TAGGED` or not; 0 when it may not (`__allowed_ingress`). */
	admit(frame: Frame, tpid: number): number {
		if (!hasTag(frame, tpid)) return this.pvid;
		const at = frame.start + ethernet.OCTETS;
		const vid = vlan.vid(frame.view, at);
		if (vid !== 0) return this.#untagged.has(vid) ? vid | TAGGED : 0;
		// A priority tag: the frame keeps its priority and is in the port's own VLAN.
		if (this.pvid === 0) return 0;
		frame.view.setUint16(at, vlan.tci(frame.view, at) | this.pvid);
		frame.changed();
		return this.pvid | TAGGED;
	}

	/** The VLAN that the source of a frame which stays here is learned in, 0 for none; the frame stays as it is (`br_should_learn`). */
	vlanOf(frame: Frame, tpid: number): number {
		const vid = hasTag(frame, tpid) ? vlan.vid(frame.view, frame.start + ethernet.OCTETS) : 0;
		return vid === 0 ? this.pvid : this.#untagged.has(vid) ? vid : 0;
	}

	/** Gives a frame the tag, or takes it off, as it leaves by a member. */
	dress(frame: Frame, tag: number, tpid: number): void {
		const vid = tag & VID;
		const tagged = (tag & TAGGED) !== 0;
		if (this.#untagged.get(vid) === true) {
			if (tagged) popTag(frame);
		} else if (!tagged) pushTag(frame, tpid, vid);
	}
}
