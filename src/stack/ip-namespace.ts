import type { Operation } from "../sim/index.ts";
import type { Mac } from "../addr/index.ts";
import { toMac } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import {
	Bridge,
	type BridgeOptions,
	type Device,
	Dummy,
	IpvlanDevice,
	type IpvlanOptions,
	MacvlanDevice,
	type MacvlanOptions,
	Nic,
	Veth,
	VlanDevice,
	type VlanOptions,
	VxlanDevice,
	type VxlanOptions,
} from "../link/index.ts";
import { ipvsadm } from "./ipvs/index.ts";
import type { Kernel } from "./kernel.ts";
import { LinkCommands } from "./links.ts";
import { Namespace } from "./namespace.ts";
import { NeighbourCommands } from "./neighbour/commands.ts";
import { Iptables } from "./netfilter/iptables/iptables.ts";
import { Netfilter } from "./netfilter/netfilter.ts";
import { type PacketSocket, type PacketSocketOptions } from "./packet-socket.ts";
import { type RawOptions, type RawSocket } from "./raw-socket.ts";
import { RouteCommands } from "./route-commands.ts";
import { RuleCommands } from "./rule-commands.ts";
import { Sysctl } from "./sysctl.ts";
import { Brctl } from "./tools/brctl.ts";
import { BridgeTool } from "./tools/bridge.ts";
import { TcCommands } from "./tc.ts";
import { ConntrackTool } from "./tools/conntrack.ts";
import { ss } from "./tools/ss.ts";
import { type ConnectOptions, type ListenOptions, TcpServer, TcpStream } from "./tcp/index.ts";
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
	/** Files that programs here read, by path: /etc/resolv.conf, /etc/hosts. */
	get files(): Map<string, string> {
		return (this.#files ??= new Map());
	}

	// Made when first needed: most namespaces see few of these commands.
	#files: Map<string, string> | undefined;
	#routes: RouteCommands | undefined;
	#rule: RuleCommands | undefined;
	#neigh: NeighbourCommands | undefined;
	#xfrm: XfrmCommands | undefined;
	#sysctl: Sysctl | undefined;
	#bridgeTool: BridgeTool | undefined;
	#brctl: Brctl | undefined;
	#links: LinkCommands | undefined;
	#tc: TcCommands | undefined;

	#iptables: Iptables | undefined;
	#conntrack: ConntrackTool | undefined;

	constructor(kernel: Kernel, name: string) {
		super(kernel, name);
		this.loopback.addAddress("127.0.0.1/8");
	}

	/** `ip route …`. */
	get routes(): RouteCommands {
		return (this.#routes ??= new RouteCommands(this));
	}

	/** `ip rule …`. */
	get rule(): RuleCommands {
		return (this.#rule ??= new RuleCommands(this));
	}

	/** `ip neigh …`. */
	get neigh(): NeighbourCommands {
		return (this.#neigh ??= new NeighbourCommands(this));
	}

	/** `ip xfrm …`. */
	get xfrm(): XfrmCommands {
		return (this.#xfrm ??= new XfrmCommands(this));
	}

	/** `sysctl`. */
	get sysctl(): Sysctl {
		return (this.#sysctl ??= new Sysctl(this, {
			conntrack: () => this.netfilter.conntrackConf,
			ipvs: () => this.ipvs.settings,
		}));
	}

	/** `bridge … show`. */
	get bridgeTool(): BridgeTool {
		return (this.#bridgeTool ??= new BridgeTool(this));
	}

	/** `brctl show…`. */
	get brctl(): Brctl {
		return (this.#brctl ??= new Brctl(this));
	}

	/** `ip link set … netns …`, as `Namespace.move`. Who listens here is told by a number where it went. */
	override move(device: Device, to: Namespace, name: string = device.name): void {
		super.move(device, to, name);
		this.links.netnsid(to);
	}

	/** `ip link show`. */
	get links(): LinkCommands {
		return (this.#links ??= new LinkCommands(this));
	}

	/** `tc qdisc …`. */
	get tc(): TcCommands {
		return (this.#tc ??= new TcCommands(this));
	}

	/** Connection tracking, address translation and tables; made when first needed. */
	get netfilter(): Netfilter {
		if (this.filtering !== undefined) return this.filtering;
		this.filtering = new Netfilter(this);
		this.filtering.predicates.ipvs = (frame) => frame.ipvs;
		return this.filtering;
	}

	/** `iptables` with its relatives, and rules as objects. */
	get iptablesTool(): Iptables {
		return (this.#iptables ??= new Iptables(this.netfilter));
	}

	/**
	 * `iptables …`: `ns.iptables("-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")`. Returns what it
	 * prints. Throws `NetError` in iptables' words; nothing is changed then.
	 */
	iptables(command: string | readonly string[]): string {
		return this.iptablesTool.run(command);
	}

	/** `conntrack`. */
	get conntrack(): ConntrackTool {
		return (this.#conntrack ??= new ConntrackTool(this.netfilter));
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
	 * `ip link add link LOWER name LOWER.ID type vlan id ID`. Throws `NetError` ENODEV, EEXIST, ERANGE, EINVAL,
	 * EOPNOTSUPP for loopback and ipvlan, EMLINK.
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

	/**
	 * `ip link add NAME link LOWER type macvlan mode …`; on a macvlan it is made on that one's parent. Throws
	 * `NetError` ENODEV, EEXIST, EBUSY, EINVAL, EADDRNOTAVAIL.
	 */
	addMacvlan(lower: Device | string, name: string, options: MacvlanOptions = {}): MacvlanDevice {
		const below = typeof lower === "string" ? this.device(lower) : lower;
		this.checkFree(name);
		const mac = options.mac === undefined ? this.kernel.randomMac() : toMac(options.mac, "mac");
		return this.#take(new MacvlanDevice(this.world, this, name, below, mac, options), name);
	}

	/**
	 * `ip link add NAME link LOWER type ipvlan mode …`; on an ipvlan it is made on that one's parent. Throws
	 * `NetError` ENODEV, EEXIST, EBUSY, EINVAL.
	 */
	addIpvlan(lower: Device | string, name: string, options: IpvlanOptions = {}): IpvlanDevice {
		const below = typeof lower === "string" ? this.device(lower) : lower;
		this.checkFree(name);
		return this.#take(new IpvlanDevice(this.world, this, name, below, options), name);
	}

	/** `ip link add NAME type dummy`. Throws `NetError` EEXIST. */
	addDummy(name: string): Dummy {
		this.checkFree(name);
		return this.#take(new Dummy(this.world, this, name, this.kernel.randomMac()), name);
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

	/**
	 * `ipvsadm ARGUMENTS`: what it prints. `input` is what `-R` reads. Throws `NetError` with what it prints when it
	 * fails; nothing has changed then.
	 */
	ipvsadm(line: string, input = ""): string {
		return ipvsadm(this.ipvs, line, input);
	}

	/** `ss ARGUMENTS`: what it prints of this namespace's TCP and UDP sockets. Throws `NetError` for unknown options. */
	ss(line = ""): string {
		return ss(this, line);
	}

	/** Opens a UDP socket. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	udp(options: UdpOptions = {}): UdpSocket {
		return this.udpPorts.open(options);
	}

	/** Opens a raw socket: packets of one IP protocol, for tests and programs of their own. Throws `NetError` EPROTONOSUPPORT, EADDRNOTAVAIL. */
	rawSocket(options: RawOptions): RawSocket {
		return this.raws.open(options);
	}

	/**
	 * Connects by TCP; `hostname` is an address as text. Awaiting it drives the clock until the handshake is done. Rejects
	 * with `NetError` ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, or ECANCELED by the signal.
	 */
	connect({
		hostname,
		signal,
		...options
	}: Omit<ConnectOptions, "address"> & {
		readonly hostname: string;
		readonly signal?: AbortSignal;
	}): Operation<TcpStream> {
		const { driver } = this.kernel;
		return driver.operation<TcpStream>(
			(settle) => {
				try {
					TcpStream.connect(this.tcp, { ...options, address: hostname }, driver, settle, signal);
				} catch (error) {
					settle.reject(error);
				}
			},
			{ what: `connect to ${hostname} port ${String(options.port)} from ${this.name}` },
		);
	}

	/** Listens on a TCP port. Throws `NetError` EADDRINUSE, EADDRNOTAVAIL. */
	listen(options: ListenOptions): TcpServer {
		return new TcpServer(this.tcp.listen(options), this.kernel.driver);
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
