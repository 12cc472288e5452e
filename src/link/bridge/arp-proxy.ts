import { type Ip4, isLoopbackIp4, isMulticastIp4, type Mac } from "../../addr/index.ts";
import { arp, ethernet, type Frame, pushTag, vlan } from "../../wire/index.ts";
import { Device } from "../device.ts";
import type { Bridge } from "./bridge.ts";
import type { BridgePort } from "./port.ts";
import { TAGGED, VID } from "./vlan-group.ts";

/**
 * Looks at a frame that may be ARP, for the ports with `proxyarp`, `proxyarp_wifi` or `neigh_suppress`, and answers a
 * request for a neighbour that the bridge knows, in the neighbour's name. The frame stays the caller's; true when it
 * need not go to ports that suppress. Reference: `br_do_proxy_suppress_arp` in net/bridge/br_arp_nd_proxy.c.
 */
export function proxyArp(bridge: Bridge, frame: Frame, from: BridgePort | null, tag: number): boolean {
	const { view } = frame;
	const tagged = (tag & TAGGED) !== 0;
	const at = frame.start + ethernet.OCTETS + (tagged ? vlan.OCTETS : 0);
	const type = tagged ? vlan.innerType(view, at - vlan.OCTETS) : ethernet.type(view, frame.start);
	if (type !== ethernet.TYPE_ARP || bridge.noArp) return false;
	const request = arp.read(view, at, frame.end);
	if (typeof request === "string") return false;
	const { senderIp, targetIp } = request;
	if (isLoopbackIp4(targetIp) || isMulticastIp4(targetIp)) return false;
	const suppresses = bridge.newestPorts.some((port) => port.flags.neighSuppress);
	if (suppresses) {
		if (from?.flags.neighSuppress === true) return false;
		// Announcements and address probes are nothing for the ports that suppress.
		const announces = senderIp >>> 24 === 0 || senderIp === targetIp;
		if (announces) return true;
	}
	if (request.operation !== arp.REQUEST) return false;
	const device = vlanDevice(bridge, tag & VID);
	if (device === undefined) return false;
	if (suppresses && isLocal(device, targetIp)) return true;
	const known = bridge.owner.neighbourMac(device, targetIp, "valid");
	if (known < 0) return false;
	const entry = bridge.fdb.find(known as Mac, tag & VID);
	if (entry === undefined) return false;
	const answers =
		from?.flags.proxyArp === true ||
		entry.port?.flags.proxyArpWifi === true ||
		entry.port?.flags.neighSuppress === true;
	// The answer has the question's tag, priority and all.
	const tci = tagged ? vlan.tci(view, at - vlan.OCTETS) : tag & VID;
	if (answers) answer(bridge, from, tci, request, known as Mac);
	return answers || suppresses;
}

/** Whether a device has the address, or one that lies on it (`br_is_local_ip`). */
const isLocal = (device: Device, address: Ip4): boolean =>
	device.owner.hasAddress(device, address) || device.uppers.some((upper) => isLocal(upper, address));

/** Where the neighbours of a VLAN are known: the VLAN device on the bridge, or the bridge itself. */
function vlanDevice(bridge: Bridge, vid: number): Device | undefined {
	if (vid === 0) return bridge;
	const device = bridge.vlans?.get((bridge.vlanTpid << 12) | vid);
	return device instanceof Device ? device : undefined;
}

function answer(bridge: Bridge, from: BridgePort | null, tci: number, request: arp.Arp, known: Mac): void {
	const reply = bridge.world.frames.begin(ethernet.OCTETS + arp.OCTETS);
	reply.end = reply.start + ethernet.OCTETS + arp.OCTETS;
	const asker = request.senderMac;
	ethernet.write(reply.view, reply.start, { dst: asker, src: known, type: ethernet.TYPE_ARP });
	arp.write(reply.view, reply.start + ethernet.OCTETS, {
		operation: arp.REPLY,
		senderMac: known,
		senderIp: request.targetIp,
		targetMac: asker,
		targetIp: request.senderIp,
	});
	const vid = tci & VID;
	const group = from === null ? bridge.vlanGroup : from.vlanGroup;
	if (vid !== 0 && vid !== group.pvid) pushTag(reply, bridge.vlanTpid, tci);
	if (from === null) bridge.receiveLater(reply);
	else from.device.transmit(reply);
}
