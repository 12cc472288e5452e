import {
	ANY_IP4,
	BROADCAST_IP4,
	BROADCAST_MAC,
	type Ip4,
	isLoopbackIp4,
	isMulticastIp4,
	type Mac,
	multicastMacOf,
	ZERO_MAC,
} from "../../addr/index.ts";
import type { Device } from "../../link/index.ts";
import { milliseconds, Timer } from "../../sim/index.ts";
import { arp, ethernet, type Frame, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Namespace } from "../namespace.ts";

const HUNDREDTH = milliseconds(10);

/**
 * ARP of one namespace (RFC 826): answers for its own addresses and, where it is asked to, for others'
 * (`proxy_arp`), and learns from what it hears. Reference: `arp_process` and `arp_solicit` in net/ipv4/arp.c.
 */
export class Arp {
	readonly #ns: Namespace;
	/** Proxy answers that wait for their random delay, per device. */
	#proxied: Map<Device, number> | undefined;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/** An ARP frame for this namespace; it starts at its Ethernet header. Takes the frame. */
	receive(frame: Frame, inDevice: InDevice): void {
		const device = inDevice.device;
		if (device.noArp) return device.dropIn(frame, "dev-noarp");
		const packet = arp.read(frame.view, frame.start + ethernet.OCTETS, frame.end);
		if (typeof packet === "string") return device.dropIn(frame, packet);
		if (packet.operation !== arp.REQUEST && packet.operation !== arp.REPLY)
			return device.dropIn(frame, "arp-unsupported");
		const unicast = ethernet.dst(frame.view, frame.start) === device.mac;
		this.#process(frame, packet, inDevice, unicast, false);
	}

	#process(frame: Frame, packet: arp.Arp, inDevice: InDevice, unicast: boolean, delayed: boolean): void {
		const device = inDevice.device;
		const { senderIp, senderMac, targetIp } = packet;
		if (isMulticastIp4(targetIp) || (isLoopbackIp4(targetIp) && inDevice.conf.route_localnet === 0)) {
			return device.dropIn(frame, "arp-ignored");
		}
		const request = packet.operation === arp.REQUEST;
		// Duplicate address detection (RFC 5227): answer without learning.
		if (senderIp === ANY_IP4) {
			if (request && this.#ns.isOwnAddress(targetIp) && !this.#ignores(inDevice, senderIp, targetIp)) {
				return this.#answer(frame, packet, inDevice);
			}
			return device.dropIn(frame, "arp-not-for-us");
		}
		const neighbours = this.#ns.neighbours(inDevice);
		if (request) {
			if (this.#ns.isOwnAddress(targetIp)) {
				if (this.#ignores(inDevice, senderIp, targetIp)) return device.dropIn(frame, "arp-ignored");
				if (this.#ns.ipv4.inputRoutes.isMartian(senderIp, inDevice))
					return device.dropIn(frame, "ip-martian-source");
				neighbours.heard(senderIp, senderMac, "stale", true, true);
				return this.#answer(frame, packet, inDevice);
			}
			if (this.#proxies(inDevice, targetIp) && !this.#ns.ipv4.inputRoutes.isMartian(senderIp, inDevice)) {
				neighbours.heard(senderIp, senderMac, "stale", true, true);
				if (delayed || unicast || inDevice.neigh.proxy_delay === 0)
					return this.#answer(frame, packet, inDevice);
				return this.#answerLater(frame, packet, inDevice);
			}
		}
		// For others, or an answer: it refreshes what is known and makes nothing new.
		const known = neighbours.get(senderIp);
		if (known !== undefined) {
			const gratuitous = senderIp === targetIp && (!request ? true : senderMac !== ZERO_MAC);
			const now = this.#ns.kernel.world.scheduler.now;
			const override = now > known.facts.updated + inDevice.neigh.locktime * HUNDREDTH || gratuitous;
			const as = !request && unicast ? "reachable" : "stale";
			neighbours.heard(senderIp, senderMac, as, override, false);
		}
		if (request) return device.dropIn(frame, "arp-not-for-us");
		// An answer has done what it came for.
		frame.release();
	}

	/** `arp_ignore`: 0 answers for any own address, 1 only for those of the device, 2 also only in its subnet, 8 never. */
	#ignores(inDevice: InDevice, senderIp: Ip4, targetIp: Ip4): boolean {
		const mode = Math.max(inDevice.conf.arp_ignore, this.#ns.confAll.arp_ignore);
		if (mode === 0) return false;
		if (mode === 8) return true;
		const own = inDevice.addresses.find((each) => each.prefix.address === targetIp);
		if (own === undefined) return true;
		return mode === 2 && (own.prefix.address ^ senderIp) >>> (32 - own.prefix.length) !== 0;
	}

	/** Whether the device answers for an address it would route onwards (`arp_fwd_proxy`, `arp_fwd_pvlan`). */
	#proxies(inDevice: InDevice, target: Ip4): boolean {
		if (!this.#ns.ipv4.inputRoutes.forwards(inDevice)) return false;
		const route = this.#ns.fib.lookup(target);
		if (route?.type !== "unicast" || route.device === null) return false;
		if (route.device === inDevice.device) return inDevice.conf.proxy_arp_pvlan !== 0;
		return (
			inDevice.conf.proxy_arp !== 0 ||
			this.#ns.confAll.proxy_arp !== 0 ||
			this.#ns.isProxyNeighbour(inDevice, target)
		);
	}

	/** A proxy waits for a random part of `proxy_delay`, so that the real owner may be first (`pneigh_enqueue`). */
	#answerLater(frame: Frame, packet: arp.Arp, inDevice: InDevice): void {
		const device = inDevice.device;
		const proxied = (this.#proxied ??= new Map<Device, number>());
		const waiting = proxied.get(device) ?? 0;
		if (waiting > inDevice.neigh.proxy_qlen) return device.dropIn(frame, "arp-proxy-queuefull");
		proxied.set(device, waiting + 1);
		const kernel = this.#ns.kernel;
		const delay = kernel.rng.below(inDevice.neigh.proxy_delay * HUNDREDTH);
		const timer = new Timer(() => {
			proxied.set(device, (proxied.get(device) ?? 1) - 1);
			if (!device.isUp) return device.dropIn(frame, device.gone ? "device-gone" : "dev-down");
			this.#process(frame, packet, inDevice, false, true);
		});
		kernel.arm(timer, delay);
	}

	/** Answers with the receiving device's address, whichever device holds the IP address (weak host model). */
	#answer(frame: Frame, packet: arp.Arp, inDevice: InDevice): void {
		frame.release();
		this.send(inDevice.device, {
			to: packet.senderMac,
			operation: arp.REPLY,
			senderMac: inDevice.device.mac,
			senderIp: packet.targetIp,
			targetMac: packet.senderMac,
			targetIp: packet.senderIp,
		});
	}

	/**
	 * The link address of a neighbour that need not be asked for it (`arp_constructor`): a group's follows from the group,
	 * all there is on a device without ARP has the device's own, and everybody is everybody.
	 */
	mapped({ device }: InDevice, ip: Ip4): Mac | undefined {
		if (isMulticastIp4(ip)) return multicastMacOf(ip);
		if (device.noArp) return device.mac;
		if (ip === BROADCAST_IP4 || ip >>> 24 === 0) return BROADCAST_MAC;
		const route = this.#ns.localFib.lookup(ip);
		return route?.type === "broadcast" && route.device === device ? BROADCAST_MAC : undefined;
	}

	/** Asks who has `target` (`arp_solicit`): everyone, or the address it had when it is only to be confirmed. */
	solicit(inDevice: InDevice, target: Ip4, to: Mac | undefined, forPacket: Frame | undefined): void {
		const device = inDevice.device;
		if (device.noArp) return;
		this.send(device, {
			to: to ?? BROADCAST_MAC,
			operation: arp.REQUEST,
			senderMac: device.mac,
			senderIp: this.#sourceFor(inDevice, target, forPacket),
			targetMac: ZERO_MAC,
			targetIp: target,
		});
	}

	/** The packet's own source if it is ours, else an address of the device (`arp_announce` 0). */
	#sourceFor(inDevice: InDevice, target: Ip4, forPacket: Frame | undefined): Ip4 {
		if (
			forPacket !== undefined &&
			Math.max(inDevice.conf.arp_announce, this.#ns.confAll.arp_announce) === 0
		) {
			const source = ipv4.source(forPacket.view, forPacket.start);
			if (this.#ns.isOwnAddress(source)) return source;
		}
		return this.#ns.selectSource(inDevice, target, "link");
	}

	/** Sends one ARP packet, 42 octets with its Ethernet header, unpadded. */
	send(
		device: Device,
		packet: {
			readonly to: Mac;
			readonly operation: number;
			readonly senderMac: Mac;
			readonly senderIp: Ip4;
			readonly targetMac: Mac;
			readonly targetIp: Ip4;
		},
	): void {
		const frame = this.#ns.kernel.world.frames.begin(ethernet.OCTETS + arp.OCTETS);
		frame.end = frame.start + ethernet.OCTETS + arp.OCTETS;
		ethernet.write(frame.view, frame.start, { dst: packet.to, src: device.mac, type: ethernet.TYPE_ARP });
		arp.write(frame.view, frame.start + ethernet.OCTETS, packet);
		device.transmit(frame);
	}
}
