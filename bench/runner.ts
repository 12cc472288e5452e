/** One question: what does a packet cost on this path? */
export interface BenchCase {
	readonly name: string;
	/** Packets that one slice carries. */
	readonly packets: number;
	/** Builds what is measured and gives one slice of it: a closed loop without allocation of its own. */
	readonly prepare: () => (() => void) | Promise<() => void>;
}

/** The other question: what does it cost to build this, and what stays of it? */
export interface BuildCase {
	readonly name: string;
	/** Things that are built, containers mostly. */
	readonly packets: number;
	/** Builds it once; what it gives is held while memory is measured. */
	readonly build: () => unknown;
}

/** What was measured. */
export interface BenchRow {
	readonly name: string;
	/** Best slice: what the path costs when nothing disturbs it. */
	readonly nsPerPacket: number;
	readonly medianNsPerPacket: number;
	/** Octets of garbage per packet. */
	readonly bytesPerPacket: number;
	/** Octets that stay per thing built, for what is built. */
	readonly keptBytes?: number;
	/** How far the median is above the best, as a share. */
	readonly spread: number;
	/** Best slice against the best calibration slice of the same run: comparable across a noisy day. */
	readonly ratio: number;
}

const SLICES = 60;
const WARM = 20;
const LONGEST_MS = 2500;

/** A fixed piece of work, measured in turn with each case. */
function calibration(): () => void {
	const table = new Uint32Array(4096);
	return () => {
		let x = 1;
		for (let i = 0; i < 400_000; i++) {
			x = Math.imul(x, 1_664_525) + 1_013_904_223;
			table[x >>> 20]! += i;
		}
	};
}

/** Measures one case in pairs with the calibration: minima and medians, never means. */
export async function measure(bench: BenchCase): Promise<BenchRow> {
	const slice = await bench.prepare();
	const calibrate = calibration();
	const times: number[] = [];
	const paces: number[] = [];
	const began = performance.now();
	for (let i = 0; i < WARM && performance.now() - began < LONGEST_MS; i++) {
		slice();
		calibrate();
	}
	const { gc } = globalThis as { readonly gc?: () => void };
	gc?.();
	const heap = process.memoryUsage().heapUsed;
	let counted = 0;
	for (; counted < 10; counted++) slice();
	const garbage = Math.max(0, process.memoryUsage().heapUsed - heap) / (counted * bench.packets);
	const start = performance.now();
	while (times.length < SLICES && (times.length < 10 || performance.now() - start < LONGEST_MS)) {
		const a = performance.now();
		slice();
		const b = performance.now();
		calibrate();
		times.push(b - a);
		paces.push(performance.now() - b);
	}
	times.sort((a, b) => a - b);
	paces.sort((a, b) => a - b);
	const [best, pace] = [times[0] ?? 0, paces[0] ?? 1];
	const median = times[times.length >> 1] ?? 0;
	const ns = (ms: number): number => (ms * 1e6) / bench.packets;
	return {
		name: bench.name,
		nsPerPacket: round(ns(best)),
		medianNsPerPacket: round(ns(median)),
		bytesPerPacket: round(garbage),
		spread: round((median - best) / best, 3),
		ratio: round(best / pace, 3),
	};
}

const round = (value: number, digits = 1): number => Math.round(value * 10 ** digits) / 10 ** digits;

/** Builds once, in CPU time of the process: seconds of it would say of a shared machine what others do. */
export async function measureBuild({ name, packets, build }: BuildCase): Promise<BenchRow> {
	const { gc } = globalThis as { readonly gc?: () => void };
	const calibrate = calibration();
	let pace = Infinity;
	for (let i = 0; i < WARM; i++) {
		const began = performance.now();
		calibrate();
		pace = Math.min(pace, performance.now() - began);
	}
	gc?.();
	const heap = process.memoryUsage().heapUsed;
	const before = process.cpuUsage();
	const built = await build();
	const { user, system } = process.cpuUsage(before);
	gc?.();
	const kept = process.memoryUsage().heapUsed - heap;
	if (built === undefined) throw new Error(`${name} gave nothing to be held`);
	const ns = round(((user + system) * 1000) / packets);
	return {
		name,
		nsPerPacket: ns,
		medianNsPerPacket: ns,
		bytesPerPacket: 0,
		keptBytes: round(kept / packets),
		spread: 0,
		ratio: round((user + system) / 1000 / pace, 3),
	};
}
