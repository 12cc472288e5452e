import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

function engine() {
	const lab = new Lab({ seed: 1 });
	const { docker } = lab.host("node");
	docker.networks.create("red");
	return { lab, docker };
}

describe("what runs in a container", () => {
	test("is the program of its image, from each start on", async () => {
		const { lab, docker } = engine();
		lab.image("echo", ({ netns }) => {
			const socket = netns.udp({ port: 7 });
			socket.handler = (frame, at, octets, source, port) => {
				socket.send(frame.bytes.slice(at, at + octets), { address: source, port });
			};
		});
		const server = docker.run({ name: "server", image: "echo", network: "red" });
		const client = docker.run({ name: "client", network: "red" });
		const said = async (): Promise<string> => {
			const socket = client.netns.udp();
			socket.send(new TextEncoder().encode("hello"), { address: server.ip(), port: 7 });
			const { data } = await socket.receive();
			return new TextDecoder().decode(data);
		};
		expect(await said()).toBe("hello");
		docker.restart(server);
		expect(await said()).toBe("hello");
	});

	test("may end by itself: the container has exited with its code, and what it had is free again", () => {
		const { lab, docker } = engine();
		const codes: number[] = [];
		lab.image("job", (container) => {
			container.onExit((code) => codes.push(code));
		});
		const job = docker.run({ name: "job", image: "job", network: "red", publish: ["8080:80"] });
		job.exit(3);
		expect([job.status, job.exitCode, codes]).toEqual(["exited", 3, [3]]);
		expect(docker.containers.inspect("job").State).toMatchObject({ Running: false, ExitCode: 3 });
		expect(docker.run({ name: "next", network: "red", publish: ["8080:80"] }).ip()).toBe("172.18.0.2");
		job.exit(4);
		expect(codes).toEqual([3]);
	});

	test("ends by SIGTERM when the container is stopped and by SIGKILL when it is removed by force: 143 and 137", () => {
		const { docker } = engine();
		const stopped = docker.run({ name: "stopped", network: "red" });
		docker.stop(stopped);
		expect(docker.containers.inspect("stopped").State).toMatchObject({ Running: false, ExitCode: 143 });
		const removed = docker.run({ name: "removed", network: "red" });
		docker.rm(removed, { force: true });
		expect(removed.exitCode).toBe(137);
	});

	test("keeps the container from starting when it throws, and nothing is left", () => {
		const { lab, docker } = engine();
		lab.image("broken", () => {
			throw new Error("no such file");
		});
		expect(() => docker.run({ name: "broken", image: "broken", network: "red" })).toThrow("no such file");
		expect(docker.containers.ls({ all: true })).toEqual([]);
		expect(docker.run({ name: "next", network: "red" }).ip()).toBe("172.18.0.2");
	});

	test("is asked how it is: three failures in a row are one too many", async () => {
		const { lab, docker } = engine();
		let well = true;
		const heard: string[] = [];
		lab.image("web", (container) => {
			container.probe = () => well;
			container.onHealth((status) => heard.push(`${status} ${String(Math.floor(lab.now / 1e9))}`));
		});
		const web = docker.run({ name: "web", image: "web", healthcheck: { interval: "5s" } });
		expect(web.health).toBe("starting");
		await lab.advance("6s");
		expect(web.health).toBe("healthy");
		well = false;
		await lab.advance("20s");
		expect(web.health).toBe("unhealthy");
		expect(heard).toEqual(["healthy 5", "unhealthy 20"]);
		expect(docker.containers.inspect(web).State.Health).toMatchObject({ Status: "unhealthy" });
		docker.stop(web);
		expect(web.health).toBeUndefined();
	});

	test("may fail while it starts up", async () => {
		const { lab, docker } = engine();
		let well = false;
		lab.image("slow", (container) => {
			container.probe = () => well;
		});
		const healthcheck = { interval: "2s", startPeriod: "30s", retries: 1 };
		const slow = docker.run({ name: "slow", image: "slow", healthcheck });
		await lab.advance("25s");
		expect(slow.health).toBe("starting");
		well = true;
		await lab.advance("3s");
		expect(slow.health).toBe("healthy");
	});
});
