/**
 * The flags of `bridge link set dev …`, with Linux's defaults. Those that make the bridge look into ARP say so when
 * they change, so that no other frame pays for them.
 */
export class PortFlags {
	/** Source addresses are learned here. */
	learning = true;
	/** Unicast to unknown addresses goes out here. */
	flood = true;
	/** Multicast goes out here. */
	mcastFlood = true;
	/** Broadcast goes out here. */
	bcastFlood = true;
	/** Frames may leave by the port they came in on. */
	hairpin = false;
	/** Nothing passes between two isolated ports. */
	isolated = false;
	/** A BPDU that comes in here disables the port. */
	guard = false;
	/** The way to the root never leads through here. */
	rootBlock = false;
	/** Who leaves a group is believed at once, and nobody asked whether others stay. */
	fastLeave = false;
	/** Only sources that are in the table at this port may speak. */
	locked = false;
	#proxyArp = false;
	#proxyArpWifi = false;
	#neighSuppress = false;
	readonly #changed: () => void;

	/** `changed` is called when a flag about ARP is another one. */
	constructor(changed: () => void) {
		this.#changed = changed;
	}

	/** ARP requests that come in here are answered by the bridge, and no frame is flooded out here (`proxyarp`). */
	get proxyArp(): boolean {
		return this.#proxyArp;
	}

	set proxyArp(on: boolean) {
		this.#proxyArp = on;
		this.#changed();
	}

	/** ARP requests for addresses behind this port are answered by the bridge (`proxyarp_wifi`). */
	get proxyArpWifi(): boolean {
		return this.#proxyArpWifi;
	}

	set proxyArpWifi(on: boolean) {
		this.#proxyArpWifi = on;
		this.#changed();
	}

	/** ARP requests for known addresses behind this port are answered by the bridge and not sent there. */
	get neighSuppress(): boolean {
		return this.#neighSuppress;
	}

	set neighSuppress(on: boolean) {
		this.#neighSuppress = on;
		this.#changed();
	}

	/** True while the bridge has to look at ARP because of this port. */
	get watchesArp(): boolean {
		return this.#proxyArp || this.#proxyArpWifi || this.#neighSuppress;
	}
}
