import { ANY_IP4, type Mac } from "../../addr/index.ts";
import { type Bridge, type BridgeFilter, BridgePort, BRIDGING, type Device } from "../../link/index.ts";
import { ethernet, type Frame, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import { fragment } from "../ipv4/fragment.ts";
import { checkHeader } from "../ipv4/header-check.ts";
import type { Namespace } from "../namespace.ts";
import type { Route } from "../route.ts";
import { ACCEPT, PRIORITY } from "./hooks.ts";

/** `net.bridge.bridge-nf-…`. */
export interface BridgeNetfilterConf {
	/** IPv4 frames that bridges of the namespace forward meet iptables; 1 from the moment the module is loaded. */
	"bridge-nf-call-iptables": number;
}

/**
 * The module br_netfilter in one namespace: IPv4 frames that a bridge forwards meet netfilter as if they were routed.
 *
 *     port in → PREROUTING ┬─ same destination → bridge → port out → FORWARD → POSTROUTING → device
 *                          └─ DNAT ─ route ─┬─ by this bridge: to the MAC of the new next hop, and bridged
 *                                           └─ elsewhere: to the bridge's own MAC, up into its stack
 *
 * Devices are the bridge, in and out; the ports are the `physdev` ones. What goes up does not meet PREROUTING again.
 * Frames with a VLAN tag are not looked at. Reference: net/bridge/br_netfilter_hooks.c.
 */
export class BridgeNetfilter implements BridgeFilter {
	readonly conf: BridgeNetfilterConf = { "bridge-nf-call-iptables": 1 };
	readonly #ns: Namespace;
	/** Whom frames in state `resolving` came from, with the journey they were on: frames are used again. */
	readonly #senders = new WeakMap<Frame, { readonly journey: number; readonly mac: Mac }>();

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	watches(frame: Frame, bridge: Bridge): boolean {
		const { hooks } = this.#ns;
		if (hooks.prerouting === null && hooks.forward === null && hooks.postrouting === null) return false;
		if (this.conf["bridge-nf-call-iptables"] === 0 && !bridge.nfCallIptables) return false;
		return ethernet.type(frame.view, frame.start) === ethernet.TYPE_IPV4;
	}

	/** `br_nf_pre_routing`. */
	enter(frame: Frame, port: BridgePort): void {
		const { bridge, device } = port;
		const inDevice = this.#ns.inDevice(bridge);
		if (inDevice === undefined) return device.dropIn(frame, "device-gone");
		const { view, start } = frame;
		const forHost =
			ethernet.dstHigh(view, start) === bridge.macHigh && ethernet.dstLow(view, start) === bridge.macLow;
		frame.pull(ethernet.OCTETS);
		const reason = checkHeader(frame);
		if (reason !== null) return device.dropIn(frame, reason);
		frame.bridging = forHost ? BRIDGING.entered | BRIDGING.forHost : BRIDGING.entered;
		frame.physIn = device;
		frame.physOut = null;
		const before = ipv4.destination(frame.view, frame.start);
		const chain = this.#ns.hooks.prerouting;
		if (chain !== null && chain.run(frame, inDevice, null, null) !== ACCEPT) return;
		this.#entered(frame, inDevice, before);
	}

	/** Keeps a fragment that passes PREROUTING at a port; the whole goes on with its last one. Takes the frame. */
	gather(frame: Frame, inDevice: InDevice): void {
		const { bridging, physIn } = frame;
		const header = frame.bytes.slice(frame.start - ethernet.OCTETS, frame.start);
		const whole = this.#ns.ipv4.reassemble(frame, inDevice);
		if (whole === undefined) return;
		whole.bytes.set(header, whole.start - ethernet.OCTETS);
		whole.bridging = bridging;
		whole.physIn = physIn;
		const before = ipv4.destination(whole.view, whole.start);
		const chain = this.#ns.hooks.prerouting;
		if (chain !== null && chain.runAfter(PRIORITY.defragment, whole, inDevice, null, null) !== ACCEPT) return;
		this.#entered(whole, inDevice, before);
	}

	/** `br_nf_pre_routing_finish`: where to, now that the destination may be another. */
	#entered(frame: Frame, inDevice: InDevice, before: number): void {
		const port = portOf(frame);
		if (port === undefined) return inDevice.device.dropIn(frame, "device-gone");
		const destination = ipv4.destination(frame.view, frame.start);
		if (destination === before) {
			frame.unpull(ethernet.OCTETS);
			return port.bridge.handle(frame, port);
		}
		let way = this.#ns.ipv4.wayIn(frame, inDevice);
		// To be bridged it need not be allowed to be routed.
		if (way === "ip-forwarding-off") {
			const out = this.#ns.route(destination);
			if (out?.device === port.bridge) way = out;
		}
		if (typeof way === "string") return port.device.dropIn(frame, way);
		frame.bridging |= BRIDGING.rerouted;
		if (way.device === port.bridge && way.type === "unicast")
			return this.#toNeighbour(frame, inDevice, way, port);
		const { macHigh, macLow } = port.bridge;
		frame.bridging |= BRIDGING.forHost;
		this.#readdress(frame, macHigh, macLow);
		port.bridge.handle(frame, port);
	}

	/**
	 * `br_nf_pre_routing_finish_bridge`: it stays on this bridge and gets the MAC of its new next hop. Where that has to
	 * be found first, the frame goes through the neighbour table and comes back by `resolved`.
	 */
	#toNeighbour(frame: Frame, inDevice: InDevice, { via }: Route, port: BridgePort): void {
		const next = via === ANY_IP4 ? ipv4.destination(frame.view, frame.start) : via;
		const neighbours = this.#ns.neighbours(inDevice);
		const neighbour = neighbours.ensure(next);
		if (neighbour.connected) {
			this.#readdress(frame, neighbour.macHigh, neighbour.macLow);
			return port.bridge.handle(frame, port);
		}
		const mac = ethernet.src(frame.view, frame.start - ethernet.OCTETS);
		this.#senders.set(frame, { journey: frame.id, mac });
		frame.bridging |= BRIDGING.resolving;
		neighbours.output(frame, neighbour);
	}

	#readdress(frame: Frame, high: number, low: number): void {
		frame.unpull(ethernet.OCTETS);
		const { view, start } = frame;
		const type = ethernet.TYPE_IPV4;
		ethernet.writeParts(
			view,
			start,
			high,
			low,
			ethernet.srcHigh(view, start),
			ethernet.srcLow(view, start),
			type,
		);
		frame.changed();
	}

	/** `br_nf_pre_routing_finish_bridge_slow`: the sender's address comes back into the header. */
	resolved(frame: Frame): void {
		const port = portOf(frame);
		const sender = this.#senders.get(frame);
		frame.bridging &= ~BRIDGING.resolving;
		if (port === undefined || sender?.journey !== frame.id) return this.#ns.drop(frame, "device-gone");
		ethernet.setMac(frame.view, frame.start + 6, sender.mac);
		frame.changed();
		port.bridge.handle(frame, port);
	}

	/** `br_nf_forward_ip` and `br_nf_post_routing`. */
	leave(frame: Frame, port: BridgePort): void {
		if (ethernet.type(frame.view, frame.start) !== ethernet.TYPE_IPV4) return port.send(frame);
		const { bridge } = port;
		const { forward, postrouting } = this.#ns.hooks;
		const inDevice = this.#ns.inDevice(bridge);
		if (inDevice === undefined) return bridge.dropOut(frame, "device-gone");
		frame.pull(ethernet.OCTETS);
		frame.physOut = port.device;
		if (forward !== null && forward.run(frame, inDevice, bridge, null) !== ACCEPT) return;
		if (postrouting !== null && postrouting.run(frame, null, bridge, null) !== ACCEPT) return;
		this.#send(frame, port);
	}

	/** `br_nf_dev_queue_xmit`: what was put together and is too long now leaves in fragments again. */
	#send(frame: Frame, port: BridgePort): void {
		const { longestFragment } = frame;
		const { mtu } = port.device;
		if (longestFragment === 0 || frame.end - frame.start <= mtu) {
			frame.unpull(ethernet.OCTETS);
			return port.send(frame);
		}
		if (ipv4.dontFragment(frame.view, frame.start) || longestFragment > mtu)
			return port.device.dropOut(frame, "ip-frag-needed", `MTU ${String(mtu)}`);
		const header = frame.bytes.slice(frame.start - ethernet.OCTETS, frame.start);
		fragment(frame, longestFragment, (piece) => {
			piece.push(ethernet.OCTETS);
			piece.bytes.set(header, piece.start);
			port.send(piece);
		});
	}
}

/** The port a frame came in by, unless that left its bridge meanwhile. */
function portOf({ physIn }: Frame): BridgePort | undefined {
	const upper = (physIn as Device | null)?.upper;
	return upper instanceof BridgePort ? upper : undefined;
}
