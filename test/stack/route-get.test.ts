import { describe, expect, test } from "vitest";
import { toIp4 } from "../../src/addr/index.ts";
import { Lab } from "../../src/index.ts";

function host() {
	const lab = new Lab({ seed: 1 });
	const [a, r1] = [lab.netns("a"), lab.netns("r1")];
	const [eth0, other] = lab.veth({ ns: a, name: "eth0" }, { ns: r1, name: "eth0" });
	eth0.addAddress("10.6.1.10/24");
	other.addAddress("10.6.1.1/24");
	eth0.up();
	other.up();
	a.routes.add("default", { via: "10.6.1.1" });
	return { lab, a };
}

// Texts of 10.66.0.1 and 10.6.1.10 as recorded in k6-ip-forwarding, of the others as iproute2 6.1 prints them.
describe("ip route get prints", () => {
	test.each([
		["10.66.0.1", {}, "10.66.0.1 via 10.6.1.1 dev eth0 src 10.6.1.10 uid 0 \n    cache \n"],
		["10.6.1.7", {}, "10.6.1.7 dev eth0 src 10.6.1.10 uid 0 \n    cache \n"],
		["10.6.1.10", {}, "local 10.6.1.10 dev lo src 10.6.1.10 uid 0 \n    cache <local> \n"],
		["127.0.0.1", {}, "local 127.0.0.1 dev lo src 127.0.0.1 uid 0 \n    cache <local> \n"],
		["10.6.1.255", {}, "broadcast 10.6.1.255 dev eth0 src 10.6.1.10 uid 0 \n    cache <local,brd> \n"],
		["224.1.2.3", {}, "multicast 224.1.2.3 dev eth0 src 10.6.1.10 uid 0 \n    cache <mc> \n"],
		["8.8.8.8", { from: "10.6.1.10" }, "8.8.8.8 from 10.6.1.10 via 10.6.1.1 dev eth0 uid 0 \n    cache \n"],
		["8.8.8.8", { mark: 1 }, "8.8.8.8 via 10.6.1.1 dev eth0 src 10.6.1.10 mark 0x1 uid 0 \n    cache \n"],
	])("%s %j", (to, query, text) => {
		expect(host().a.routes.showGet(to, query)).toBe(text);
	});

	test("a learned path MTU and how long it is believed", async () => {
		const { lab, a } = host();
		a.ipv4.pathMtus.learn(toIp4("10.6.3.10", "to"), 1450);
		await lab.advance("500ms");
		expect(a.routes.showGet("10.6.3.10")).toBe(
			"10.6.3.10 via 10.6.1.1 dev eth0 src 10.6.1.10 uid 0 \n    cache expires 599sec mtu 1450 \n",
		);
	});

	test("the table that a rule led to", () => {
		const { a } = host();
		a.rule.add({ to: "9.0.0.0/8", table: 100 });
		a.routes.add("default", { via: "10.6.1.1", table: 100 });
		expect(a.routes.showGet("9.9.9.9")).toContain("dev eth0 table 100 src 10.6.1.10 uid 0");
		expect(a.routes.showGet("8.8.8.8")).toContain("dev eth0 src 10.6.1.10 uid 0");
	});

	test.each([
		["unreachable", "EHOSTUNREACH", "No route to host"],
		["prohibit", "EACCES", "Permission denied"],
		["blackhole", "EINVAL", "Invalid argument"],
	] as const)("an %s route: %s", (type, code, text) => {
		const { a } = host();
		a.routes.add("10.77.0.0/24", { type });
		expect(() => a.routes.showGet("10.77.0.1")).toThrow(
			expect.objectContaining({ code, message: `RTNETLINK answers: ${text}` }) as Error,
		);
	});
});
