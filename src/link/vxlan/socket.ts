import type { Ip4 } from "../../addr/index.ts";
import { ethernet, type Frame, vxlan } from "../../wire/index.ts";
import type { Device } from "../device.ts";
import type { TunnelReceiver, Underlay } from "../underlay.ts";
import type { VxlanDevice } from "./vxlan.ts";

/**
 * One UDP port of an underlay, shared by all VXLAN devices on it that are up, each with its VNI
 * (`vxlan_sock` and `vxlan_rcv` in drivers/net/vxlan).
 */
export class VxlanSocket implements TunnelReceiver {
	readonly underlay: Underlay;
	readonly port: number;
	/** Whether messages may carry a group policy; all devices of the port agree on it. */
	readonly gbp: boolean;
	readonly #devices = new Map<number, VxlanDevice>();

	private constructor(underlay: Underlay, port: number, gbp: boolean) {
		this.underlay = underlay;
		this.port = port;
		this.gbp = gbp;
	}

	/** The open socket of a port and extension, if there is one (`vxlan_find_sock`). */
	static find(underlay: Underlay, port: number, gbp: boolean): VxlanSocket | undefined {
		const open = underlay.tunnel(port);
		return open instanceof VxlanSocket && open.gbp === gbp ? open : undefined;
	}

	/** The socket of a port, opened when first needed. Throws `NetError` EADDRINUSE when another socket has it. */
	static of(underlay: Underlay, port: number, gbp: boolean): VxlanSocket {
		const open = VxlanSocket.find(underlay, port, gbp);
		if (open !== undefined) return open;
		const socket = new VxlanSocket(underlay, port, gbp);
		underlay.openTunnel(port, socket);
		return socket;
	}

	/** The device of a VNI. */
	device(vni: number): VxlanDevice | undefined {
		return this.#devices.get(vni);
	}

	/** A device comes up. The first with its group and lower device joins the group for all (`vxlan_open`). */
	add(device: VxlanDevice): void {
		if (device.group !== undefined && device.dev !== undefined && !this.#uses(device.group, device.dev)) {
			this.underlay.joinGroup(device.group, device.dev);
		}
		this.#devices.set(device.vni, device);
	}

	/** A device goes down; the last one of a group leaves it, the last of all closes the port (`vxlan_stop`). */
	remove(device: VxlanDevice): void {
		if (this.#devices.get(device.vni) !== device) return;
		this.#devices.delete(device.vni);
		if (device.group !== undefined && device.dev !== undefined && !this.#uses(device.group, device.dev)) {
			this.underlay.leaveGroup(device.group, device.dev);
		}
		if (this.#devices.size === 0) this.underlay.closeTunnel(this.port);
	}

	#uses(group: Ip4, dev: Device): boolean {
		return [...this.#devices.values()].some((each) => each.group === group && each.dev === dev);
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
