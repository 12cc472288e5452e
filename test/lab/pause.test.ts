import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { Timer } from "../../src/sim/index.ts";

function two() {
	const lab = new Lab({ seed: 1 });
	const attach = lab.switch("lan");
	const host = (name: string, last: number) =>
		lab.host(name, { nics: { eth0: { address: `192.0.2.${String(last)}/24`, attach } } });
	return { lab, a: host("a", 1), b: host("b", 2) };
}

describe("a machine that is paused", () => {
	test("loses what comes and answers again when it goes on", async () => {
		const { lab, a, b } = two();
		const reasons: string[] = [];
		lab.onDrop(({ place, reason }) => reasons.push(`${place} ${reason}`));
		b.pause();
		expect((await a.netns.ping("192.0.2.2", { count: 1, timeout: "1s" })).received).toBe(0);
		expect(new Set(reasons)).toContain("b:eth0 machine-paused");
		b.resume();
		await lab.advance("5s");
		expect((await a.netns.ping("192.0.2.2", { count: 1 })).received).toBe(1);
	});

	test("fires the timers that came due meanwhile when it goes on, in their order, but none that was taken back", async () => {
		const { lab, b } = two();
		const fired: string[] = [];
		const timer = (name: string, ms: number): Timer => {
			const made = new Timer(() => fired.push(`${name} ${String(Math.round(lab.now / 1e6))}`));
			b.kernel.arm(made, ms * 1e6);
			return made;
		};
		timer("late", 3000);
		timer("second", 800);
		timer("first", 400);
		const gone = timer("gone", 500);
		b.pause();
		await lab.advance("1s");
		expect(fired).toEqual([]);
		gone.cancel();
		b.resume();
		await lab.advance("4s");
		expect(fired.map((each) => each.split(" ")[0])).toEqual(["first", "second", "late"]);
		expect(fired[0]).toBe("first 1000");
	});

	test("keeps its connections: TCP sends again what was lost", async () => {
		const { lab, a, b } = two();
		const server = b.netns.listen({ port: 80 });
		const stream = await a.netns.connect({ hostname: "192.0.2.2", port: 80 });
		const accepted = await server.accept();
		b.pause();
		await stream.writable.getWriter().write(new TextEncoder().encode("hello"));
		await lab.advance("3s");
		expect(accepted.socket.readable).toBe(0);
		b.resume();
		await lab.advance("10s");
		expect(new TextDecoder().decode(accepted.socket.read())).toBe("hello");
	});
});
