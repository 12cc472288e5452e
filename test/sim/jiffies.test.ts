import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Jiffies, seconds } from "../../src/sim/index.ts";

const TICK = 4_000_000;

/** kernel/time/timer.c 6.1, `calc_wheel_index` and `calc_index`, literally. */
function literal(clock: number, expires: number): number {
	const start = (level: number): number => 63 * 2 ** ((level - 1) * 3);
	const delta = expires - clock;
	for (let level = 0; level < 8; level++) {
		if (delta < start(level + 1)) {
			const shift = 2 ** (level * 3);
			return (Math.floor(expires / shift) + 1) * shift;
		}
	}
	return (Math.floor(expires / 2 ** 24) + 1) * 2 ** 24;
}

describe("kernel timers are late as Linux's are", () => {
	test("by the arithmetic of the timer wheel", () => {
		fc.assert(
			fc.property(
				fc.nat({ max: 1e13 }),
				fc.nat({ max: 4e12 }),
				fc.nat({ max: 1e12 }),
				(now, delay, phase) => {
					const jiffies = new Jiffies({ hz: 250, phase });
					const clock = Math.floor((now + phase) / TICK);
					expect(jiffies.expiry(now, delay)).toBe(
						literal(clock, clock + Math.ceil(delay / TICK)) * TICK - phase,
					);
				},
			),
		);
	});

	test.each([
		["a second", 1, 0.996, 1.04],
		["the five seconds before a probe", 5, 4.996, 5.26],
	])("%s comes between the bounds that the recordings show", (_, wait, least, most) => {
		fc.assert(
			fc.property(fc.nat({ max: 1e12 }), fc.nat({ max: 1e12 }), (now, phase) => {
				const late = new Jiffies({ hz: 250, phase }).expiry(now, seconds(wait)) - now;
				expect(late / 1e9).toBeGreaterThan(least);
				expect(late / 1e9).toBeLessThan(most);
			}),
		);
	});
});
