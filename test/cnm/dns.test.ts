import { describe, expect, test } from "vitest";
import { Lab, NetError } from "../../src/index.ts";
import type { Operation } from "../../src/sim/index.ts";
import type { Resolution } from "../../src/apps/index.ts";

function engine() {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const nics = { eth0: { address: "192.0.2.5/24", gateway: "192.0.2.1", attach: lan } };
	const node = lab.host("node", { nics });
	const outside = lab.host("outside", { nics: { eth0: { address: "192.0.2.1/24", attach: lan } } });
	const { docker } = node;
	for (const name of ["red", "blue"]) docker.networks.create(name);
	return { lab, node, docker, outside };
}

const told = (question: Operation<Resolution>): PromiseLike<string> =>
	question.then(
		({ addresses }) => [...addresses].sort().join(" "),
		(error: unknown) => (error instanceof NetError ? error.code : String(error)),
	);

describe("names in containers", () => {
	test("are those of one's own networks, and no others", async () => {
		const { docker } = engine();
		const a = docker.run({ name: "a1", network: "red" });
		docker.run({ name: "b1", network: "red", aliases: ["shared"] });
		docker.run({ name: "c1", network: "blue", aliases: ["shared"] });
		expect(await told(a.resolve("b1"))).toBe("172.18.0.3");
		expect(await told(a.resolve("shared"))).toBe("172.18.0.3");
		expect(await told(a.resolve("b1.red"))).toBe("172.18.0.3");
		expect(await told(a.resolve("c1"))).toBe("EAI_AGAIN");
		expect(await told(a.resolve("c.blue"))).toBe("EAI_AGAIN");
		docker.networks.connect("blue", "a1");
		expect(await told(a.resolve("c1"))).toBe("172.19.0.2");
		docker.networks.disconnect("blue", "a1");
		expect(await told(a.resolve("c1"))).toBe("EAI_AGAIN");
	});

	test("go with the container that has them", async () => {
		const { lab, docker } = engine();
		const a = docker.run({ name: "a1", network: "red" });
		docker.run({ name: "b1", network: "red" });
		docker.stop("b1");
		await lab.advance("60ms");
		expect(await told(a.resolve("b1"))).toBe("EAI_AGAIN");
		docker.start("b1");
		expect(await told(a.resolve("b1"))).toBe("172.18.0.3");
	});

	test("may stand for several: all addresses, in an order that changes", async () => {
		const { docker } = engine();
		const a = docker.run({ name: "a1", network: "red", aliases: ["all"] });
		for (const name of ["b1", "c1", "d1"]) docker.run({ name, network: "red", aliases: ["all"] });
		const orders = new Set<string>();
		for (let i = 0; i < 20; i++) orders.add((await a.resolve("all")).addresses.join(" "));
		expect(orders.size).toBeGreaterThan(5);
		expect(await told(a.resolve("all"))).toBe("172.18.0.2 172.18.0.3 172.18.0.4 172.18.0.5");
	});

	test("--link gives a name of one's own choice to one container alone", async () => {
		const { docker } = engine();
		docker.run({ name: "db", network: "red" });
		const a = docker.run({ name: "a1", network: "red", links: ["db:store"] });
		const b = docker.run({ name: "b1", network: "red" });
		expect(await told(a.resolve("store"))).toBe("172.18.0.2");
		expect(await told(b.resolve("store"))).toBe("EAI_AGAIN");
	});

	test("--add-host goes into /etc/hosts, which is read first, and not to the server", async () => {
		const { docker } = engine();
		const a = docker.run({ name: "a1", network: "red", addHost: ["db:203.0.113.9"] });
		expect(await told(a.resolve("db"))).toBe("203.0.113.9");
		expect(a.netns.files.get("/etc/hosts")).toContain("203.0.113.9\tdb\n");
	});

	test("--add-host NAME:host-gateway is docker0's address, or what the daemon says", async () => {
		const { docker } = engine();
		const a = docker.run({ name: "a1", network: "red", addHost: ["host.docker.internal:host-gateway"] });
		expect(await told(a.resolve("host.docker.internal"))).toBe("172.17.0.1");
		const other = new Lab({ seed: 1 }).host("n", { docker: { hostGatewayIp: "203.0.113.5" } }).docker;
		const b = other.run({ addHost: ["h:host-gateway", "six:2001:db8::1"] });
		expect(b.netns.files.get("/etc/hosts")).toContain("203.0.113.5\th\n2001:db8::1\tsix\n");
	});

	test("do not exist on the default bridge", () => {
		const { docker } = engine();
		const a = docker.run({ name: "a1" });
		docker.run({ name: "b1" });
		expect(a.netns.files.get("/etc/resolv.conf")).toBe("nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
		expect(a.dns).toBeUndefined();
	});

	test("that are strange are asked outside, from the container's own address, masqueraded by the host", async () => {
		const { lab, node, docker, outside } = engine();
		node.netns.files.set("/etc/resolv.conf", "nameserver 192.0.2.1\n");
		const asked: string[] = [];
		const server = outside.netns.udp({ port: 53 });
		server.handler = (frame, at, octets, source, port) => {
			const bytes = frame.bytes.slice(at, at + octets);
			bytes[2] = 0x81;
			bytes[3] = 0x83; // NXDOMAIN
			asked.push(String(source));
			server.send(bytes, { address: source, port });
		};
		const a = docker.run({ name: "a1", network: "red" });
		expect(await told(a.resolve("www.example.org"))).toBe("EAI_NONAME");
		expect(asked).toEqual([String(0xc000_0205 | 0)]);
		await lab.advance("10s");
	});

	test("stay unanswered when nobody outside answers, and the asker tries again after five seconds", async () => {
		const { lab, node, docker } = engine();
		node.netns.files.set("/etc/resolv.conf", "nameserver 192.0.2.1\n");
		const a = docker.run({ name: "a1", network: "red" });
		const began = lab.now;
		expect(await told(a.resolve("www.example.org"))).toBe("EAI_AGAIN");
		expect(Math.round((lab.now - began) / 1e9)).toBe(10);
	});

	test("--dns, --dns-search and --dns-opt say otherwise", () => {
		const { docker } = engine();
		const about = { dns: ["203.0.113.53"], dnsSearch: ["x.org"], dnsOptions: ["ndots:2"] };
		const a = docker.run({ name: "a1", network: "red", ...about });
		const b = docker.run({ name: "b1", ...about });
		const rest = "options ndots:2\n";
		expect(a.netns.files.get("/etc/resolv.conf")).toBe(`search x.org\nnameserver 127.0.0.11\n${rest}`);
		expect(b.netns.files.get("/etc/resolv.conf")).toBe(`search x.org\nnameserver 203.0.113.53\n${rest}`);
		const c = docker.run({ name: "c1", network: "red", dnsSearch: ["."] });
		expect(c.netns.files.get("/etc/resolv.conf")).toBe("nameserver 127.0.0.11\noptions ndots:0\n");
	});

	test("by TCP, too: a message has its length in front", async () => {
		const { docker } = engine();
		const a = docker.run({ name: "a1", network: "red" });
		docker.run({ name: "b1", network: "red" });
		const stream = await a.netns.connect({ hostname: "127.0.0.11", port: 53 });
		const writer = stream.writable.getWriter();
		const query = [0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0x62, 0x31, 0, 0, 1, 0, 1];
		await writer.write(Uint8Array.from([0, query.length, ...query]));
		const { value } = await stream.readable.getReader().read();
		expect([...(value ?? [])].slice(-4)).toEqual([172, 18, 0, 3]);
		expect([...(value ?? [])].slice(0, 4)).toEqual([0, 38, 0, 9]);
	});
});
