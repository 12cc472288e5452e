export { Driver, type Manner, Operation, type Settle } from "./driver.ts";
export { hashText, keyedHash } from "./hash.ts";
export { Jiffies } from "./jiffies.ts";
export { KernelTimer } from "./kernel-timer.ts";
export { Lane, type Sink } from "./lane.ts";
export { Power } from "./power.ts";
export { Rng } from "./rng.ts";
export { Scheduler, Timer } from "./scheduler.ts";
export {
	type Duration,
	formatDuration,
	type Instant,
	microseconds,
	milliseconds,
	type Nanoseconds,
	parseDuration,
	parseRate,
	seconds,
} from "./time.ts";
