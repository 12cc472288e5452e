import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dissect } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";
import { anyPlan, build, type Plan } from "../support/random-lab.ts";

/** Runs of the properties that build whole networks: each is one run of everything in it. */
const NETWORKS = { numRuns: 1000 };

/** Says things between random containers and lets the lab come to rest. */
async function talk(plan: Plan, words: readonly (readonly [number, number, number])[]) {
	const { lab, containers } = build(plan);
	const capture = lab.capture();
	for (const each of containers) {
		each.ns.udp({ port: 4000 }).handler = () => undefined;
	}
	for (const [from, to, octets] of words) {
		const [a, b] = [containers[from % containers.length], containers[to % containers.length]];
		if (a === undefined || b === undefined) continue;
		a.ns.udp().send(new Uint8Array(octets), { address: b.ip, port: 4000 });
		await lab.advance("2ms");
	}
	await lab.advance("90s");
	return { lab, containers, capture };
}

const anyWords = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat({ max: 3000 })), {
	minLength: 1,
	maxLength: 6,
});

describe("random overlays", () => {
	test("no frame of one VNI surfaces in a network of another", async () => {
		await fc.assert(
			fc.asyncProperty(
				anyPlan.map((plan) => ({ ...plan, corrupt: 0 })),
				anyWords,
				async (plan, words) => {
					const { capture, containers } = await talk(plan, words);
					const vniOf = new Map(containers.map((each) => [each.ns.device("eth0").mac as number, each.vni]));
					for (const row of capture.sightings()) {
						const place = capture.interfaces[row.place] ?? "";
						const sandbox = /\/s(\d+):/.exec(place)?.[1];
						if (sandbox === undefined) continue;
						const source = vniOf.get(Number(value(dissect(row.data), "ethernet.src")));
						if (source !== undefined) expect(source).toBe(Number(sandbox));
					}
				},
			),
			NETWORKS,
		);
	});

	test("every frame sent arrives or ends with a reason: at rest none is unaccounted for", async () => {
		await fc.assert(
			fc.asyncProperty(anyPlan, anyWords, async (plan, words) => {
				const { lab } = await talk(plan, words);
				expect(lab.world.frames.taken).toBe(0);
			}),
			NETWORKS,
		);
	});

	test("the same seed gives the same capture, byte for byte", async () => {
		await fc.assert(
			fc.asyncProperty(anyPlan, anyWords, async (plan, words) => {
				const [one, two] = [await talk(plan, words), await talk(plan, words)];
				expect(Buffer.compare(one.capture.toPcapng(), two.capture.toPcapng())).toBe(0);
			}),
			NETWORKS,
		);
	});

	test("without faults a datagram arrives once where its network reaches, and nowhere else", async () => {
		await fc.assert(
			fc.asyncProperty(anyPlan, fc.nat(), fc.nat(), async (plan, from, to) => {
				const { lab, containers } = build({ ...plan, loss: 0, duplicate: 0, corrupt: 0 });
				const [a, b] = [containers[from % containers.length], containers[to % containers.length]];
				if (a === undefined || b === undefined) return;
				const heard: string[] = [];
				for (const each of containers) each.ns.udp({ port: 4000 }).handler = () => heard.push(each.ip);
				a.ns.udp().send(new Uint8Array(8), { address: b.ip, port: 4000 });
				await lab.advance("10s");
				// With proxy but no entry for the MAC the flood to all carries it too.
				expect(heard).toEqual(a.vni === b.vni ? [b.ip] : []);
			}),
			NETWORKS,
		);
	});
});
