import {
	ANY_IP4,
	formatIp4,
	formatMac,
	type Ip4,
	isMulticastIp4,
	isMulticastMac,
	type Mac,
	macOfParts,
	toIp4,
	toPort,
	type Vni,
	ZERO_MAC,
} from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import {
	type Instant,
	type Lane,
	type Nanoseconds,
	parseDuration,
	seconds,
	type Sink,
	Timer,
} from "../../sim/index.ts";
import { ethernet, type Frame, ipv4, udp, vxlan } from "../../wire/index.ts";
import { Device } from "../device.ts";
import type { DeviceOwner } from "../device-owner.ts";
import { checkNesting } from "../nesting.ts";
import type { Underlay } from "../underlay.ts";
import { showFdb, type VxlanFdbLine } from "./fdb-show.ts";
import { type Remote, VxlanFdb, type VxlanFdbEntry } from "./fdb.ts";
import {
	checkDefault,
	checkVni,
	fdbAddress,
	type FdbOptions,
	fdbState,
	type RemoteOptions,
	type VxlanMiss,
	type VxlanOptions,
} from "./options.ts";
import { answerArp, missText, shortCircuit } from "./neighbours.ts";
import { decapsulateEcn, OuterHeader } from "./outer.ts";
import { fragmentationNeeded } from "./path-mtu.ts";
import { vxlanText } from "./text.ts";
import { VxlanSocket } from "./socket.ts";
import type { World } from "../world.ts";

/** IANA's port (RFC 7348 §5); the kernel's own default, 8472, is older than the assignment. */
export const VXLAN_PORT = 4789;
const AGEING = seconds(300);
/** How often the table is looked through for addresses nobody used (`FDB_AGE_INTERVAL`). */
const AGE_INTERVAL = seconds(10);
const ETH_DATA_LEN = 1500;
const ETH_MIN_MTU = 68;
/** Octets of the headers around an inner packet: IPv4, UDP, VXLAN, Ethernet. */
const OVERHEAD = ipv4.MIN_OCTETS + udp.OCTETS + vxlan.OCTETS + ethernet.OCTETS;
/** Where a frame comes from that never left the host. */
const LOOPBACK = 0x7f00_0001 as Ip4;

/**
 * A VXLAN tunnel end point (VTEP): Ethernet frames in UDP packets to other VTEPs.
 *
 *     from the bridge: transmit → tap → send ┬─ ARP and `proxy`: answered here or swallowed
 *                                            └─ entry of the MAC → header → underlay.sendTunnel
 *     from the underlay: VxlanSocket → receiveTunnel → learn → receive → tap → bridge
 *
 * The underlay is the namespace the device was created in, wherever it is moved later. The UDP port is open and the
 * group joined while the device is up. Reference: RFC 7348; drivers/net/vxlan/vxlan_core.c.
 */
export class VxlanDevice extends Device implements Sink<Frame> {
	override readonly kind = "vxlan";
	readonly vni: Vni;
	readonly port: number;
	readonly underlay: Underlay;
	readonly fdb: VxlanFdb;
	readonly options: VxlanOptions;
	/** The underlay's device to leave by, if one was said; the device is deleted with it. */
	readonly dev: Device | undefined;
	/** The multicast group unknown destinations are sent to, joined on `dev` while the device is up. */
	readonly group: Ip4 | undefined;
	/** Called with each miss when `l2miss` or `l3miss` is on. */
	readonly missListeners: ((miss: VxlanMiss) => void)[] = [];

	/** Open while the device is up. */
	#socket: VxlanSocket | null = null;
	readonly #replies: Lane;
	readonly #learning: boolean;
	readonly #proxy: boolean;
	readonly #gbp: boolean;
	readonly #outer: OuterHeader;
	#upSince: Instant = 0;
	readonly #age = new Timer(() => {
		this.#collect();
	});

	/** Throws `NetError` EINVAL, EEXIST, ENODEV; then nothing is left behind. */
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
		const ageing = options.ageing === undefined ? AGEING : parseDuration(options.ageing, "ageing");
		this.fdb = new VxlanFdb(world.scheduler, ageing === 0 ? AGEING : ageing);
		this.#replies = world.scheduler.lane(0);
		this.#learning = options.learning ?? true;
		this.#proxy = options.proxy ?? false;
		this.#gbp = options.gbp ?? false;
		this.#outer = new OuterHeader(options, underlay, this.port);
		const remote = checkDefault(options);
		this.dev = options.dev === undefined ? undefined : underlay.lowerDevice(options.dev);
		if (this.dev !== undefined) checkNesting(this.dev);
		this.group = remote !== undefined && isMulticastIp4(remote) ? remote : undefined;
		const most = this.#mostMtu;
		if (options.mtu !== undefined) super.setMtu(Math.min(options.mtu, most));
		else if (this.dev !== undefined) super.setMtu(most);
		for (const other of underlay.vxlans) {
			if (other.vni === this.vni && other.port === this.port && other.#gbp === this.#gbp) {
				throw vniTaken(this.vni, this.port);
			}
		}
		underlay.vxlans.add(this);
		if (this.dev !== undefined) (this.dev.dependents ??= new Set()).add(this);
		if (remote !== undefined) {
			const { port, vni, dev = null } = this;
			this.fdb.append(ZERO_MAC, { ip: remote, port, vni, device: dev });
		}
	}

	override get lowers(): readonly Device[] {
		return this.dev === undefined ? [] : [this.dev];
	}

	/** What fits the lower device with 50 octets around it; the device's own limit without one. */
	get #mostMtu(): number {
		return this.dev === undefined ? Infinity : Math.max(ETH_MIN_MTU, this.dev.mtu - OVERHEAD);
	}

	/** Throws `NetError` EINVAL beyond what the lower device carries (`vxlan_change_mtu`). */
	override setMtu(mtu: number): void {
		if (mtu > this.#mostMtu) {
			throw new NetError("EINVAL", "RTNETLINK answers: Invalid argument", {
				remedy: `The lower device carries ${String(this.#mostMtu)} octets inside a tunnel.`,
				context: { device: this.place, mtu },
			});
		}
		super.setMtu(mtu);
	}

	/** `bridge fdb append MAC dev … dst …`: one more remote for an address; `"default"` is all zeros. */
	appendFdb(mac: Mac | string, to: FdbOptions): void {
		this.fdb.append(fdbAddress(mac), this.#remote(to), fdbFlags(to));
		this.#watchAge();
	}

	/** `bridge fdb add MAC dev … dst …`. Throws `NetError` EEXIST. */
	addFdb(mac: Mac | string, to: FdbOptions): void {
		this.fdb.add(fdbAddress(mac), this.#remote(to), fdbFlags(to));
		this.#watchAge();
	}

	/** `bridge fdb replace MAC dev … dst …`. Throws `NetError` EOPNOTSUPP for the default and groups. */
	replaceFdb(mac: Mac | string, to: FdbOptions): void {
		this.fdb.replace(fdbAddress(mac), this.#remote(to), fdbFlags(to));
		this.#watchAge();
	}

	/** `bridge fdb del MAC dev … [dst …]`. Throws `NetError` ENOENT. */
	delFdb(mac: Mac | string, to?: RemoteOptions): void {
		this.fdb.del(fdbAddress(mac), to === undefined ? undefined : this.#remote(to));
	}

	/** `bridge fdb show dev …`, also as `bridge -j` has it; `netnsid` is the underlay's number where the device was moved to. */
	fdbShow(netnsid?: number): VxlanFdbLine[] {
		return showFdb(this.fdb, this.port, this.vni, netnsid);
	}

	override get home(): { readonly name: string } {
		return this.underlay;
	}

	/** What `ip -d link show` says of it, from the word `vxlan` on. */
	get text(): string {
		return vxlanText(this);
	}

	#remote(to: RemoteOptions): Remote {
		return {
			ip: toIp4(to.dst, "dst"),
			port: to.port === undefined ? this.port : toPort(to.port, "port"),
			vni: to.vni === undefined ? this.vni : checkVni(to.vni),
			device: to.via === undefined ? null : this.underlay.lowerDevice(to.via),
		};
	}

	// ── up and down ───────────────────────────────────────────────────────────────────────────────

	/** `ip link set … up`: opens the port, joins the group. Throws `NetError` EADDRINUSE; then the device stays down. */
	override up(): void {
		if (this.isUp || this.gone) return;
		const socket = VxlanSocket.of(this.underlay, this.port, this.#gbp);
		socket.add(this);
		this.#socket = socket;
		this.#upSince = this.world.scheduler.now;
		super.up();
		this.#watchAge();
	}

	/** `ip link set … down`: leaves the group, closes the port if nobody else needs it, forgets what was learned. */
	override down(): void {
		if (!this.isUp) return;
		this.#socket?.remove(this);
		this.#socket = null;
		this.#age.cancel();
		this.fdb.flush();
		super.down();
	}

	override delete(): void {
		if (this.gone) return;
		super.delete();
		this.underlay.vxlans.delete(this);
		this.dev?.dependents?.delete(this);
	}

	/** The lower device is gone, and with it this one (`vxlan_handle_lowerdev_unregister`). */
	lowerGone(): void {
		this.delete();
	}

	/** `vxlan_cleanup`: while something ages, the table is looked through every ten seconds since the device came up. */
	#collect(): void {
		const next = this.fdb.expire();
		if (next !== undefined) this.#watchAge(next - this.world.scheduler.now);
	}

	#watchAge(most: Nanoseconds = this.fdb.ageing): void {
		if (!this.isUp || this.#age.pending) return;
		if (!this.fdb.hasLearned) return;
		const passed = (this.world.scheduler.now - this.#upSince) % AGE_INTERVAL;
		this.underlay.arm(this.#age, Math.min(AGE_INTERVAL - passed, Math.max(most, 1)));
	}

	// ── out ───────────────────────────────────────────────────────────────────────────────────────

	/** Inner frame out (`vxlan_xmit`): answer ARP, or look up the remotes and send one packet to each. */
	protected override send(frame: Frame): void {
		const { view, start } = frame;
		if (this.#proxy && ethernet.type(view, start) === ethernet.TYPE_ARP) return this.#answerArp(frame);
		let known = this.fdb.lookup(ethernet.dstLow(view, start), ethernet.dstHigh(view, start));
		let shortened = false;
		if (known?.router === true && this.options.rsc === true) {
			shortened = shortCircuit(this, frame, this.#missIp);
			if (shortened) known = this.fdb.lookup(ethernet.dstLow(view, start), ethernet.dstHigh(view, start));
		}
		const entry = known ?? this.fdb.lookup(0, 0);
		if (entry === undefined) {
			const mac = ethernet.dst(view, start);
			if (this.options.l2miss === true && !isMulticastMac(mac)) {
				this.#miss({ kind: "l2miss", mac, text: `miss dev ${this.name} lladdr ${formatMac(mac)} STALE` });
			}
			return this.dropOut(frame, "vxlan-no-remote", formatMac(mac));
		}
		const remotes = entry.remotes;
		// One packet per remote; the first gets the frame itself, after its copies, as the kernel does it.
		for (let i = 1; i < remotes.length; i++) this.#sendTo(frame.clone(), remotes[i]!, shortened);
		this.#sendTo(frame, remotes[0]!, shortened);
	}

	/** `vxlan_xmit_one`. Takes the frame. */
	#sendTo(frame: Frame, remote: Remote, shortened: boolean): void {
		const { underlay } = this;
		if (remote.ip === ANY_IP4) {
			// The host behind the router is behind this very device: back to its bridge.
			if (shortened) return this.#bypass(frame, this, true);
			return this.dropOut(frame, "vxlan-no-remote");
		}
		const octets = frame.end - frame.start;
		const { view, start } = frame;
		const isIp =
			ethernet.type(view, start) === ethernet.TYPE_IPV4 && octets >= ethernet.OCTETS + ipv4.MIN_OCTETS;
		const mtu = underlay.reach(remote.ip, remote.device);
		if (mtu < 0) return this.#sendToSelf(frame, remote);
		if (mtu === 0) {
			this.txErrors++;
			return this.world.drop(frame, "ip-no-route", this, formatIp4(remote.ip));
		}
		if (isIp && octets - ethernet.OCTETS > mtu - OVERHEAD && !this.#mayExceed(frame, mtu - OVERHEAD)) return;
		const header = this.#outer.fill(frame, remote, isIp);
		this.txPackets++;
		this.txBytes += octets;
		const { tunnelListeners } = this.world;
		for (let i = 0; i < tunnelListeners.length; i++) tunnelListeners[i]!(frame, remote.ip, remote.vni);
		frame.push(vxlan.OCTETS);
		vxlan.writeVni(view, frame.start, remote.vni);
		if (this.#gbp && frame.mark !== 0) vxlan.writePolicy(view, frame.start, frame.mark);
		underlay.sendTunnel(frame, header);
	}

	/**
	 * An inner packet that does not fit the underlay goes out in fragments, and the stack that routed it learns what
	 * would have fitted; a sender on the other side of a bridge is told by ICMP, and then the packet ends here: false
	 * (`skb_tunnel_check_pmtu`).
	 */
	#mayExceed(frame: Frame, mtu: number): boolean {
		if (frame.routed) {
			this.owner.tooLong(frame, mtu);
			return true;
		}
		if (this.upper?.master?.kind !== "bridge") return true;
		const reply = fragmentationNeeded(frame, mtu, this.world.frames);
		if (reply === undefined) return true;
		this.world.drop(frame, "ip-frag-needed", this, `MTU ${String(mtu)} in the tunnel`);
		this.#bypass(reply, this, false);
		return false;
	}

	/** The remote is this host: the frame goes straight to the device of that VNI (`encap_bypass_if_local`). */
	#sendToSelf(frame: Frame, remote: Remote): void {
		const target = VxlanSocket.find(this.underlay, remote.port, this.#gbp)?.device(remote.vni);
		if (target === undefined) {
			this.txErrors++;
			return this.dropOut(frame, "vxlan-loop", formatIp4(remote.ip));
		}
		this.#bypass(frame, target, true);
	}

	/** Without a tunnel to a device of this host, which learns that the source is here (`vxlan_encap_bypass`). Takes the frame. */
	#bypass(frame: Frame, target: VxlanDevice, learn: boolean): void {
		this.txPackets++;
		this.txBytes += frame.length;
		const { view, start } = frame;
		if (learn && target.#learning) {
			target.#snoop(ethernet.srcLow(view, start), ethernet.srcHigh(view, start), LOOPBACK);
		}
		this.world.crossing(frame);
		this.#replies.push(target, frame);
	}

	#answerArp(frame: Frame): void {
		const reply = answerArp(this, frame, this.world.frames, this.#missIp);
		if (typeof reply === "string") return this.dropOut(frame, reply);
		this.world.drop(frame, "vxlan-arp-proxied", this);
		if (reply !== undefined) this.#replies.push(this, reply);
	}

	readonly #missIp = (ip: Ip4): void => {
		if (this.options.l3miss === true) this.#miss({ kind: "l3miss", ip, text: missText(ip, this) });
	};

	#miss(miss: VxlanMiss): void {
		for (const listener of this.missListeners) listener(miss);
	}

	// ── in ────────────────────────────────────────────────────────────────────────────────────────

	/** A VXLAN message for this VNI, I flag and length seen to: header taken off, source learned, frame up (`vxlan_rcv`). */
	receiveTunnel(frame: Frame, source: Ip4, outer: number): void {
		// Flags and reserved bits the device was not told about make the message malformed.
		const understood = vxlan.reservedAreZero(frame.view, frame.start, this.#gbp);
		if (!understood) return this.#refuse(frame, "vxlan-invalid-hdr");
		if (this.#gbp) frame.mark = vxlan.policy(frame.view, frame.start);
		frame.pull(vxlan.OCTETS);
		const { view, start } = frame;
		const high = ethernet.srcHigh(view, start);
		const low = ethernet.srcLow(view, start);
		// A multicast group echoes our own packets.
		if (high === this.macHigh && low === this.macLow) return this.dropIn(frame, "source-is-own-mac");
		if (this.#learning && !this.#snoop(low, high, source)) return this.dropIn(frame, "vxlan-entry-exists");
		if (!decapsulateEcn(frame, outer)) return this.#refuse(frame, "ip-inhdr");
		this.receive(frame);
	}

	#refuse(frame: Frame, reason: Parameters<Device["dropIn"]>[1]): void {
		this.rxErrors++;
		this.dropIn(frame, reason);
	}

	/** Learns where a source is; false when a hand-set entry says otherwise (`vxlan_snoop`). */
	#snoop(low: number, high: number, source: Ip4): boolean {
		const known: VxlanFdbEntry | undefined = this.fdb.lookup(low, high);
		const first = known?.remotes[0];
		if (known !== undefined && first !== undefined) {
			if (first.ip === source && first.device === null) return true;
			if (!known.learned) return false;
			this.fdb.move(known, source);
			return true;
		}
		// A multicast or zero source is no station; the kernel's table refuses it.
		if ((high & 0x0100) !== 0 || (high === 0 && low === 0)) return false;
		const mac = macOfParts(high, low);
		if (this.isUp) this.fdb.learn(mac, { ip: source, port: this.port, vni: this.vni, device: null });
		this.#watchAge();
		return true;
	}

	/** Replies and frames that never left the host come in through the queue. */
	deliver(frame: Frame): void {
		this.receive(frame);
	}
}

const fdbFlags = (to: FdbOptions): { readonly state: VxlanFdbEntry["state"]; readonly router: boolean } => ({
	state: fdbState(to.state),
	router: to.router ?? false,
});

const vniTaken = (vni: number, port: number): NetError =>
	new NetError("EEXIST", "Error: A VXLAN device with the specified VNI already exists.", {
		context: { vni, port },
	});
