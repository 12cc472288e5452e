import type { Ip4 } from "../addr/index.ts";
import { ethernet, type Frame, vxlan } from "../wire/index.ts";
import type { TunnelReceiver, Underlay } from "./underlay.ts";
import type { VxlanDevice } from "./vxlan.ts";

/**
 * One UDP port of an underlay, shared by all VXLAN devices on it, each with its VNI
 * (`vxlan_sock` and `vxlan_rcv` in drivers/net/vxlan).
 */
export class VxlanSocket implements TunnelReceiver {
	readonly underlay: Underlay;
	readonly port: number;
	readonly #devices = new Map<number, VxlanDevice>();

	private constructor(underlay: Underlay, port: number) {
		this.underlay = underlay;
		this.port = port;
	}

	/** The socket of a port, opened when first needed. Throws `NetError` EADDRINUSE when another socket has it. */
	static of(underlay: Underlay, port: number): VxlanSocket {
		const open = underlay.tunnel(port);
		if (open instanceof VxlanSocket) return open;
		const socket = new VxlanSocket(underlay, port);
		underlay.openTunnel(port, socket);
		return socket;
	}

	/** The device of a VNI. */
	device(vni: number): VxlanDevice | undefined {
		return this.#devices.get(vni);
	}

	join(device: VxlanDevice): void {
		this.#devices.set(device.vni, device);
	}

	/** Takes a device off; the last one closes the port. */
	leave(device: VxlanDevice): void {
		if (this.#devices.get(device.vni) === device) this.#devices.delete(device.vni);
		if (this.#devices.size === 0) this.underlay.closeTunnel(this.port);
	}

	receiveTunnel(frame: Frame, source: Ip4, outerTos: number): void {
		if (frame.end - frame.start < vxlan.OCTETS + ethernet.OCTETS)
			return this.underlay.drop(frame, "vxlan-truncated");
		const flags = vxlan.flags(frame.view, frame.start);
		if ((flags & vxlan.FLAG_VNI) === 0) {
			return this.underlay.drop(frame, "vxlan-invalid-hdr", "the I flag is clear");
		}
		const vni = vxlan.vni(frame.view, frame.start);
		const device = this.#devices.get(vni);
		if (device === undefined) return this.underlay.drop(frame, "vxlan-vni-not-found", `VNI ${String(vni)}`);
		device.receiveTunnel(frame, source, outerTos);
	}
}
