import { type Mac, toMac } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";

/** 01:80:c2:00:00:00: with another last octet up to 0f the groups that end at the next bridge (802.1D table 7-10). */
const LINK_LOCAL = 0x0180_c200_0000;
/** Where the BPDUs of customers' bridges go, and of providers' (802.1ad): the last octet. */
const BRIDGE_GROUP = 0x00;
const PROVIDER_BRIDGE_GROUP = 0x08;
/** 802.3x pause frames. */
const PAUSE = 0x01;
/** What a provider bridge lets pass, since customers' bridges use it (`BR_GROUPFWD_8021AD`). */
const PROVIDER_GROUPS = 0xb801;
/** Bits that no bridge's mask may have: STP, pause, LACP (`BR_GROUPFWD_RESTRICTED`). */
const RESTRICTED = 0x0007;
/** The bit that no port's mask may have (`BR_GROUPFWD_MACPAUSE`). */
const RESTRICTED_AT_PORTS = 0x0002;

/** `group_address` and `group_fwd_mask` of a bridge: which frames to 01:80:c2:00:00:0X it forwards. */
export class LinkLocalGroups {
	/** `group_fwd_mask`. */
	mask = 0;
	/** What passes beside it (`group_fwd_mask_required`). */
	#required = 0;
	/** The last octet of `group_address`. */
	#group = BRIDGE_GROUP;
	#isSet = false;

	/** Where BPDUs go and come from. */
	get address(): Mac {
		return (LINK_LOCAL + this.#group) as Mac;
	}

	/** The last octet of where BPDUs go. */
	get group(): number {
		return this.#group;
	}

	/** `group_address`, from now on whatever the protocol of the VLANs. */
	setAddress(address: Mac | string): void {
		this.#group = toMac(address, "groupAddress") - LINK_LOCAL;
		this.#isSet = true;
	}

	/** A bridge that filters by 802.1ad tags is a provider's (`recalculate_group_addr`, `br_recalculate_fwd_mask`). */
	follow(provider: boolean): void {
		if (!this.#isSet) this.#group = provider ? PROVIDER_BRIDGE_GROUP : BRIDGE_GROUP;
		this.#required = provider ? PROVIDER_GROUPS & ~(1 << this.#group) : 0;
	}

	/**
	 * Whether a group passes like other multicast, by the bridge's masks and that of the port it came in by. Group 00
	 * does while STP is off; the bridge's own mask says nothing about it.
	 */
	forwards(group: number, portMask: number, stp: boolean): boolean {
		if (group === PAUSE) return false;
		if (group === BRIDGE_GROUP && !stp) return true;
		const own = group === BRIDGE_GROUP ? 0 : this.mask;
		return (((this.#required | portMask | own) >> group) & 1) === 1;
	}
}

/** Throws `NetError` EINVAL for a mask that a bridge (`where` "bridge") or a port of one may not have. */
export function checkGroupMask(mask: number, where: "bridge" | "port", place: string): void {
	const restricted = where === "bridge" ? RESTRICTED : RESTRICTED_AT_PORTS;
	if (Number.isInteger(mask) && mask >= 0 && mask <= 0xffff && (mask & restricted) === 0) return;
	throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
		remedy:
			where === "bridge"
				? "Bits 0 (STP), 1 (pause) and 2 (LACP) cannot be forwarded; the mask has 16 bits."
				: "Bit 1 (pause) cannot be forwarded; the mask has 16 bits.",
		context: { [where]: place, mask },
	});
}

/** Throws `NetError` EINVAL for an address that BPDUs cannot go to. */
export function checkGroupAddress(address: Mac | string, place: string): void {
	const group = toMac(address, "groupAddress") - LINK_LOCAL;
	if (group >= 0 && group <= 0xf && group !== 1 && group !== 2 && group !== 3) return;
	throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
		remedy: "BPDUs go to 01:80:c2:00:00:0X, but not to the groups of pause, LACP and 802.1X.",
		context: { bridge: place, groupAddress: address },
	});
}
