import {
	ANY_IP4,
	formatIp4,
	formatMac,
	type Ip4,
	isLoopbackIp4,
	isMulticastIp4,
	isMulticastMac,
	type Mac,
	toIp4,
	toMac,
	toPort,
	type Vni,
	ZERO_MAC,
} from "../addr/index.ts";
import { NetError } from "../errors.ts";
import { type Lane, parseDuration, seconds, type Sink } from "../sim/index.ts";
import { arp, ethernet, type Frame, ipv4, udp, vxlan } from "../wire/index.ts";
import { Device, type DeviceOwner, NEIGHBOUR_NOT_VALID, NO_NEIGHBOUR } from "./device.ts";
import { macHigh, macLow } from "./mac-table.ts";
import type { TunnelHeader, Underlay } from "./underlay.ts";
import { type Remote, VxlanFdb } from "./vxlan-fdb.ts";
import type { RemoteOptions, VxlanMiss, VxlanOptions } from "./vxlan-options.ts";
import { VxlanSocket } from "./vxlan-socket.ts";
import type { World } from "./world.ts";

/** IANA's port (RFC 7348 §5); the kernel's own default, 8472, is older than the assignment. */
export const VXLAN_PORT = 4789;
const AGEING = seconds(300);
const ETH_DATA_LEN = 1500;
/** Octets of the headers around an inner packet: IPv4, UDP, VXLAN, Ethernet. */
const OVERHEAD = ipv4.MIN_OCTETS + udp.OCTETS + vxlan.OCTETS + ethernet.OCTETS;
const MOST_VNI = 0xff_ffff;

/**
 * A VXLAN tunnel end point (VTEP): Ethernet frames in UDP packets to other VTEPs.
 *
 *     from the bridge: transmit → tap → send ┬─ ARP and `proxy`: answered here or swallowed
 *                                            └─ entry of the MAC → header → underlay.sendTunnel
 *     from the underlay: VxlanSocket → receiveTunnel → learn → receive → tap → bridge
 *
 * The underlay is the namespace the device was created in, wherever it is moved later.
 * Reference: RFC 7348; drivers/net/vxlan/vxlan_core.c.
 */
export class VxlanDevice extends Device implements Sink<Frame> {
	override readonly kind = "vxlan";
	readonly vni: Vni;
	readonly port: number;
	readonly underlay: Underlay;
	readonly fdb: VxlanFdb;
	readonly options: VxlanOptions;
	/** Called with each miss when `l2miss` or `l3miss` is on. */
	readonly missListeners: ((miss: VxlanMiss) => void)[] = [];

	readonly #socket: VxlanSocket;
	readonly #replies: Lane;
	readonly #learning: boolean;
	readonly #proxy: boolean;
	readonly #ttl: number;
	readonly #ttlInherit: boolean;
	readonly #tos: number;
	readonly #tosInherit: boolean;
	readonly #df: "unset" | "set" | "inherit";
	readonly #firstSourcePort: number;
	readonly #sourcePortCount: number;
	/** Reused for every packet: what differs is filled in before each call. */
	readonly #header: TunnelHeader;

	constructor(
		world: World,
		owner: DeviceOwner,
		underlay: Underlay,
		name: string,
		mac: Mac,
		options: VxlanOptions,
	) {
		super(world, owner, name, mac, ETH_DATA_LEN);
		this.vni = checkVni(options.vni);
		this.port = options.port === undefined ? VXLAN_PORT : toPort(options.port, "port");
		this.underlay = underlay;
		this.options = options;
		this.fdb = new VxlanFdb(
			world.scheduler,
			options.ageing === undefined ? AGEING : parseDuration(options.ageing, "ageing"),
		);
		this.#replies = world.scheduler.lane(0);
		this.#learning = options.learning ?? true;
		this.#proxy = options.proxy ?? false;
		this.#ttl = typeof options.ttl === "number" ? checkOctet(options.ttl, "ttl") : 0;
		this.#ttlInherit = options.ttl === "inherit";
		this.#tos = typeof options.tos === "number" ? checkOctet(options.tos, "tos") : 0;
		this.#tosInherit = options.tos === "inherit";
		this.#df = options.df ?? "unset";
		const [low, high] = options.sourcePorts ?? underlay.localPortRange;
		this.#firstSourcePort = low;
		this.#sourcePortCount = high - low;
		const local = options.local === undefined ? ANY_IP4 : toIp4(options.local, "local");
		const remote = options.remote === undefined ? undefined : this.#remote({ dst: options.remote });
		this.#header = {
			source: local,
			destination: ANY_IP4,
			sourcePort: 0,
			destinationPort: this.port,
			ttl: 0,
			tos: 0,
			dontFragment: false,
			checksum: options.udpChecksum ?? true,
		};
		if (options.mtu !== undefined) this.setMtu(options.mtu);
		const open = underlay.tunnel(this.port);
		if (open instanceof VxlanSocket && open.device(this.vni) !== undefined)
			throw vniTaken(this.vni, this.port);
		this.#socket = VxlanSocket.of(underlay, this.port);
		this.#socket.join(this);
		if (remote !== undefined) this.fdb.append(ZERO_MAC, remote);
	}

	/** `bridge fdb append MAC dev … dst …`: one more remote for an address; `"default"` is all zeros. */
	appendFdb(mac: Mac | string, to: RemoteOptions): void {
		this.fdb.append(fdbAddress(mac), this.#remote(to));
	}

	/** `bridge fdb add MAC dev … dst …`. Throws `NetError` EEXIST. */
	addFdb(mac: Mac | string, to: RemoteOptions): void {
		this.fdb.add(fdbAddress(mac), this.#remote(to));
	}

	/** `bridge fdb replace MAC dev … dst …`. */
	replaceFdb(mac: Mac | string, to: RemoteOptions): void {
		this.fdb.replace(fdbAddress(mac), this.#remote(to));
	}

	/** `bridge fdb del MAC dev … [dst …]`. Throws `NetError` ENOENT. */
	delFdb(mac: Mac | string, to?: { readonly dst: Ip4 | string }): void {
		this.fdb.del(fdbAddress(mac), to === undefined ? undefined : toIp4(to.dst, "dst"));
	}

	#remote(to: RemoteOptions): Remote {
		return {
			ip: toIp4(to.dst, "dst"),
			port: to.port === undefined ? this.port : toPort(to.port, "port"),
			vni: to.vni === undefined ? this.vni : checkVni(to.vni),
		};
	}

	/** Inner frame out (`vxlan_xmit`): answer ARP, or look up the remotes and send one packet to each. */
	protected override send(frame: Frame): void {
		const { view, start } = frame;
		if (this.#proxy && ethernet.type(view, start) === ethernet.TYPE_ARP) return this.#answerArp(frame);
		const high = ethernet.dstHigh(view, start);
		const low = ethernet.dstLow(view, start);
		const entry = this.fdb.lookup(low, high) ?? this.fdb.lookup(0, 0);
		if (entry === undefined) {
			const mac = ethernet.dst(view, start);
			if (this.options.l2miss === true && !isMulticastMac(mac)) {
				this.#miss({ kind: "l2miss", mac, text: `miss dev ${this.name} lladdr ${formatMac(mac)} STALE` });
			}
			return this.dropOut(frame, "vxlan-no-remote", formatMac(mac));
		}
		const remotes = entry.remotes;
		// One packet per remote; the first gets the frame itself, after its copies, as the kernel does it.
		for (let i = 1; i < remotes.length; i++) this.#sendTo(frame.clone(), remotes[i]!);
		this.#sendTo(frame, remotes[0]!);
	}

	/** `vxlan_xmit_one`. Takes the frame. */
	#sendTo(frame: Frame, remote: Remote): void {
		const { underlay } = this;
		if (remote.ip === ANY_IP4) return this.dropOut(frame, "vxlan-no-remote");
		const octets = frame.end - frame.start;
		const header = this.#header;
		const { view, start } = frame;
		const isIp =
			ethernet.type(view, start) === ethernet.TYPE_IPV4 && octets >= ethernet.OCTETS + ipv4.MIN_OCTETS;
		const ip = start + ethernet.OCTETS;
		let ttl = this.#ttl;
		if (this.#ttlInherit) ttl = isIp ? ipv4.ttl(view, ip) : 0;
		else if (ttl === 0 && isMulticastIp4(remote.ip)) ttl = 1;
		const innerTos = isIp ? ipv4.tos(view, ip) : 0;
		header.ttl = ttl;
		header.tos = outerTos(this.#tosInherit ? innerTos : this.#tos, innerTos);
		header.dontFragment =
			this.#df === "set" || (this.#df === "inherit" && isIp && ipv4.dontFragment(view, ip));
		header.destination = remote.ip;
		header.destinationPort = remote.port;
		header.sourcePort = this.#sourcePort(underlay.flowHash(frame));
		if (underlay.isLocalAddress(remote.ip)) return this.#sendToSelf(frame, remote);
		if (isIp && frame.routed) this.#checkPathMtu(frame, remote);
		this.counters.txPackets++;
		this.counters.txBytes += octets;
		const { tunnelListeners } = this.world;
		for (let i = 0; i < tunnelListeners.length; i++) tunnelListeners[i]!(frame, remote.ip, remote.vni);
		frame.push(vxlan.OCTETS);
		vxlan.writeVni(view, frame.start, remote.vni);
		underlay.sendTunnel(frame, header);
	}

	/**
	 * An inner packet that will not fit the underlay in one piece goes out in fragments, and the stack that
	 * routed it learns what would have fitted (`skb_tunnel_check_pmtu`).
	 */
	#checkPathMtu(frame: Frame, remote: Remote): void {
		const mtu = this.underlay.mtuTo(remote.ip) - OVERHEAD;
		if (mtu > 0 && frame.end - frame.start - ethernet.OCTETS > mtu) this.owner.tooLong(frame, mtu);
	}

	/** Inner flows spread over outer ports: `udp_flow_src_port`. */
	#sourcePort(hash: number): number {
		const mixed = (hash ^ (hash << 16)) >>> 0;
		return Math.floor((mixed * this.#sourcePortCount) / 0x1_0000_0000) + this.#firstSourcePort;
	}

	/** The remote is this host: the frame goes straight to the device of that VNI (`encap_bypass_if_local`). */
	#sendToSelf(frame: Frame, remote: Remote): void {
		const target = VxlanSocket.of(this.underlay, remote.port).device(remote.vni);
		if (target === undefined) {
			this.counters.txErrors++;
			return this.dropOut(frame, "vxlan-loop", formatIp4(remote.ip));
		}
		this.counters.txPackets++;
		this.counters.txBytes += frame.length;
		this.world.crossing(frame);
		this.#replies.push(target, frame);
	}

	/**
	 * ARP on a `proxy` device never leaves (`arp_reduce`): a request for a known neighbour is answered as the
	 * neighbour would, everything else is swallowed. The request becomes the reply in place.
	 */
	#answerArp(frame: Frame): void {
		const at = frame.start + ethernet.OCTETS;
		const request = arp.read(frame.view, at, frame.end);
		if (typeof request === "string") return this.dropOut(frame, request);
		const target = request.targetIp;
		if (request.operation !== arp.REQUEST || isLoopbackIp4(target) || isMulticastIp4(target)) {
			return this.#swallow(frame);
		}
		const mac = this.owner.neighbourMac(this, target, "connected");
		if (mac === NO_NEIGHBOUR && this.options.l3miss === true) {
			this.#miss({ kind: "l3miss", ip: target, text: `miss ${formatIp4(target)} dev ${this.name} STALE` });
		}
		if (mac === NO_NEIGHBOUR || mac === NEIGHBOUR_NOT_VALID) return this.#swallow(frame);
		const known = mac as Mac;
		// A neighbour behind this very host's bridge answers for itself.
		if (this.fdb.find(known)?.remotes[0]?.ip === ANY_IP4) return this.#swallow(frame);
		const asker = request.senderMac;
		const reply = this.world.frames.begin(ethernet.OCTETS + arp.OCTETS);
		reply.end = reply.start + ethernet.OCTETS + arp.OCTETS;
		ethernet.write(reply.view, reply.start, { dst: asker, src: known, type: ethernet.TYPE_ARP });
		arp.write(reply.view, reply.start + ethernet.OCTETS, {
			operation: arp.REPLY,
			senderMac: known,
			senderIp: target,
			targetMac: asker,
			targetIp: request.senderIp,
		});
		this.#swallow(frame);
		this.#replies.push(this, reply);
	}

	#swallow(frame: Frame): void {
		this.world.drop(frame, "vxlan-arp-proxied", this);
	}

	#miss(miss: VxlanMiss): void {
		for (const listener of this.missListeners) listener(miss);
	}

	/** A VXLAN message for this VNI, I flag and length seen to: header taken off, source learned, frame up (`vxlan_rcv`). */
	receiveTunnel(frame: Frame, source: Ip4, outer: number): void {
		// Flags and reserved bits the device was not told about make the message malformed.
		const understood = vxlan.reservedAreZero(frame.view, frame.start, this.options.gbp === true);
		if (!understood) return this.#refuse(frame, "vxlan-invalid-hdr");
		frame.pull(vxlan.OCTETS);
		const { view, start } = frame;
		const high = ethernet.srcHigh(view, start);
		const low = ethernet.srcLow(view, start);
		// A multicast group echoes our own packets.
		if (high === macHigh(this.mac) && low === macLow(this.mac))
			return this.dropIn(frame, "source-is-own-mac");
		if (this.#learning && !this.#snoop(low, high, source)) return this.dropIn(frame, "vxlan-entry-exists");
		if (!decapsulateEcn(frame, outer)) return this.#refuse(frame, "ip-inhdr");
		this.receive(frame);
	}

	#refuse(frame: Frame, reason: Parameters<Device["dropIn"]>[1]): void {
		this.counters.rxErrors++;
		this.dropIn(frame, reason);
	}

	/** Learns where a source is; false when a hand-set entry says otherwise (`vxlan_snoop`). */
	#snoop(low: number, high: number, source: Ip4): boolean {
		const known = this.fdb.lookup(low, high);
		if (known?.remotes[0]?.ip === source) return true;
		if (known !== undefined && !known.learned) return false;
		// A multicast or zero source is no station; the kernel's table refuses it.
		if ((high & 0x0100) !== 0 || (high === 0 && low === 0)) return false;
		const mac = (high * 0x1_0000_0000 + low) as Mac;
		this.fdb.learn(mac, { ip: source, port: this.port, vni: this.vni });
		return true;
	}

	/** Replies and frames that never left the host come in through the queue. */
	deliver(frame: Frame): void {
		this.receive(frame);
	}

	override delete(): void {
		if (this.gone) return;
		this.#socket.leave(this);
		super.delete();
	}
}

/** RFC 6040 as Linux does it: the inner ECN bits, CE shown as ECT(0) (`INET_ECN_encapsulate`). */
function outerTos(tos: number, inner: number): number {
	const ecn = inner & 3;
	return (tos & 0xfc) | (ecn === 3 ? 2 : ecn);
}

/** RFC 6040 decapsulation: CE outside marks the packet inside; false when it cannot carry the mark. */
function decapsulateEcn(frame: Frame, outer: number): boolean {
	if ((outer & 3) !== 3) return true;
	const at = frame.start + ethernet.OCTETS;
	if (ethernet.type(frame.view, frame.start) !== ethernet.TYPE_IPV4 || frame.end - at < ipv4.MIN_OCTETS)
		return true;
	const tos = ipv4.tos(frame.view, at);
	if ((tos & 3) === 0) return false;
	ipv4.setTos(frame.view, at, tos | 3);
	frame.changed();
	return true;
}

function fdbAddress(mac: Mac | string): Mac {
	return mac === "default" ? ZERO_MAC : toMac(mac, "address");
}

function checkVni(vni: number): Vni {
	if (!Number.isInteger(vni) || vni < 0 || vni > MOST_VNI) {
		throw new NetError("EINVAL", `Error: argument "${String(vni)}" is wrong: invalid id`, {
			remedy: `A VNI is a whole number from 0 to ${String(MOST_VNI)}.`,
			context: { vni },
		});
	}
	return vni as Vni;
}

function checkOctet(value: number, what: "ttl" | "tos"): number {
	if (!Number.isInteger(value) || value < 0 || value > 255) {
		const text = what === "ttl" ? "TTL must be <= 255" : "bad TOS value";
		throw new NetError("EINVAL", `Error: argument "${String(value)}" is wrong: ${text}`, {
			context: { [what]: value },
		});
	}
	return value;
}

const vniTaken = (vni: number, port: number): NetError =>
	new NetError("EEXIST", "Error: A VXLAN device with the specified VNI already exists.", {
		context: { vni, port },
	});
