import type { Mac } from "../addr/index.ts";
import type { Sink } from "../sim/index.ts";
import type { Frame } from "../wire/index.ts";
import { Device, FORWARDABLE_EXTRA, isForwardable } from "./device.ts";
import type { DeviceOwner } from "./device-owner.ts";
import type { World } from "./world.ts";

const ETH_DATA_LEN = 1500;

/**
 * One end of a veth pair: what goes out here comes in there, in another namespace or the same.
 *
 *     ns A                                ns B
 *     eth0 transmit → tap → queue ─────→ veth0 receive → tap → bridge, stack …
 *
 * Carrier follows the peer's up state. A frame longer than the *peer's* MTU (and header and one tag) is
 * dropped and counted there. Reference: drivers/net/veth.c, `__dev_forward_skb`.
 */
export class Veth extends Device implements Sink<Frame> {
	override readonly kind = "veth";

	constructor(world: World, owner: DeviceOwner, name: string, mac: Mac) {
		super(world, owner, name, mac, ETH_DATA_LEN);
		this.carrier = false;
	}

	/** The other end; `null` only once the pair is deleted. */
	get peer(): Veth | null {
		return this.farEnd instanceof Veth ? this.farEnd : null;
	}

	override get speed(): number {
		return 10_000;
	}

	override get link(): Veth | null {
		return this.peer;
	}

	/** Ties two ends together. Done once, by the namespace that creates them. */
	static pair(a: Veth, b: Veth): void {
		a.farEnd = b;
		b.farEnd = a;
	}

	protected override send(frame: Frame): void {
		const peer = this.farEnd;
		if (peer === null) return this.dropOut(frame, "no-carrier");
		const octets = frame.end - frame.start;
		if (octets > peer.mtu + FORWARDABLE_EXTRA && !isForwardable(frame, peer)) {
			peer.rxDropped++;
			return this.dropOut(frame, "rx-length");
		}
		this.txPackets++;
		this.txBytes += octets;
		this.world.crossing(frame);
		// What another machine's kernel would not know does not cross with the frame.
		frame.mark = 0;
		frame.forgetFlow();
		this.world.softirq.push(peer, frame);
	}

	/** The far end of the queue. */
	deliver(frame: Frame): void {
		this.receive(frame);
	}

	override flush(): void {
		if (this.farEnd !== null) this.world.softirq.hurry(this.farEnd);
	}

	override up(): void {
		super.up();
		this.#tellPeer();
	}

	override down(): void {
		super.down();
		this.#tellPeer();
	}

	#tellPeer(): void {
		const { peer } = this;
		if (peer === null || peer.carrier === this.isUp) return;
		peer.carrier = this.isUp;
		peer.changed();
	}

	/** Deletes both ends. */
	override delete(): void {
		if (this.gone) return;
		const { peer } = this;
		super.delete();
		this.farEnd = null;
		peer?.delete();
	}
}
