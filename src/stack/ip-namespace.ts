import type { Mac } from "../addr/index.ts";
import { toMac } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import {
	Bridge,
	type BridgeOptions,
	type Device,
	Nic,
	Veth,
	VlanDevice,
	type VlanOptions,
	VxlanDevice,
	type VxlanOptions,
} from "../link/index.ts";
import type { Kernel } from "./kernel.ts";
import { Namespace } from "./namespace.ts";
import { NeighbourCommands } from "./neighbour/commands.ts";
import { type PacketSocket, type PacketSocketOptions } from "./packet-socket.ts";
import { type RawOptions, type RawSocket } from "./raw-socket.ts";
import { RouteCommands } from "./route-commands.ts";
import { RuleCommands } from "./rule-commands.ts";
import { Sysctl } from "./sysctl.ts";
import { Brctl } from "./tools/brctl.ts";
import { BridgeTool } from "./tools/bridge.ts";
import type { UdpOptions, UdpSocket } from "./udp-socket.ts";
import { XfrmCommands } from "./xfrm/commands.ts";

/** One end of a veth pair: where it is, its name, its address if it is not to be random. */
export interface VethEnd {
	readonly ns: IpNamespace;
	readonly name: string;
	readonly mac?: Mac | string;
}

/**
 * A network namespace with the commands of iproute2: everything that creates and configures, each call with
 * its twin in `ip`, `bridge` or `sysctl`. The daemon's layers and users act on the kernel through these.
 */
export class IpNamespace extends Namespace {
	/** `ip route …`. */
	readonly routes: RouteCommands;
	/** `ip rule …`. */
	readonly rule: RuleCommands;
	/** `ip neigh …`. */
	readonly neigh: NeighbourCommands;
	/** `ip xfrm …`. */
	readonly xfrm: XfrmCommands;
	/** `sysctl`. */
	readonly sysctl: Sysctl;
	/** `bridge … show`. */
	readonly bridgeTool: BridgeTool;
	/** `brctl show…`. */
	readonly brctl: Brctl;

	constructor(kernel: Kernel, name: string) {
		super(kernel, name);
		this.routes = new RouteCommands(this);
		this.rule = new RuleCommands(this);
		this.neigh = new NeighbourCommands(this);
		this.xfrm = new XfrmCommands(this);
		this.sysctl = new Sysctl(this);
		this.bridgeTool = new BridgeTool(this);
		this.brctl = new Brctl(this);
		this.loopback.addAddress("127.0.0.1/8");
	}

	/** The bridge of a name. Throws `NetError` ENODEV when the device is none. */
	bridge(name: string): Bridge {
		const device = this.device(name);
		if (device instanceof Bridge) return device;
		throw notOfKind(device, "bridge");
	}

	/** The VXLAN device of a name. Throws `NetError` ENODEV when the device is none. */
	vxlan(name: string): VxlanDevice {
		const device = this.device(name);
		if (device instanceof VxlanDevice) return device;
		throw notOfKind(device, "vxlan");
	}

	/** `ip link add NAME type bridge …`. Throws `NetError` EEXIST, EINVAL. */
	addBridge(name: string, options: BridgeOptions = {}): Bridge {
		this.checkFree(name);
		return this.#take(new Bridge(this.world, this, name, this.kernel.randomMac(), options), name);
	}

	/** `ip link add NAME type vxlan id … `. This namespace stays its underlay. Throws `NetError` EEXIST, EINVAL, EADDRINUSE. */
	addVxlan(name: string, options: VxlanOptions): VxlanDevice {
		this.checkFree(name);
		const mac = options.mac === undefined ? this.kernel.randomMac() : toMac(options.mac, "mac");
		return this.#take(new VxlanDevice(this.world, this, this, name, mac, options), name);
	}

	/**
	 * `ip link add link LOWER name LOWER.ID type vlan id ID`. Throws `NetError` ENODEV, EEXIST, ERANGE.
	 */
	addVlan(
		lower: Device | string,
		id: number,
		options: VlanOptions & { readonly name?: string } = {},
	): VlanDevice {
		const below = typeof lower === "string" ? this.device(lower) : lower;
		const name = options.name ?? `${below.name}.${String(id)}`;
		this.checkFree(name);
		return this.#take(new VlanDevice(this.world, this, name, below, id, options), name);
	}

	/** A physical network card, to be plugged into a cable. Throws `NetError` EEXIST. */
	addNic(name: string, options: { readonly mac?: Mac | string } = {}): Nic {
		this.checkFree(name);
		const mac = options.mac === undefined ? this.kernel.randomMac() : toMac(options.mac, "mac");
		return this.#take(new Nic(this.world, this, name, mac), name);
	}

	#take<T extends Device>(device: T, name: string): T {
		this.adopt(device, name);
		return device;
	}

	/** `ip link add A type veth peer name B`, each end put into its namespace. Throws `NetError` EEXIST. */
	static addVethPair(a: VethEnd, b: VethEnd): [Veth, Veth] {
		a.ns.checkFree(a.name);
		b.ns.checkFree(b.name);
		const end = ({ ns, name, mac }: VethEnd): Veth =>
			new Veth(ns.world, ns, name, mac === undefined ? ns.kernel.randomMac() : toMac(mac, "mac"));
		const [first, second] = [end(a), end(b)];
		a.ns.adopt(first, a.name);
		try {
			b.ns.adopt(second, b.name);
		} catch (error) {
			// Both ends had the same name in the same namespace: nothing is left behind.
			first.delete();
			throw error;
		}
		Veth.pair(first, second);
		return [first, second];
	}

	/** Opens a UDP socket. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	udp(options: UdpOptions = {}): UdpSocket {
		return this.udpPorts.open(options);
	}

	/** Opens a raw socket: packets of one IP protocol, for tests and programs of their own. Throws `NetError` EPROTONOSUPPORT, EADDRNOTAVAIL. */
	rawSocket(options: RawOptions): RawSocket {
		return this.raws.open(options);
	}

	/** Opens a packet socket: whole frames, for programs such as arping and for tests. */
	packetSocket(options: PacketSocketOptions = {}): PacketSocket {
		return this.packets.open(options);
	}
}

const notOfKind = (device: Device, kind: string): NetError =>
	new NetError("ENODEV", `Cannot find device "${device.name}"`, {
		remedy: `${device.place} is there, but it is a ${device.kind} and no ${kind}.`,
		context: { device: device.place, kind: device.kind },
	});
