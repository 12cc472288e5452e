import { seconds } from "../sim/index.ts";
import { ethernet, type Frame } from "../wire/index.ts";
import type { CableEnd, Plug } from "./cable.ts";
import { Fdb } from "./fdb.ts";
import { keyHigh } from "./mac-table.ts";
import type { Place, World } from "./world.ts";

/** What most switches forget unused addresses after (IEEE 802.1D-2004 table 7-5). */
const AGEING = seconds(300);

/** One port of a physical switch. */
export class SwitchPort implements Plug {
	readonly place: string;
	readonly #switch: PhysicalSwitch;
	#cable: CableEnd | null = null;
	#carrier = false;

	constructor(owner: PhysicalSwitch, number: number) {
		this.#switch = owner;
		this.place = `${owner.place}:${String(number)}`;
	}

	/** True while a whole cable is plugged in. */
	get isUp(): boolean {
		return this.#cable !== null && this.#carrier;
	}

	plugged(end: CableEnd | null): void {
		this.#cable = end;
		this.carrierChanged(end !== null);
	}

	carrierChanged(carrier: boolean): void {
		this.#carrier = carrier;
		if (!carrier) this.#switch.forget(this);
	}

	deliver(frame: Frame): void {
		this.#switch.receive(frame, this);
	}

	/** Out by this port. Takes the frame. */
	send(frame: Frame): void {
		this.#cable?.send(frame);
	}
}

/**
 * A physical learning switch: the LAN between hosts. It knows no IP, is in no namespace and shows in captures
 * only by what it sends on.
 */
export class PhysicalSwitch implements Place {
	readonly place: string;
	readonly #world: World;
	readonly #ports: SwitchPort[] = [];
	readonly #fdb: Fdb<SwitchPort>;
	#forwarded = 0;

	constructor(world: World, name: string) {
		this.#world = world;
		this.place = name;
		this.#fdb = new Fdb<SwitchPort>(world.scheduler, AGEING);
		world.crossroads.push({ place: name, forwarded: () => this.#forwarded });
	}

	/** One more port. */
	addPort(): SwitchPort {
		const port = new SwitchPort(this, this.#ports.length + 1);
		this.#ports.push(port);
		return port;
	}

	/** Forgets what was learned at a port. */
	forget(port: SwitchPort): void {
		this.#fdb.flush((entry) => entry.port === port);
	}

	/** A frame came in at a port. Takes it. */
	receive(frame: Frame, from: SwitchPort): void {
		if (frame.end - frame.start < ethernet.OCTETS) return this.#world.drop(frame, "ethernet-truncated", from);
		this.#forwarded++;
		const { view, start } = frame;
		const sourceHigh = ethernet.srcHigh(view, start);
		if ((sourceHigh & 0x0100) === 0)
			this.#fdb.learn(ethernet.srcLow(view, start), keyHigh(sourceHigh, 0), from);
		const high = ethernet.dstHigh(view, start);
		const known =
			(high & 0x0100) !== 0 ? undefined : this.#fdb.lookup(ethernet.dstLow(view, start), keyHigh(high, 0));
		const to = known?.port;
		if (to === undefined || to === null) return this.#flood(frame, from);
		if (to === from) return this.#world.drop(frame, "bridge-hairpin", from);
		to.send(frame);
	}

	/** One copy per other port: each receiver will own its frame. Takes the frame. */
	#flood(frame: Frame, from: SwitchPort): void {
		let last: SwitchPort | undefined;
		for (const port of this.#ports) {
			if (port === from || !port.isUp) continue;
			last?.send(frame.clone());
			last = port;
		}
		if (last === undefined) return this.#world.drop(frame, "bridge-no-port", this);
		last.send(frame);
	}
}
