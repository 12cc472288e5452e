import {
	ANY_IP4,
	BROADCAST_IP4,
	formatIp4,
	type Ip4,
	type Mac,
	type Prefix4,
	toPrefix4,
} from "../addr/index.ts";
import type { DropReason } from "../drop.ts";
import { NetError } from "../errors.ts";
import {
	BRIDGING,
	type Device,
	type DeviceOwner,
	Loopback,
	NEIGHBOUR_NOT_VALID,
	NO_NEIGHBOUR,
	stripPriorityTags,
	type TunnelHeader,
	type TunnelReceiver,
	type Underlay,
	type VxlanDevice,
	type World,
} from "../link/index.ts";
import type { Jiffies, Nanoseconds, Timer } from "../sim/index.ts";
import { ethernet, type Frame, ipv4 } from "../wire/index.ts";
import {
	DEVICE_CONF,
	type DeviceConf,
	type InDevice,
	NEIGHBOUR_CONF,
	type NeighbourConf,
	SCOPE,
} from "./in-device.ts";
import { type IcmpError } from "./ipv4/icmp.ts";
import { Igmp, IGMP_CONF, type IgmpConf } from "./ipv4/igmp.ts";
import { Ipv4 } from "./ipv4/ipv4.ts";
import type { Kernel } from "./kernel.ts";
import { Arp } from "./neighbour/arp.ts";
import { Addresses } from "./addresses.ts";
import { Devices } from "./devices.ts";
import type { Generation } from "./generation.ts";
import { OutputRoutes } from "./output-routes.ts";
import { isConnected, isValid } from "./neighbour/state.ts";
import { IpvsCommands } from "./ipvs/index.ts";
import { BridgeNetfilter } from "./netfilter/bridge-netfilter.ts";
import { Hooks } from "./netfilter/hooks.ts";
import type { KnownWays } from "./netfilter/known-ways/known-ways.ts";
import type { Netfilter } from "./netfilter/netfilter.ts";
import { type NeighbourHost, NeighbourTable } from "./neighbour/table.ts";
import { PacketSockets } from "./packet-socket.ts";
import { Pings } from "./ping-socket.ts";
import { RawSockets } from "./raw-socket.ts";
import { Fib, Route } from "./route.ts";
import { Rules } from "./rules.ts";
import { Tcp } from "./tcp/connections.ts";
import { hashFrame, sendTunnel } from "./tunnel.ts";
import { Udp } from "./udp.ts";
import { Xfrm } from "./xfrm/xfrm.ts";

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const IGMP = 2;
const ESP = 50;
/** `ip_local_port_range` as Linux has it, the end excluded. */
const LOCAL_PORTS: readonly [number, number] = [32_768, 60_999];

/** Takes the packets of one IP protocol; the frame starts at its IPv4 header and is the handler's. */
export type ProtocolHandler = (frame: Frame, inDevice: InDevice) => void;

/**
 * A network namespace: devices, addresses, routes, neighbours, sockets.
 *
 *     device.receive → receive ┬─ ARP   neighbour/arp
 *                              ├─ IPv4  ipv4/ipv4 → deliver → icmp, udp, tunnel …
 *                              └─ packet sockets see a copy first
 *
 * Everything here has a twin in `ip`, `bridge` or `sysctl`, named where it differs.
 */
export class Namespace implements DeviceOwner, Underlay, NeighbourHost, Generation {
	readonly name: string;
	readonly kernel: Kernel;
	/** Changes with devices, routes, addresses, settings, rules and hooks: what was decided before may be wrong. */
	generation = 0;
	readonly loopback: Loopback;
	/** False for one that `ip netns` does not list: made by a program, with no name in /var/run/netns. */
	named = true;
	/** It was deleted, or its machine lost power: its number is free in other namespaces. */
	gone = false;
	/** `ip route show table main`. */
	readonly fib: Fib = new Fib(this);
	/** `ip route show table local`. */
	readonly localFib: Fib = new Fib(this);
	/** The way of packets to everyone on a link. */
	readonly broadcastRoute: Route;
	readonly ipv4: Ipv4;
	readonly arp: Arp;
	/** Where netfilter and others look at its IPv4 packets. */
	readonly hooks: Hooks = new Hooks(this);
	/** The ways of established flows through the hooks; null while no connections are tracked. */
	ways: KnownWays | null = null;
	/** Tables and connection tracking, once somebody asked for them. */
	protected filtering: Netfilter | undefined;
	/** `net.ipv4.conf.all`. */
	confAll: DeviceConf = DEVICE_CONF;
	/** `net.ipv4.conf.default`: what a new device gets. */
	confDefault: DeviceConf = DEVICE_CONF;
	/** `net.ipv4.neigh.default`. */
	neighDefault: NeighbourConf = NEIGHBOUR_CONF;
	/** `net.ipv4.igmp_*`. */
	igmpConf: IgmpConf = IGMP_CONF;
	/** `net.ipv4.ip_local_port_range`, the end excluded as flow hashing has it. */
	localPortRange: readonly [number, number] = LOCAL_PORTS;

	#vxlans: Set<VxlanDevice> | undefined;
	/** `ip rule` and tables beside `main` and `local`; null while nobody made any, and only those two are asked. */
	rules: Rules | null = null;
	/** IPsec; null while there is neither a state nor a policy, so that packets pay one comparison for it. */
	ipsec: Xfrm | null = null;

	readonly #devices: Devices;
	// Made when first needed.
	#proxyNeighbours: Set<string> | undefined;
	#tunnels: Map<number, TunnelReceiver> | undefined;
	#protocols: Map<number, ProtocolHandler> | undefined;
	#udpPorts: Udp | undefined;
	#pings: Pings | undefined;
	#tcp: Tcp | undefined;
	#packets: PacketSockets | undefined;
	#ipvs: IpvsCommands | undefined;
	#raws: RawSockets | undefined;
	#bridgeFilter: BridgeNetfilter | undefined;
	readonly #addresses: Addresses;
	readonly #outputRoutes: OutputRoutes;

	constructor(kernel: Kernel, name: string) {
		this.kernel = kernel;
		this.name = name;
		this.#addresses = new Addresses(this);
		this.#devices = new Devices(this, this.#addresses);
		this.#outputRoutes = new OutputRoutes(this);
		this.ipv4 = new Ipv4(this);
		this.arp = new Arp(this);
		this.loopback = new Loopback(kernel.world, this);
		this.broadcastRoute = new Route({ network: BROADCAST_IP4, length: 32, type: "broadcast", device: null });
		this.adopt(this.loopback, "lo");
		this.loopback.up();
	}

	/** The VXLAN devices whose underlay it is. */
	get vxlans(): Set<VxlanDevice> {
		return (this.#vxlans ??= new Set());
	}

	/** UDP ports and sockets. */
	get udpPorts(): Udp {
		return (this.#udpPorts ??= new Udp(this));
	}

	/** TCP connections and listeners. */
	get tcp(): Tcp {
		return (this.#tcp ??= new Tcp(this));
	}

	/** Ping sockets. */
	get pings(): Pings {
		return (this.#pings ??= new Pings(this));
	}

	/** Packet sockets. */
	get packets(): PacketSockets {
		return (this.#packets ??= new PacketSockets(this));
	}

	/** The IP virtual server; its module is loaded when it is first asked for. */
	get ipvs(): IpvsCommands {
		return (this.#ipvs ??= new IpvsCommands(this, () => this.filtering?.trackedBy));
	}

	/** What br_netfilter does here; null while the machine has not loaded it. */
	get bridgeFilter(): BridgeNetfilter | null {
		return this.kernel.hasBridgeNetfilter ? (this.#bridgeFilter ??= new BridgeNetfilter(this)) : null;
	}

	/** Raw sockets. */
	get raws(): RawSockets {
		return (this.#raws ??= new RawSockets(this));
	}

	/** Handlers for IP protocols beside ICMP and UDP, by number. */
	get protocols(): Map<number, ProtocolHandler> {
		return (this.#protocols ??= new Map<number, ProtocolHandler>());
	}

	get paused(): boolean {
		return !this.kernel.power.on;
	}

	/** What all devices of the lab share. */
	get world(): World {
		return this.kernel.world;
	}

	/** Says that a setting changed which decisions were made by. */
	settingsChanged(): void {
		this.#devices.settingsChanged();
	}

	/**
	 * The programs in it end, as when a container is stopped: the kernel closes their sockets, and what TCP still has to say
	 * is said while there are devices to say it by.
	 */
	endPrograms(): void {
		this.#tcp?.closeAll();
		this.#udpPorts?.closeAll();
		for (const sockets of [this.#pings, this.#raws, this.#packets]) sockets?.closeAll();
	}

	/** What has been sent by its devices is behind them, as on a machine whose next command comes a moment later. */
	flush(): void {
		for (const device of this.#devices.all) device.flush();
	}

	/**
	 * It is no more, as when its machine loses power: sockets and connections go without a word, and with them what its stack
	 * was told and has learned: rules, flows, servers, neighbours. Devices, addresses and routes are others' to take away.
	 */
	purge(): void {
		this.#tcp?.purge();
		this.endPrograms();
		this.filtering?.clear();
		this.#ipvs?.flush();
		this.rules = null;
		this.ipsec = null;
		this.ipv4.pathMtus.flush();
		this.ipv4.redirects?.flush();
		for (const { neighbours } of this.#devices.states()) neighbours?.clear();
	}

	// ── devices ───────────────────────────────────────────────────────────────────────────────────

	/** All devices, in the order of their interface numbers (`ip link`). */
	get devices(): readonly Device[] {
		return this.#devices.all;
	}

	/** All devices, first come first, as some lists have them (`for_each_netdev`). */
	get devicesByArrival(): readonly Device[] {
		return this.#devices.byArrival;
	}

	/** The device of a name. Throws `NetError` ENODEV. */
	device(name: string): Device {
		return this.#devices.named(name);
	}

	/** Whether a device has the name. */
	hasDevice(name: string): boolean {
		return this.#devices.has(name);
	}

	/** Throws `NetError` EEXIST when a device has the name. */
	checkFree(name: string): void {
		this.#devices.checkFree(name);
	}

	/** Takes a device in under a name, with the next interface number unless it has one. */
	adopt(device: Device, name: string, index?: number): void {
		this.#devices.adopt(device, name, index);
	}

	/** `ip link set … name …`; the device must be down, as before kernel 6.2. Throws `NetError` EBUSY, EEXIST. */
	rename(device: Device, name: string): void {
		this.#devices.rename(device, name);
	}

	/** `ip link set … netns …`: the device arrives down, without addresses, under `name` or its own. */
	move(device: Device, to: Namespace, name: string = device.name): void {
		this.#devices.move(device, to.#devices, name);
	}

	deviceGone(device: Device): void {
		this.#devices.forget(device);
	}

	deviceChanged(device: Device): void {
		if (!device.isUp && this.#devices.state(device) !== undefined) this.filtering?.deviceDown(device);
		this.#devices.changed(device);
	}

	linkAddressChanged(device: Device): void {
		this.#devices.state(device)?.neighbours?.clear();
	}

	/** IPv4 state of a device of this namespace. */
	inDevice(device: Device): InDevice | undefined {
		return this.#devices.state(device);
	}

	/** IPv4 states of all devices, by interface number. */
	get inDevices(): readonly InDevice[] {
		return [...this.#devices.states()];
	}

	/** A gratuitous ARP request: "I have this address" (`arping -U`, `arp_notify`). */
	announce(inDevice: InDevice, address: Ip4): void {
		const { device } = inDevice;
		const to = ethernet.BROADCAST;
		const mac = device.mac;
		this.arp.send(device, {
			to,
			operation: 1,
			senderMac: mac,
			senderIp: address,
			targetMac: mac,
			targetIp: address,
		});
	}

	// ── addresses ─────────────────────────────────────────────────────────────────────────────────

	addAddress(device: Device, address: string | Prefix4): void {
		this.#addresses.add(device, toPrefix4(address, "address"));
	}

	removeAddress(device: Device, address: string | Prefix4): void {
		const prefix = toPrefix4(address, "address");
		this.#addresses.remove(device, prefix);
		this.filtering?.addressGone(device, prefix.address);
	}

	/** True for an address of any device here: the weak host model. */
	isOwnAddress(address: Ip4): boolean {
		return this.localFib.lookup(address)?.type === "local";
	}

	reach(address: Ip4, device: Device | null): number {
		const route = device === null ? this.route(address) : this.routeBy(device, address);
		if (route === undefined) return 0;
		return route.type === "local" ? -1 : this.ipv4.mtuOf(route, address);
	}

	sendPacket(frame: Frame, device: Device): void {
		const route = this.#outputRoutes.by(device, ipv4.destination(frame.view, frame.start));
		if (route === undefined) return device.dropOut(frame, "dev-down");
		if (route.type === "broadcast") return device.dropOut(frame, "ip-broadcast", route.text);
		if (route.type !== "unicast" && route.type !== "local")
			return device.dropOut(frame, "ip-unreachable-route", route.text);
		this.ipv4.output(frame, route);
	}

	tooLong(frame: Frame, mtu: number): void {
		this.ipv4.pathMtus.learn(ipv4.destination(frame.view, frame.start + ethernet.OCTETS), mtu);
	}

	/** True for 255.255.255.255 and the broadcast addresses of subnets here. */
	isBroadcast(address: Ip4): boolean {
		return address === BROADCAST_IP4 || this.localFib.lookup(address)?.type === "broadcast";
	}

	/** True when the address is in a subnet of the device. */
	isOnLink(inDevice: InDevice, address: Ip4): boolean {
		const route = this.fib.lookup(address);
		return route?.device === inDevice.device && route.via === 0;
	}

	/** The address to speak to a destination with, by a device: its own, else any of this namespace (`inet_select_addr`). */
	selectSource(inDevice: InDevice, destination: Ip4, most: "global" | "link" | "host"): Ip4 {
		const own = inDevice.selectSource(destination, most);
		if (own !== ANY_IP4) return own;
		for (const other of this.#devices.states()) {
			for (const { prefix, scope, secondary } of other.addresses) {
				if (!secondary && SCOPE[scope] <= SCOPE[most] && scope !== "link") return prefix.address;
			}
		}
		return ANY_IP4;
	}

	/** The source address of packets by a route. */
	sourceFor(route: Route, destination: Ip4): Ip4 {
		if (route.source !== ANY_IP4) return route.source;
		const inDevice = route.device === null ? undefined : this.#devices.state(route.device);
		return inDevice === undefined
			? ANY_IP4
			: this.selectSource(inDevice, route.via === 0 ? destination : route.via, "global");
	}

	// ── routes and neighbours ─────────────────────────────────────────────────────────────────────

	/**
	 * The route of a packet of this host. Own addresses are reached by loopback. Source and mark matter where there
	 * are rules.
	 */
	route(destination: Ip4, source: Ip4 = ANY_IP4, mark = 0): Route | undefined {
		return this.#outputRoutes.find(destination, source, mark);
	}

	/** The rules, made on demand: from then on packets ask them. */
	policyRouting(): Rules {
		return (this.rules ??= new Rules(this.localFib, this.fib, this.loopback, this));
	}

	/** All routing tables that there are. */
	get tables(): readonly Fib[] {
		return this.rules === null ? [this.localFib, this.fib] : [...this.rules.tables.values()];
	}

	/** The route of a packet of this host that has to leave by `device`; `loop`, see `Route.loop`. */
	routeBy(device: Device, destination: Ip4, loop?: boolean): Route | undefined {
		return this.#outputRoutes.by(device, destination, loop);
	}

	/** The neighbour table of a device. */
	neighbours(inDevice: InDevice): NeighbourTable {
		return (inDevice.neighbours ??= new NeighbourTable(inDevice, this.kernel, this));
	}

	/** The multicast groups of a device. */
	igmp(inDevice: InDevice): Igmp {
		return (inDevice.igmp ??= new Igmp(this, inDevice));
	}

	neighbourMac(device: Device, address: Ip4, fit: "connected" | "valid"): number {
		const facts = this.#devices.state(device)?.neighbours?.get(address)?.facts;
		if (facts === undefined) return NO_NEIGHBOUR;
		const fits = fit === "connected" ? isConnected(facts.state) : isValid(facts.state);
		return fits && facts.mac !== undefined ? facts.mac : NEIGHBOUR_NOT_VALID;
	}

	sourceOf(device: Device): Ip4 {
		const inDevice = this.#devices.state(device);
		return inDevice === undefined ? ANY_IP4 : this.selectSource(inDevice, ANY_IP4, "link");
	}

	hasAddress(device: Device, address: Ip4): boolean {
		return this.#devices.state(device)?.addresses.some(({ prefix }) => prefix.address === address) === true;
	}

	get jiffies(): Jiffies {
		return this.kernel.jiffies;
	}

	/** `ip neigh add proxy ADDRESS dev DEVICE`. */
	addProxyNeighbour(device: Device, address: Ip4): void {
		(this.#proxyNeighbours ??= new Set<string>()).add(`${device.name} ${formatIp4(address)}`);
	}

	/** `ip neigh del proxy ADDRESS dev DEVICE`. */
	delProxyNeighbour(device: Device, address: Ip4): void {
		this.#proxyNeighbours?.delete(`${device.name} ${formatIp4(address)}`);
	}

	/** Whether ARP for the address is answered on the device by `ip neigh add proxy`. */
	isProxyNeighbour(inDevice: InDevice, address: Ip4): boolean {
		return this.#proxyNeighbours?.has(`${inDevice.device.name} ${formatIp4(address)}`) === true;
	}

	mapped(inDevice: InDevice, ip: Ip4): Mac | undefined {
		return this.arp.mapped(inDevice, ip);
	}

	solicit(inDevice: InDevice, target: Ip4, to: Mac | undefined, forPacket: Frame | undefined): void {
		this.arp.solicit(inDevice, target, to, forPacket);
	}

	unreachable(frame: Frame, inDevice: InDevice): void {
		this.ipv4.icmp.tell(frame, inDevice, 3, 1, 0);
		inDevice.device.dropOut(frame, "neigh-failed", formatIp4(ipv4.destination(frame.view, frame.start)));
	}

	// ── frames in ─────────────────────────────────────────────────────────────────────────────────

	/** A frame came up from a device. Takes the frame. */
	receive(frame: Frame, inDevice: InDevice): void {
		const { view, start } = frame;
		const { device } = inDevice;
		if (this.#packets !== undefined) this.#packets.see(frame, device);
		const high = ethernet.dstHigh(view, start);
		const low = ethernet.dstLow(view, start);
		const forUs =
			(high & 0x0100) !== 0 ||
			(high === device.macHigh && low === device.macLow) ||
			device.isOwnAddress(high, low) ||
			(frame.bridging & BRIDGING.forHost) !== 0;
		if (!forUs) return device.dropIn(frame, "otherhost");
		this.#handle(frame, inDevice, ethernet.type(view, start));
	}

	#handle(frame: Frame, inDevice: InDevice, type: number): void {
		const { device } = inDevice;
		switch (type) {
			case ethernet.TYPE_IPV4:
				return this.ipv4.receive(frame, inDevice);
			case ethernet.TYPE_ARP:
				return this.arp.receive(frame, inDevice);
			case ethernet.TYPE_VLAN:
			case ethernet.TYPE_SERVICE_VLAN:
				if (stripPriorityTags(frame, device))
					this.#handle(frame, inDevice, ethernet.type(frame.view, frame.start));
				return;
			default:
				return device.dropIn(frame, "unhandled-proto");
		}
	}

	/** Whether a packet that reached another namespace's stack is for a device here (ipvlan l3s). */
	claimsPacket(frame: Frame, inDevice: InDevice): boolean {
		return this.ipv4.claimsPacket(frame, inDevice);
	}

	/** A packet claimed before passed the other namespace's INPUT; none of the hooks here see it. Takes the frame. */
	receivePacket(frame: Frame, inDevice: InDevice): void {
		const { device } = inDevice;
		device.rxPackets++;
		device.rxBytes += frame.length + ethernet.OCTETS;
		this.deliver(frame, inDevice, ipv4.protocol(frame.view, frame.start));
	}

	/** A whole packet for this host, to whoever handles its protocol. Takes the frame. */
	deliver(frame: Frame, inDevice: InDevice, protocol: number): void {
		if (this.ipsec !== null && protocol !== ESP && !this.ipsec.permits(frame, inDevice, "in")) return;
		const raw = this.#raws !== undefined && this.#raws.see(frame, inDevice.device, protocol);
		if (protocol === UDP) return this.udpPorts.receive(frame, inDevice);
		if (protocol === ICMP) return this.ipv4.icmp.receive(frame, inDevice);
		if (protocol === IGMP) return this.igmp(inDevice).receive(frame);
		const handler = this.#protocols?.get(protocol);
		if (handler !== undefined) return handler(frame, inDevice);
		if (protocol === TCP) return this.tcp.receive(frame, inDevice);
		if (protocol === ESP && this.kernel.hasEsp) return (this.ipsec ??= new Xfrm(this)).input(frame, inDevice);
		if (raw) return frame.release();
		this.ipv4.icmp.tell(frame, inDevice, 3, 2, 0);
		inDevice.device.dropIn(frame, "ip-noproto", `protocol ${String(protocol)}`);
	}

	/** What somebody says about a packet of ours. `transport` is where its quoted transport header starts. */
	icmpError(error: IcmpError, frame: Frame, transport: number): void {
		this.#raws?.error(error);
		if (error.protocol === UDP) this.udpPorts.error(error, frame.view, transport);
		else if (error.protocol === TCP) this.#tcp?.error(error, frame.view, transport);
		else if (error.protocol === ICMP) this.pings.error(error, frame.view, transport);
	}

	/** Ends a packet that found no way out. Takes the frame. */
	dropOut(frame: Frame, route: Route, reason: DropReason, detail?: string): void {
		(route.device ?? this.loopback).dropOut(frame, reason, detail);
	}

	/** A copy of what this host says to a group it is in comes back to it; it starts at its IPv4 header. Takes the frame. */
	loopBack(frame: Frame, inDevice: InDevice): void {
		// Its way was decided when it was sent: nobody asks whether an own address may come in.
		this.ipv4.deliver(frame, inDevice);
	}

	// ── underlay of tunnels ───────────────────────────────────────────────────────────────────────

	tunnel(port: number): TunnelReceiver | undefined {
		return this.#tunnels?.get(port);
	}

	openTunnel(port: number, receiver: TunnelReceiver): void {
		this.udpPorts.claim(port);
		(this.#tunnels ??= new Map<number, TunnelReceiver>()).set(port, receiver);
	}

	/** Closes a tunnel's port. */
	closeTunnel(port: number): void {
		this.#tunnels?.delete(port);
		this.udpPorts.free(port);
	}

	lowerDevice(device: Device | string): Device {
		if (typeof device === "string") return this.device(device);
		if (this.#devices.state(device) !== undefined) return device;
		throw new NetError("ENODEV", "Error: Invalid local interface, device not found.", {
			context: { namespace: this.name, device: device.place },
		});
	}

	joinGroup(group: Ip4, device: Device): void {
		const inDevice = this.#devices.state(device);
		if (inDevice !== undefined) this.igmp(inDevice).join(group);
	}

	leaveGroup(group: Ip4, device: Device): void {
		this.#devices.state(device)?.igmp?.leave(group);
	}

	arm(timer: Timer, delay: Nanoseconds): void {
		this.kernel.arm(timer, delay);
	}

	flowHash(frame: Frame): number {
		return frame.flowHash !== 0 ? frame.flowHash : (frame.flowHash = hashFrame(this.kernel, frame));
	}

	sendTunnel(frame: Frame, header: TunnelHeader): void {
		sendTunnel(this, frame, header);
	}

	/** Ends a frame that no device is to blame for. Takes the frame. */
	drop(frame: Frame, reason: DropReason, detail?: string): void {
		this.world.drop(frame, reason, this, detail);
	}

	/** Where drops happen that no device is to blame for. */
	get place(): string {
		return this.name;
	}
}
