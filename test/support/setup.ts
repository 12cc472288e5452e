import fc from "fast-check";

const RUNS = 1000;

/** The seed of this run: `FC_SEED=-123 npx vitest run` repeats a failure, otherwise each run draws a new one. */
function seed(): number {
	const wanted = process.env["FC_SEED"];
	if (wanted === undefined) return Date.now() ^ Math.floor(Math.random() * 2 ** 31);
	const number = Number(wanted);
	if (wanted.trim() !== "" && Number.isInteger(number)) return number | 0;
	throw new RangeError(
		`FC_SEED is ${JSON.stringify(wanted)}, expected a whole number as fast-check prints it`,
	);
}

// A failing property prints its seed; giving that seed as FC_SEED repeats every property of the run.
fc.configureGlobal({ numRuns: RUNS, seed: seed() });
