// npx tsx --conditions=vethwork-source scripts/hostile.ts [SEGMENTS] [SEED]
// A million mutated TCP/IP segments at connections, listeners and closed ports: no exception, no octet from outside of
// the window, no reset beside the next octet, no memory beyond the limits, nothing left. The suite does 20,000 a run.
import { bombard } from "../test/support/hostile-tcp.ts";

const segments = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? 1);
const SHARE = 50_000;
const began = performance.now();
let [done, broken, fullest, taken] = [0, 0, 0, 0];
while (done < segments) {
	const result = await bombard(Math.min(SHARE, segments - done), seed + done);
	done += result.segments;
	fullest = Math.max(fullest, result.fullest);
	taken += result.taken;
	broken += result.broken.length;
	for (const line of result.broken.slice(0, 10)) console.log(line);
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
const memory = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
console.log(
	`${String(done)} segments in ${seconds} s: ${String(broken)} rules broken; ${String(taken)} taken as data; fullest queue ` +
		`${(fullest * 100).toFixed(0)} % of its limit; heap ${String(memory)} MiB`,
);
process.exitCode = broken === 0 ? 0 : 1;
