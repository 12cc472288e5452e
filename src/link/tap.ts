import type { Frame } from "../wire/index.ts";
import type { Device } from "./device.ts";

/** Which way a sighted frame went at its device; the values of pcapng's `epb_flags`. */
export const IN = 1;
export const OUT = 2;
export type Direction = typeof IN | typeof OUT;

/** Looks at what passes a device, as a packet socket does. It must not change, keep or release the frame. */
export interface Tap {
	see(frame: Frame, device: Device, direction: Direction): void;
}

/** Several taps on one device, in the order they came. */
export class TapFan implements Tap {
	readonly taps: readonly Tap[];

	constructor(taps: readonly Tap[]) {
		this.taps = taps;
	}

	see(frame: Frame, device: Device, direction: Direction): void {
		for (const tap of this.taps) tap.see(frame, device, direction);
	}
}

/** The tap that stands for `taps`: none, the one, or a fan. */
export function tapFor(taps: readonly Tap[]): Tap | null {
	return taps.length > 1 ? new TapFan(taps) : (taps[0] ?? null);
}
