import { formatMac, macOfParts } from "../../addr/index.ts";
import { type Duration, parseDuration, seconds } from "../../sim/index.ts";
import { ethernet, type Frame } from "../../wire/index.ts";
import { keyHigh } from "../mac-table.ts";
import { type SwitchOptions, type SwitchPortOptions, violationText } from "./options.ts";
import { type SwitchCore, SwitchPort } from "./port.ts";
import { macTableText, trunksText, vlanBriefText } from "./show.ts";
import { type SwitchEntry, type SwitchMac, SwitchTable } from "./table.ts";
import type { Place, World } from "../world.ts";

/** What most switches forget unused addresses after (IEEE 802.1D-2004 table 7-5). */
const AGEING = seconds(300);
/** What the chip of an ordinary access switch has room for. */
const MAC_TABLE = 16_384;
/** 01:80:c2:00:00:0X in the parts in which a header is read: the groups that no bridge forwards (802.1Q table 8-1). */
const LINK_LOCAL_HIGH = 0x0180;
const LINK_LOCAL_LOW = 0xc200_0000 | 0;
const STP = 0x00;
const PAUSE = 0x01;

/**
 * A physical learning switch: the LAN between hosts. It knows no IP, is in no namespace and shows in captures
 * only by what it sends on.
 *
 *     port in → VLAN of the frame → security, source learned → ┬ known: its port ─┬→ tag as that port wants it → out
 *                                                              └ else every port ─┘
 *
 * Unmanaged, as it comes, it looks at no tag: one table for all frames. From the first `port.configure` it is VLAN
 * aware, and ports nobody configured are access ports of VLAN 1. Reference: IEEE 802.1Q-2018 §8.6.
 */
export class PhysicalSwitch implements Place, SwitchCore {
	readonly place: string;
	readonly #world: World;
	readonly #ports: SwitchPort[] = [];
	readonly #table: SwitchTable;
	readonly #transparent: boolean;
	#managed: boolean;
	#forwarded = 0;
	#numbers = 0;

	/** Throws RangeError for options out of range. */
	constructor(world: World, name: string, options: SwitchOptions = {}) {
		this.#world = world;
		this.place = name;
		this.#managed = options.managed ?? false;
		this.#transparent = options.transparent ?? false;
		const capacity = options.macTable ?? MAC_TABLE;
		if (!Number.isInteger(capacity) || capacity < 1) {
			throw new RangeError(`macTable is ${String(capacity)}, expected a whole number of addresses from 1`);
		}
		this.#table = new SwitchTable(world.scheduler, ageingOf(options.ageing), capacity);
		world.crossroads.push({ place: name, forwarded: () => this.#forwarded });
	}

	/** True when the switch looks at tags. */
	get managed(): boolean {
		return this.#managed;
	}

	/** The ports, by number. */
	get ports(): readonly SwitchPort[] {
		return this.#ports;
	}

	/** One more port; with options the switch is VLAN aware. Throws as `SwitchPort.configure`. */
	addPort(options?: SwitchPortOptions): SwitchPort {
		const port = new SwitchPort(this, this.#numbers + 1);
		if (options !== undefined) port.configure(options);
		this.#numbers++;
		this.#ports.push(port);
		return port;
	}

	/** Takes a port away again that no cable is in. */
	removePort(port: SwitchPort): void {
		const at = this.#ports.indexOf(port);
		if (at >= 0) this.#ports.splice(at, 1);
		this.forget(port, true);
	}

	manage(): void {
		if (this.#managed) return;
		this.#managed = true;
		this.#table.forget(() => true);
	}

	forget(port: SwitchPort, all: boolean): void {
		if (!all && port.security?.sticky === true) return;
		this.#table.forget((entry) => entry.port === port);
		port.secured = 0;
	}

	/** `show mac address-table`: by VLAN and address. */
	macTable(): SwitchMac[] {
		return this.#table.rows();
	}

	/** `show mac address-table` as text. */
	showMacTable(): string {
		return macTableText(this.macTable());
	}

	/** `show vlan brief` and `show interfaces trunk` as text. */
	showVlans(): string {
		return `${vlanBriefText(this.#ports)}\n${trunksText(this.#ports)}`;
	}

	/** A frame came in at a port. Takes it. */
	receive(frame: Frame, from: SwitchPort): void {
		if (frame.end - frame.start < ethernet.OCTETS) return this.#world.drop(frame, "ethernet-truncated", from);
		if (!from.isUp) return this.#world.drop(frame, "dev-down", from, from.state);
		this.#forwarded++;
		const { view, start } = frame;
		const high = ethernet.dstHigh(view, start);
		const low = ethernet.dstLow(view, start);
		if (high === LINK_LOCAL_HIGH && (low & ~0xf) === LINK_LOCAL_LOW && !this.#passes(low & 0xf))
			return this.#world.drop(frame, "bridge-link-local", from);
		const vid = this.#managed ? from.classify(frame) : 0;
		if (vid < 0) return this.#world.drop(frame, "vlan-ingress", from, from.vlans.mode);
		const sourceHigh = ethernet.srcHigh(view, start);
		if ((sourceHigh & 0x0100) === 0 && !this.#learn(ethernet.srcLow(view, start), sourceHigh, vid, from))
			return this.#refuse(frame, from);
		const known = (high & 0x0100) !== 0 ? undefined : this.#table.lookup(low, keyHigh(high, vid));
		if (known === undefined) return this.#flood(frame, from, vid);
		const to = known.port;
		if (to === from) return this.#world.drop(frame, "bridge-hairpin", from);
		if (!to.isUp) return this.#world.drop(frame, "no-carrier", to);
		to.send(frame, vid);
	}

	/** Whether 01:80:c2:00:00:0X goes on. Boxes without management pass STP on, and end the rest. */
	#passes(group: number): boolean {
		return group !== PAUSE && (this.#transparent || (group === STP && !this.#managed));
	}

	/** Notes a source address; false when the port's security forbids it. */
	#learn(low: number, high: number, vid: number, from: SwitchPort): boolean {
		const key = keyHigh(high, vid);
		const entry = this.#table.lookup(low, key);
		if (entry?.port === from) {
			entry.updated = this.#world.scheduler.now;
			return true;
		}
		if (entry?.kind === "secure") return false;
		if (from.security !== null) return this.#secure(low, key, from, entry);
		this.#table.put(low, key, from, "dynamic");
		return true;
	}

	#secure(low: number, key: number, from: SwitchPort, entry: SwitchEntry | undefined): boolean {
		const allowed = from.allows(entry?.mac ?? macOfParts(key & 0xffff, low));
		if (!allowed && from.secured >= (from.security?.others ?? 0)) return false;
		if (!this.#table.put(low, key, from, "secure")) return false;
		if (!allowed) from.secured++;
		return true;
	}

	/** Ends a frame whose source may not speak here, and does what the port is set to do. Takes the frame. */
	#refuse(frame: Frame, from: SwitchPort): void {
		const { security } = from;
		const mac = ethernet.src(frame.view, frame.start);
		// An address that is secured elsewhere breaks that port's security, whatever this one's.
		if (security === null) {
			return this.#world.drop(
				frame,
				"port-security",
				from,
				violationText(mac, from.name, "secured on another port"),
			);
		}
		if (security.violation !== "protect") from.violations++;
		const listed = security.others === 0 && security.allowed.size > 0;
		this.#world.drop(
			frame,
			listed ? "mac-not-allowed" : "port-security",
			from,
			listed
				? violationText(mac, from.name, `allowed ${[...security.allowed].map(formatMac).join(", ")}`)
				: violationText(mac, from.name, `at most ${String(security.others + security.allowed.size)}`),
		);
		if (security.violation === "shutdown") from.errDisable();
	}

	/** One copy per other port of the VLAN: each receiver will own its frame. Takes the frame. */
	#flood(frame: Frame, from: SwitchPort, vid: number): void {
		let last: SwitchPort | undefined;
		for (const port of this.#ports) {
			if (port === from || !port.isUp || !port.carries(vid)) continue;
			last?.send(frame.clone(), vid);
			last = port;
		}
		if (last === undefined) return this.#world.drop(frame, "bridge-no-port", this);
		last.send(frame, vid);
	}
}

const ageingOf = (ageing: Duration | undefined): number =>
	ageing === undefined ? AGEING : parseDuration(ageing, "ageing");
