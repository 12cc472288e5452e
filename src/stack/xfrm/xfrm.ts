import type { Ip4 } from "../../addr/index.ts";
import type { DropReason } from "../../drop.ts";
import type { Device } from "../../link/index.ts";
import { esp, type Frame, ipv4 } from "../../wire/index.ts";
import type { InDevice } from "../in-device.ts";
import type { Namespace } from "../namespace.ts";
import type { Route } from "../route.ts";
import { XfrmDatabase } from "./database.ts";
import { decapsulate, encapsulate, longestPayload } from "./esp.ts";
import type { Template, XfrmPolicy } from "./policy.ts";
import { Flow } from "./selector.ts";
import { type XfrmCounter, XfrmStat } from "./stat.ts";
import { XfrmState } from "./state.ts";

/** States one packet may come through (`XFRM_MAX_DEPTH`). */
const MOST_STATES = 6;

/** What policies have to say of a packet that a program wants to send. */
export interface XfrmVerdict {
	/** The longest packet, IPv4 header included, that still fits when it is in ESP. */
	readonly mtu: number;
	/** The errno with which `sendto` fails. */
	readonly refusal?: "EPERM" | "ESRCH";
}

/**
 * IPsec of one namespace: policies say which packets go through which states.
 *
 *     out:  policy by selector and mark → templates → states → ESP → on by the same route
 *     in:   ESP → state by SPI → replay → tag → the packet itself, for its protocol → policy: did it come as it must?
 *
 * What it ends is counted in `stat` as Linux counts it, and nobody is told. Reference: net/xfrm/xfrm_output.c,
 * xfrm_input.c, xfrm_policy.c, net/ipv4/esp4.c.
 */
export class Xfrm {
	readonly database: XfrmDatabase = new XfrmDatabase();
	readonly stat: XfrmStat = new XfrmStat();
	readonly #ns: Namespace;
	readonly #flow = new Flow();
	/** Whether the last packet that `protect` returned went through a state, and is another packet now. */
	transformed = false;
	/** Told when a state's limit is reached; set by the commands, which end it. */
	onExpired: ((state: XfrmState) => void) | null = null;

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	#now(): number {
		return this.#ns.kernel.world.scheduler.now;
	}

	// ── out ───────────────────────────────────────────────────────────────────────────────────────

	/**
	 * The policy of a packet on its way out, from here or through here, if there is one; the frame starts at its IPv4
	 * header and stays the caller's (`xfrm_lookup`).
	 */
	outPolicy(frame: Frame, route: Route): XfrmPolicy | undefined {
		if (!this.database.has("out") || this.#exempt(route.device)) return undefined;
		this.#flow.decode(frame);
		const policy = this.database.policy("out", this.#flow);
		if (policy !== undefined) policy.lifetime.used = this.#now();
		return policy;
	}

	/** Whether a policy would put a packet into ESP (`-m policy --dir out --pol ipsec`). The frame stays the caller's. */
	transforms(frame: Frame): boolean {
		if (!this.database.has("out")) return false;
		this.#flow.decode(frame);
		return (this.database.policy("out", this.#flow)?.templates.length ?? 0) > 0;
	}

	/**
	 * Does to a packet what `outPolicy` said: returns it as it has to go on, in ESP when the policy has templates,
	 * undefined when it ended. Takes the frame (`xfrm_output`).
	 */
	protect(frame: Frame, route: Route, policy: XfrmPolicy): Frame | undefined {
		if (policy.action === "block") return this.#dropOut(frame, route, "XfrmOutPolBlock", "xfrm-policy");
		let packet = frame;
		this.transformed = false;
		for (const template of policy.templates) {
			const state = this.database.find(this.#flow, template, policy);
			if (state === undefined) {
				if (template.optional) continue;
				// No key manager listens that could make one.
				return this.#dropOut(packet, route, "XfrmOutPolError", "xfrm-no-state");
			}
			const done = this.#transform(packet, route, state);
			if (done === undefined) return undefined;
			packet = done;
			packet.forgetFlow();
			this.transformed = true;
		}
		return packet;
	}

	/** Nothing is hidden from the host itself (`NOXFRM`, `NOPOLICY` of lo). */
	#exempt(device: Device | null): boolean {
		return device === this.#ns.loopback;
	}

	/** One state's part (`xfrm_output_one`). */
	#transform(frame: Frame, route: Route, state: XfrmState): Frame | undefined {
		if (this.#hasExpired(state)) return this.#dropOut(frame, route, "XfrmOutStateExpired", "xfrm-expired");
		const number = state.replay.next();
		if (number === undefined) return this.#dropOut(frame, route, "XfrmOutStateSeqError", "xfrm-replay");
		state.lifetime.count(frame.end - frame.start - ipv4.headerOctets(frame.view, frame.start));
		return (
			encapsulate(state, frame, number) ??
			this.#dropOut(frame, route, "XfrmOutStateProtoError", "esp-too-long")
		);
	}

	/** Notes the use, and ends a state whose octets or packets are used up (`xfrm_state_check_expire`). */
	#hasExpired(state: XfrmState): boolean {
		const { lifetime } = state;
		lifetime.used ??= this.#now();
		if (lifetime.spent) {
			state.status = "expired";
			this.onExpired?.(state);
			return true;
		}
		const { byteSoft = Infinity, packetSoft = Infinity } = lifetime.limits;
		if (lifetime.bytes >= byteSoft || lifetime.packets >= packetSoft) state.dying = true;
		return false;
	}

	#dropOut(frame: Frame, route: Route, counter: XfrmCounter, reason: DropReason): undefined {
		this.stat.counts[counter]++;
		this.#ns.dropOut(frame, route, reason, counter);
		return undefined;
	}

	/**
	 * What policies have to say of a packet that a program sends; the frame starts at its transport header and stays the
	 * caller's. `mtu` is that of the way (`xfrm_lookup` in `ip_route_output_flow`, `xfrm_state_mtu`).
	 */
	judge(
		frame: Frame,
		route: Route,
		source: Ip4,
		destination: Ip4,
		protocol: number,
		mtu: number,
	): XfrmVerdict {
		if (!this.database.has("out") || this.#exempt(route.device)) return { mtu };
		this.#flow.set(source, destination, protocol, frame, frame.start);
		const policy = this.database.policy("out", this.#flow);
		if (policy === undefined) return { mtu };
		if (policy.action === "block") {
			this.stat.counts.XfrmOutPolBlock++;
			return { mtu, refusal: "EPERM" };
		}
		const room = this.#room(policy, mtu);
		if (room !== undefined) return { mtu: room };
		this.stat.counts.XfrmOutPolError++;
		return { mtu, refusal: "ESRCH" };
	}

	/** `mtu` less what the policy's states put in; undefined when a state is missing. */
	#room(policy: XfrmPolicy, mtu: number): number | undefined {
		let room = mtu - ipv4.MIN_OCTETS;
		for (const template of policy.templates) {
			const state = this.database.find(this.#flow, template, policy);
			if (state !== undefined) room = longestPayload(state, room);
			else if (!template.optional) return undefined;
		}
		return room + ipv4.MIN_OCTETS;
	}

	/**
	 * The longest packet that may be forwarded by a way of `mtu`. The frame starts at its IPv4 header and stays the
	 * caller's (`xfrm_state_mtu`).
	 */
	mtuFor(frame: Frame, route: Route, mtu: number): number {
		const policy = this.outPolicy(frame, route);
		return policy === undefined ? mtu : (this.#room(policy, mtu) ?? mtu);
	}

	// ── in ────────────────────────────────────────────────────────────────────────────────────────

	/** An ESP packet for this host; it starts at its IPv4 header. Takes the frame (`xfrm_input`). */
	input(frame: Frame, inDevice: InDevice): void {
		const { view, start } = frame;
		const at = start + ipv4.headerOctets(view, start);
		const path = pathOf(frame);
		if (frame.end - at < esp.OCTETS) return this.#dropIn(frame, inDevice, "XfrmInHdrError", "esp-truncated");
		if (path.length === MOST_STATES)
			return this.#dropIn(frame, inDevice, "XfrmInBufferError", "xfrm-state-invalid");
		const state = this.database.lookup(ipv4.destination(view, start), esp.spi(view, at), frame.mark);
		if (state === undefined) return this.#dropIn(frame, inDevice, "XfrmInNoStates", "xfrm-no-state");
		if (state.status !== "valid")
			return this.#dropIn(frame, inDevice, "XfrmInStateInvalid", "xfrm-state-invalid");
		const number = state.replay.whole(esp.sequence(view, at));
		const refused = state.replay.check(number);
		if (refused !== undefined) {
			if (refused !== "zero") state.stats[refused]++;
			return this.#dropIn(frame, inDevice, "XfrmInStateSeqError", "xfrm-replay");
		}
		if (this.#hasExpired(state)) return this.#dropIn(frame, inDevice, "XfrmInStateExpired", "xfrm-expired");
		const fault = decapsulate(state, frame, number);
		if (fault !== undefined) {
			if (fault === "failed") state.stats.failed++;
			const reason = fault === "failed" ? "esp-icv" : "esp-truncated";
			return this.#dropIn(frame, inDevice, "XfrmInStateProtoError", reason);
		}
		state.replay.advance(number);
		state.lifetime.count(frame.end - frame.start - ipv4.headerOctets(view, frame.start));
		frame.secPath = path.length === 0 ? state.path : [...path, state];
		frame.forgetFlow();
		this.#ns.ipv4.receiveAgain(frame, inDevice);
	}

	/**
	 * Whether a packet may go to its protocol (`in`) or through (`fwd`): it must have come by the states that its
	 * policy's templates name, and fit the selectors of those it came by. Takes the frame when it may not
	 * (`__xfrm_policy_check`).
	 */
	permits(frame: Frame, inDevice: InDevice, direction: "in" | "fwd"): boolean {
		if (!this.database.has(direction) && frame.secPath === null) return true;
		if (this.#exempt(inDevice.device)) return true;
		const flow = this.#flow;
		flow.decode(frame);
		const path = pathOf(frame);
		if (!path.every((state) => state.selector.matches(flow))) {
			this.#dropIn(frame, inDevice, "XfrmInStateMismatch", "xfrm-policy");
			return false;
		}
		const policy = this.database.policy(direction, flow);
		if (policy === undefined) return true;
		policy.lifetime.used = this.#now();
		if (policy.action === "block") {
			this.#dropIn(frame, inDevice, "XfrmInPolBlock", "xfrm-policy");
			return false;
		}
		if (!cameBy(policy.templates, path)) {
			this.#dropIn(frame, inDevice, "XfrmInTmplMismatch", "xfrm-policy");
			return false;
		}
		return true;
	}

	#dropIn(frame: Frame, inDevice: InDevice, counter: XfrmCounter, reason: DropReason): void {
		this.stat.counts[counter]++;
		inDevice.device.dropIn(frame, reason, counter);
	}
}

/** The states a packet came by, outermost first. */
const pathOf = (frame: Frame): readonly XfrmState[] =>
	(frame.secPath ?? []).filter((each) => each instanceof XfrmState);

/** Whether each required template, outermost (last) first, has its state on the way (`xfrm_policy_ok`). */
function cameBy(templates: readonly Template[], path: readonly XfrmState[]): boolean {
	let at = 0;
	for (const template of templates.toReversed()) {
		if (template.optional) continue;
		const found = path.findIndex(
			(state, i) =>
				i >= at &&
				(template.spi === 0 || template.spi === state.spi) &&
				(template.reqid === 0 || template.reqid === state.reqid),
		);
		if (found < 0) return false;
		at = found + 1;
	}
	return true;
}
