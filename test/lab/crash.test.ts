import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

function two() {
	const lab = new Lab({ seed: 1 });
	const attach = lab.switch("lan");
	const host = (name: string, last: number) =>
		lab.host(name, {
			nics: { eth0: { address: `192.0.2.${String(last)}/24`, gateway: "192.0.2.254", attach } },
		});
	return { lab, a: host("a", 1), b: host("b", 2) };
}

describe("a machine that loses power", () => {
	test("says nothing to anybody: no FIN, no reset, and its link is down", async () => {
		const { lab, a, b } = two();
		const server = b.netns.listen({ port: 80 });
		await a.netns.connect({ hostname: "192.0.2.2", port: 80 });
		const accepted = await server.accept();
		const capture = lab.capture("b:eth0");
		a.crash();
		await lab.advance("1s");
		expect(capture.sightings("b:eth0")).toHaveLength(0);
		expect(accepted.socket.state).toBe("established");
		expect(a.netns.device("eth0").carrier).toBe(false);
		expect(a.running).toBe(false);
	});

	test("boots with its cards, addresses and gateway, and with nothing that was made or learned", async () => {
		const { lab, a, b } = two();
		a.docker.networks.create("red");
		const c1 = a.docker.run({ name: "c1", network: "red", publish: ["8080:80"] });
		c1.netns.listen({ port: 80 });
		a.netns.routes.add("198.51.100.0/24", { via: "192.0.2.2" });
		a.netns.ipvsadm("-A -t 192.0.2.1:443 -s rr");
		const stale = await b.netns.connect({ hostname: "192.0.2.1", port: 8080 });
		a.crash();
		await lab.advance("1s");
		a.restart();
		const names = a.netns.devices.map(({ name }) => name);
		expect(names).toEqual(["lo", "eth0"]);
		expect(a.namespaces.size).toBe(0);
		expect(a.netns.routes.show()).toContain("default via 192.0.2.254 dev eth0");
		expect(a.netns.routes.show()).not.toContain("198.51.100.0");
		expect(a.netns.iptablesTool.save()).not.toContain("DOCKER");
		expect(a.netns.conntrack.count()).toBe(0);
		expect(a.netns.ipvsadm("-Ln")).not.toContain("192.0.2.1:443");
		expect((await b.netns.ping("192.0.2.1", { count: 1 })).received).toBe(1);
		// What the other side still believes in is answered by a reset.
		await stale.writable.getWriter().write(Uint8Array.of(1));
		await lab.advance("2s");
		expect(stale.socket.state).toBe("closed");
	});

	test("has an engine anew when it is asked for", () => {
		const { a } = two();
		const before = a.docker;
		before.run({ name: "c1" });
		a.crash();
		a.restart();
		expect(a.docker).not.toBe(before);
		expect(a.docker.containers.ls({ all: true })).toEqual([]);
		expect(a.docker.run({ name: "c1" }).ip()).toBe("172.17.0.2");
	});
});
