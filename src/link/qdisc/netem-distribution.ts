/** How netem spreads the random part of a delay: evenly, or by one of tc's tables. */
export type Distribution = "uniform" | "normal" | "pareto" | "paretonormal";

/** What one standard deviation is in a table (`NETEM_DIST_SCALE`). */
export const DIST_SCALE = 8192;

/** Steps of the inverse that the tables sample, of which every fourth is kept. */
const STEPS = 16_384;
const KEPT = STEPS / 4;
/** The exponent of tc's Pareto distribution: mean 1.5, deviation 3/4. */
const PARETO = 3;

const tables = new Map<Distribution, Int16Array>();

/**
 * The table of a distribution, as iproute2 makes it when it is built (netem/normal.c, pareto.c, paretonormal.c): 4096
 * values of the inverse of the cumulative distribution, in 8192ths of a deviation. `null` for uniform.
 */
export function distributionTable(distribution: Distribution): Int16Array | null {
	if (distribution === "uniform") return null;
	let table = tables.get(distribution);
	if (table === undefined) tables.set(distribution, (table = makeTable(distribution)));
	return table;
}

function makeTable(distribution: Exclude<Distribution, "uniform">): Int16Array {
	const table = new Int16Array(KEPT);
	if (distribution === "pareto") return table.map((_, i) => pareto(i));
	const inverse = inverseNormal();
	return table.map((_, i) => {
		const normal = clamp(Math.round((inverse[4 * i] ?? 0) * DIST_SCALE));
		// The mixture is a quarter of the one and three quarters of the other, in integers.
		return distribution === "normal"
			? normal
			: clamp(Math.trunc((rawNormal(inverse, i) + 3 * pareto(i)) / 4));
	});
}

const rawNormal = (inverse: Float64Array, i: number): number =>
	Math.round((inverse[4 * i] ?? 0) * DIST_SCALE);

const clamp = (value: number): number => Math.max(-32_768, Math.min(32_767, value));

/** The inverse of the Pareto distribution, mean 0, deviation 1. */
function pareto(i: number): number {
	const rest = (65_536 - 16 * i) / 65_536;
	return Math.round(Math.min(32_767, (1 / Math.pow(rest, 1 / PARETO) - 1.5) * (4 / 3) * DIST_SCALE));
}

/** The largest x for each step of the cumulative normal distribution, by adding up its density. */
function inverseNormal(): Float64Array {
	const inverse = new Float64Array(STEPS + 1);
	const steps = 401_000; // from -10 to 10.05 by 0.00005, as the original walks
	const width = 0.000_05;
	const scale = width / Math.sqrt(2 * Math.PI);
	let sum = 0;
	let density = 0;
	for (let i = 0; i < steps; i++) {
		const x = -10 + i * width;
		const next = Math.exp((-x * x) / 2);
		sum += ((density + next) / 2) * scale;
		density = next;
		inverse[Math.round(STEPS * sum)] = x;
	}
	return inverse;
}
