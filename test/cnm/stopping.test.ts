import { describe, expect, test } from "vitest";
import { Lab, type NetError } from "../../src/index.ts";
import { ipv4, tcp } from "../../src/wire/index.ts";

/** A web server that holds what comes to it, on `red` and at port 8080 of its host, and who speaks to it. */
async function site() {
	const lab = new Lab({ seed: 1 });
	const attach = lab.switch("lan");
	const host = lab.host("node", { nics: { eth0: { address: "192.0.2.1/24", attach } } });
	const far = lab.host("far", { nics: { eth0: { address: "192.0.2.2/24", attach } } });
	const { docker } = host;
	docker.networks.create("red");
	lab.image("web", ({ netns }) => {
		netns.tcp.listen({ port: 80 }).onConnection = () => undefined;
	});
	const web = docker.run({ name: "web", image: "web", network: "red", publish: ["8080:80"] });
	const client = docker.run({ name: "client", network: "red" });
	const near = client.netns.tcp.connect({ address: web.ip(), port: 80 });
	const outside = far.netns.tcp.connect({ address: "192.0.2.1", port: 8080 });
	await lab.advance("10s");
	const capture = lab.capture("node*:*");
	const began = lab.now;
	/** TCP segments at an interface, from here on: "FA from .2 at 0 us". */
	const segments = (place: string): string[] =>
		capture.sightings(place).flatMap(({ data, time }) => {
			const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
			if (view.getUint16(12) !== 0x0800 || ipv4.protocol(view, 14) !== 6) return [];
			const flags = tcp.flags(view, 34);
			const names = ["F", "S", "R", "P", "A"].filter((_, bit) => (flags & (1 << bit)) !== 0).join("");
			return [`${names} from .${String(ipv4.source(view, 14) & 255)} at ${String((time - began) / 1000)} us`];
		});
	return { lab, host, far, docker, web, client, near, outside, segments };
}

describe("a container that stops", () => {
	test("says FIN on all its interfaces, hears the answers, and then its interface goes", async () => {
		const { lab, host, docker, segments, near, outside } = await site();
		const onBridge = (): number =>
			host.netns.bridge(`br-${docker.networks.inspect("red").Id.slice(0, 12)}`).ports.length;
		docker.stop("web");
		await lab.advance("40ms");
		expect([near.state, outside.state]).toEqual(["close-wait", "close-wait"]);
		expect(segments("node:eth0").map((each) => each.replace(/ at .*/, ""))).toEqual([
			"FA from .1",
			"A from .2",
		]);
		expect(segments("node/web:eth0").map((each) => each.replace(/ at .*/, ""))).toEqual([
			"FA from .2",
			"FA from .2",
			"A from .2",
			"A from .3",
		]);
		expect(segments("node/client:eth0")[0]).toBe("FA from .2 at 10 us");
		expect(onBridge()).toBe(2);
		await lab.advance("20ms");
		expect(onBridge()).toBe(1);
		expect([...host.namespaces.keys()]).toEqual(["client"]);
		// Who closes now says so again and again, and nobody answers.
		const before = segments("node/client:eth0").length;
		near.close();
		await lab.advance("1s");
		const later = segments("node/client:eth0").slice(before);
		expect(later.length).toBeGreaterThan(2);
		expect(later.filter((each) => !each.startsWith("FA from .3"))).toEqual([]);
	});

	test("has stopped for docker's commands at once, while the kernel still has what was its", async () => {
		const { lab, host, docker, client } = await site();
		const rules = (): number => host.netns.iptablesTool.save().match(/8080/g)?.length ?? 0;
		const before = rules();
		docker.stop("web");
		expect(docker.containers.ls().map(({ name }) => name)).toEqual(["client"]);
		expect(docker.containers.inspect("web").State.Status).toBe("exited");
		expect(docker.containers.inspect("web").NetworkSettings).toMatchObject({ Ports: {}, IPAddress: "" });
		expect(Object.values(docker.networks.inspect("red").Containers ?? {}).map(({ Name }) => Name)).toEqual([
			"client",
		]);
		expect(() => docker.containers.get("web").netns).toThrow("is not running");
		expect(rules()).toBe(before);
		expect((await client.resolve("web")).addresses).toEqual(["172.18.0.2"]);
		await lab.advance("60ms");
		expect(rules()).toBe(0);
		await expect(client.resolve("web")).rejects.toThrow();
	});

	test("refuses new connections while it has its interface, and hears none later", async () => {
		const { lab, docker, client } = await site();
		docker.stop("web");
		const connect = () =>
			client.netns
				.connect({ hostname: "172.18.0.2", port: 80 })
				.catch((error: unknown) => (error as NetError).code);
		expect(await connect()).toBe("ECONNREFUSED");
		await lab.advance("60ms");
		expect(await connect()).toBe("EHOSTUNREACH");
	});

	test("says RST where it had not read what came", async () => {
		const { lab, docker, segments, near } = await site();
		near.write(new TextEncoder().encode("hello"));
		await lab.advance("100ms");
		docker.stop("web");
		await lab.advance("10ms");
		expect(segments("node/client:eth0").at(-1)).toMatch(/^RA? from \.2/);
		expect(near.state).toBe("closed");
	});

	test("by itself and by docker rm -f says the same", async () => {
		for (const end of ["exit", "rm"] as const) {
			const { lab, docker, web, near, host } = await site();
			if (end === "exit") web.exit(1);
			else docker.rm("web", { force: true });
			await lab.advance("10ms");
			expect(near.state).toBe("close-wait");
			await lab.advance("50ms");
			expect([...host.namespaces.keys()]).toEqual(["client"]);
			expect(docker.containers.ls({ all: true })).toHaveLength(end === "exit" ? 2 : 1);
		}
	});
});

describe("what is asked for right after", () => {
	test("a restart: the FINs have left, and what answers them meets a kernel that knows no such connection", async () => {
		const { lab, docker, web, segments, near } = await site();
		docker.restart("web");
		expect([web.running, web.ip()]).toEqual([true, "172.18.0.2"]);
		await lab.advance("10ms");
		expect(segments("node/client:eth0").map((each) => each.replace(/ at .*/, ""))).toEqual([
			"FA from .2",
			"A from .2",
			"A from .3",
			"R from .2",
		]);
		expect(near.state).toBe("closed");
		const again = await docker.containers.get("client").netns.connect({ hostname: "172.18.0.2", port: 80 });
		expect(again.socket.state).toBe("established");
	});

	test("another container finds the address, the port and the name free, and the FINs have left", async () => {
		const { lab, docker, near } = await site();
		docker.rm("web", { force: true });
		const next = docker.run({ name: "web", network: "red", publish: ["8080:80"] });
		expect([next.ip(), docker.port("web", "80")[0]]).toEqual(["172.18.0.2", "0.0.0.0:8080"]);
		await lab.advance("1ms");
		expect(near.ended).toBe(true);
	});

	test("the network may be removed, or left and removed", async () => {
		for (const leave of [false, true]) {
			const { lab, docker, host } = await site();
			docker.rm("client", { force: true });
			if (leave) {
				docker.stop("web");
				docker.networks.disconnect("red", "web");
			} else docker.rm("web", { force: true });
			docker.networks.rm("red");
			expect(host.netns.devices.map(({ name }) => name)).toEqual(["lo", "eth0", "docker0"]);
			await lab.advance("1s");
			expect([...host.namespaces.keys()]).toEqual([]);
			expect(lab.world.frames.taken).toBe(0);
		}
	});

	test("a host that loses power meanwhile takes nothing away when it is back", async () => {
		const { lab, host, docker } = await site();
		docker.stop("web");
		host.crash();
		host.restart();
		host.docker.networks.create("red");
		const { netns } = host.docker.run({ name: "web", network: "red" });
		await lab.advance("1s");
		expect(netns.device("eth0").isUp).toBe(true);
		expect([...host.namespaces.keys()]).toEqual(["web"]);
	});
});
