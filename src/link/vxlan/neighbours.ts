import { formatIp4, type Ip4, isLoopbackIp4, isMulticastIp4, type Mac } from "../../addr/index.ts";
import type { DropReason } from "../../drop.ts";
import { arp, ethernet, type Frame, type FramePool, ipv4 } from "../../wire/index.ts";
import { NEIGHBOUR_NOT_VALID, NO_NEIGHBOUR } from "../device-owner.ts";
import type { VxlanDevice } from "./vxlan.ts";

/**
 * ARP on a `proxy` device never leaves (`arp_reduce`): a request for a known neighbour is answered as the neighbour
 * would, by the frame given back, which the caller owns. Undefined for everything else, which is swallowed, and a
 * reason for what is no ARP. The request stays the caller's. `missed` is told of targets nobody knows.
 */
export function answerArp(
	device: VxlanDevice,
	frame: Frame,
	frames: FramePool,
	missed: (ip: Ip4) => void,
): Frame | DropReason | undefined {
	const request = arp.read(frame.view, frame.start + ethernet.OCTETS, frame.end);
	if (typeof request === "string") return request;
	const target = request.targetIp;
	if (request.operation !== arp.REQUEST || isLoopbackIp4(target) || isMulticastIp4(target)) return undefined;
	const mac = device.owner.neighbourMac(device, target, "connected");
	if (mac === NO_NEIGHBOUR) missed(target);
	if (mac === NO_NEIGHBOUR || mac === NEIGHBOUR_NOT_VALID) return undefined;
	const known = mac as Mac;
	// A neighbour behind this very host's bridge answers for itself.
	if (device.fdb.use(known)?.remotes[0]?.ip === 0) return undefined;
	const asker = request.senderMac;
	const reply = frames.begin(ethernet.OCTETS + arp.OCTETS);
	reply.end = reply.start + ethernet.OCTETS + arp.OCTETS;
	ethernet.write(reply.view, reply.start, { dst: asker, src: known, type: ethernet.TYPE_ARP });
	arp.write(reply.view, reply.start + ethernet.OCTETS, {
		operation: arp.REPLY,
		senderMac: known,
		senderIp: target,
		targetMac: asker,
		targetIp: request.senderIp,
	});
	return reply;
}

/**
 * A packet for a router of the overlay (`rsc`): the hosts behind it are neighbours too, so it goes to them at once, as
 * if the router had sent it (`route_shortcircuit`). Says whether the frame has got new addresses.
 */
export function shortCircuit(device: VxlanDevice, frame: Frame, missed: (ip: Ip4) => void): boolean {
	const { view, start } = frame;
	const router = ethernet.dst(view, start);
	if (ethernet.type(view, start) !== ethernet.TYPE_IPV4) return false;
	if (frame.end - start < ethernet.OCTETS + ipv4.MIN_OCTETS) return false;
	const target = ipv4.destination(view, start + ethernet.OCTETS);
	const mac = device.owner.neighbourMac(device, target, "valid");
	if (mac === NO_NEIGHBOUR) missed(target);
	if (mac < 0 || mac === router) return false;
	ethernet.write(view, start, { dst: mac as Mac, src: router, type: ethernet.TYPE_IPV4 });
	frame.changed();
	return true;
}

/** `ip monitor`'s words for a target without a neighbour. */
export const missText = (ip: Ip4, device: VxlanDevice): string =>
	`miss ${formatIp4(ip)} dev ${device.name} STALE`;
