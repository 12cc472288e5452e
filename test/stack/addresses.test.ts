import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

/** A host with two cards; by eth0 it has a gateway and a network behind another router, in a table of its own, too. */
function host() {
	const lab = new Lab({ seed: 1 });
	const [a, far] = [lab.netns("a"), lab.netns("far")];
	for (const n of ["0", "1"]) {
		const [near, other] = lab.veth({ ns: a, name: `eth${n}` }, { ns: far, name: `eth${n}` });
		near.addAddress(`10.6.${n}.10/24`);
		for (const end of [near, other]) end.up();
	}
	a.routes.add("default", { via: "10.6.0.1" });
	a.routes.add("10.7.0.0/16", { via: "10.6.0.2" });
	a.routes.add("default", { via: "10.6.0.1", table: 7 });
	a.routes.add("10.8.0.0/16", { via: "10.6.1.1" });
	return { a, eth0: a.device("eth0") };
}

const destinations = (routes: string): string[] =>
	routes
		.trimEnd()
		.split("\n")
		.map((line) => line.split(" dev ")[0] ?? "");

// fib_inetaddr_event, fib_disable_ip: net/ipv4/fib_frontend.c.
describe("ip address del", () => {
	test("of a device's last address takes every route by that device along, in every table", () => {
		const { a, eth0 } = host();
		eth0.removeAddress("10.6.0.10/24");
		expect(destinations(a.routes.show())).toEqual(["10.6.1.0/24", "10.8.0.0/16 via 10.6.1.1"]);
		expect(a.routes.show({ table: 7 })).toBe("");
		expect(() => a.routes.add("default", { via: "10.6.0.1" })).toThrow("Nexthop has invalid gateway");
	});

	test("of one among several takes its own routes alone, and what was said by hand stays", () => {
		const { a, eth0 } = host();
		eth0.addAddress("10.9.0.10/24");
		eth0.removeAddress("10.6.0.10/24");
		expect(destinations(a.routes.show())).toEqual([
			"default via 10.6.0.1",
			"10.6.1.0/24",
			"10.7.0.0/16 via 10.6.0.2",
			"10.8.0.0/16 via 10.6.1.1",
			"10.9.0.0/24",
		]);
	});
});
