import { formatIp4, toIp4 } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { Timer } from "../../sim/index.ts";
import type { Namespace } from "../namespace.ts";
import { Mark } from "./mark.ts";
import { type StateId, type StateOptions, XfrmState } from "./state.ts";
import { stateText, timeOfDay, type XfrmShowOptions } from "./text.ts";
import { Xfrm } from "./xfrm.ts";

/** `ip xfrm state` of one namespace. */
export class XfrmStateCommands {
	readonly #ns: Namespace;
	/** Ends states at their hour. */
	readonly #timers = new WeakMap<XfrmState, Timer>();

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	#xfrm(): Xfrm {
		const xfrm = (this.#ns.ipsec ??= new Xfrm(this.#ns));
		xfrm.onExpired ??= (state) => {
			this.#end(state);
		};
		return xfrm;
	}

	/** `ip xfrm state add …`. Throws `NetError` EEXIST, ENOSYS, EINVAL; RangeError for what cannot be read. */
	add(options: StateOptions): XfrmState {
		const { kernel } = this.#ns;
		const xfrm = this.#xfrm();
		const id = `xfrm/${this.#ns.name}/${String(options.spi)}/${String(options.dst)}`;
		const state = new XfrmState(options, kernel.world.scheduler.now, kernel.rng.fork(id));
		if (this.#find(options) !== undefined) throw fileExists(options);
		kernel.hasEsp = true;
		xfrm.database.addState(state);
		this.#watch(state);
		return state;
	}

	/** `ip xfrm state update …`: of a state that is there, only the limits change (`xfrm_state_update`). Throws `NetError` ESRCH. */
	update(options: StateOptions): XfrmState {
		const state = this.#required(options);
		state.lifetime.limits = options.limit ?? {};
		state.dying = false;
		this.#watch(state);
		return state;
	}

	/** `ip xfrm state delete …`. Throws `NetError` ESRCH for what is not there. */
	del(id: StateId): void {
		this.#end(this.#required(id));
	}

	/** `ip xfrm state flush`. */
	flush(): void {
		for (const state of [...(this.#ns.ipsec?.database.states ?? [])]) this.#end(state);
	}

	/** `ip xfrm state get …`. Throws `NetError` ESRCH for what is not there. */
	get(id: StateId): XfrmState {
		return this.#required(id);
	}

	/** All states, the last one added first. */
	list(): readonly XfrmState[] {
		return this.#ns.ipsec?.database.states ?? [];
	}

	/** What `ip xfrm state` prints, `ip -s xfrm state` with `statistics`. Times are UT. */
	show(options: XfrmShowOptions = {}): string {
		return this.list()
			.map((state) => stateText(state, options, (instant) => wallTime(this.#ns, instant)))
			.join("");
	}

	#find(id: StateId): XfrmState | undefined {
		const [dst, mark] = [toIp4(id.dst, "dst"), new Mark(id.mark)];
		return this.list().find((state) => state.dst === dst && state.spi === id.spi && state.mark.equals(mark));
	}

	#required(id: StateId): XfrmState {
		const state = this.#find(id);
		if (state !== undefined) return state;
		throw new NetError("ESRCH", "RTNETLINK answers: No such process", {
			remedy: "A state is named by dst, proto, spi and, if it has one, mark.",
			context: { dst: formatIp4(toIp4(id.dst, "dst")), spi: id.spi },
		});
	}

	#end(state: XfrmState): void {
		if (state.status === "valid") state.status = "dead";
		this.#timers.get(state)?.cancel();
		this.#ns.ipsec?.database.removeState(state);
	}

	/** Limits in time: looked at each second, as the first use may come at any (`xfrm_timer_handler`). */
	#watch(state: XfrmState): void {
		const { timeSoft = 0, timeHard = 0, timeUseSoft = 0, timeUseHard = 0 } = state.lifetime.limits;
		if (timeSoft + timeHard + timeUseSoft + timeUseHard === 0) return;
		const { scheduler } = this.#ns.kernel.world;
		const known = this.#timers.get(state);
		const timer =
			known ??
			new Timer(() => {
				const { now } = scheduler;
				const { added, used, ends } = state.lifetime;
				if (ends !== undefined && now >= ends) {
					state.status = "expired";
					return this.#end(state);
				}
				const { timeSoft: soft = 0, timeUseSoft: useSoft = 0 } = state.lifetime.limits;
				if (soft > 0 && now >= added + soft * 1e9) state.dying = true;
				if (useSoft > 0 && used !== undefined && now >= used + useSoft * 1e9) state.dying = true;
				scheduler.at(Math.min(ends ?? Infinity, now + 1e9), timer);
			});
		this.#timers.set(state, timer);
		timer.cancel();
		scheduler.at(scheduler.now + 1e9, timer);
	}
}

const fileExists = ({ dst, spi }: StateId): NetError =>
	new NetError("EEXIST", "RTNETLINK answers: File exists", {
		remedy: "Another state has this destination, SPI and mark: delete it, or choose another SPI.",
		context: { dst, spi },
	});

/** An instant of the lab as the time of day on its machines. */
export function wallTime(ns: Namespace, instant: number): string {
	const { epoch } = ns.kernel;
	return timeOfDay(Number((epoch + BigInt(Math.floor(instant))) / 1_000_000_000n));
}
