import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

function three() {
	const lab = new Lab({ seed: 1 });
	const [left, right] = [lab.switch("left"), lab.switch("right")];
	lab.cable(left, right);
	const host = (name: string, last: number, attach: typeof left) =>
		lab.host(name, { nics: { eth0: { address: `192.0.2.${String(last)}/24`, attach } } });
	return { lab, a: host("a", 1, left), b: host("b", 2, left), c: host("c", 3, right) };
}

describe("a partition of the network", () => {
	test("keeps groups of hosts from hearing each other, whatever switches lie between, until it is healed", async () => {
		const { lab, a, b, c } = three();
		const reasons: string[] = [];
		lab.onDrop(({ place, reason }) => reasons.push(`${place} ${reason}`));
		const fault = lab.partition([a, b], ["c"]);
		expect((await a.netns.ping("192.0.2.2", { count: 1 })).received).toBe(1);
		expect((await a.netns.ping("192.0.2.3", { count: 1 })).received).toBe(0);
		expect(reasons).toContain("c:eth0 partition");
		fault.heal();
		expect((await c.netns.ping("192.0.2.1", { count: 1 })).received).toBe(1);
	});

	test("hosts in no group hear everybody", async () => {
		const { lab, a, b, c } = three();
		lab.partition([a], [c]);
		expect((await b.netns.ping("192.0.2.1", { count: 1 })).received).toBe(1);
		expect((await b.netns.ping("192.0.2.3", { count: 1 })).received).toBe(1);
		expect((await c.netns.ping("192.0.2.1", { count: 1 })).received).toBe(0);
	});

	test("several may hold at once, and each is healed by itself", async () => {
		const { lab, a, b, c } = three();
		const first = lab.partition([a], [b, c]);
		const second = lab.partition([b], [c]);
		first.heal();
		first.heal();
		expect((await a.netns.ping("192.0.2.2", { count: 1 })).received).toBe(1);
		expect((await b.netns.ping("192.0.2.3", { count: 1 })).received).toBe(0);
		second.heal();
		expect((await b.netns.ping("192.0.2.3", { count: 1 })).received).toBe(1);
	});

	test("groups that make no sense are refused", () => {
		const { lab, a, b } = three();
		expect(() => lab.partition([a])).toThrow(RangeError);
		expect(() => lab.partition([a], [])).toThrow("groups of 1, 0 hosts");
		expect(() => lab.partition([a, b], [b])).toThrow("b is in two groups");
		expect(() => lab.partition([a], ["d"])).toThrow('no host "d", there are a, b, c');
		expect(lab.world.partitions).toEqual([]);
	});
});
