import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { milliseconds, Timer } from "../../src/sim/index.ts";

/** A container on red whose program ends so many milliseconds after each start, and when it started. */
function site(restart: string, lives: readonly number[], exitCode = 1) {
	const lab = new Lab({ seed: 1 });
	const host = lab.host("node");
	const { docker } = host;
	docker.networks.create("red");
	const starts: number[] = [];
	lab.image("job", (container) => {
		const life = lives[starts.length];
		starts.push(Math.round(lab.now / 1e6));
		if (life === undefined) return;
		const end = new Timer(() => {
			container.exit(exitCode);
		});
		lab.world.scheduler.after(milliseconds(life), end);
	});
	const job = docker.run({ name: "job", image: "job", network: "red", restart });
	/** Milliseconds from each end to the next start. */
	const waits = (): number[] => starts.slice(1).map((at, i) => at - (starts[i] ?? 0) - (lives[i] ?? 0));
	return { lab, host, docker, job, starts, waits };
}

describe("a container with --restart", () => {
	test("starts again 100 ms after its program ended, then after twice as long each time", async () => {
		const { lab, docker, job, waits } = site("always", [5, 5, 5, 5]);
		await lab.advance("10s");
		expect(waits()).toEqual([100, 200, 400, 800]);
		expect([job.status, job.restartCount, job.ip()]).toEqual(["running", 4, "172.18.0.2"]);
		expect(docker.containers.inspect(job)).toMatchObject({
			RestartCount: 4,
			HostConfig: { RestartPolicy: { Name: "always", MaximumRetryCount: 0 } },
		});
	});

	test("begins with 100 ms again once it ran for ten seconds, and waits a minute at most", async () => {
		const well = site("always", [5, 5, 11_000, 5]);
		await well.lab.advance("30s");
		expect(well.waits()).toEqual([100, 200, 100, 200]);
		const ill = site("always", Array<number>(14).fill(0));
		await ill.lab.advance("600s");
		expect(ill.waits().slice(8, 12)).toEqual([25_600, 51_200, 60_000, 60_000]);
	});

	test("is restarting meanwhile: shown, without an address, not to be entered or removed", async () => {
		const { lab, docker, job } = site("always", [5]);
		await lab.advance("70ms");
		expect(docker.containers.ls()).toMatchObject([{ name: "job", status: "restarting", ports: "" }]);
		expect(docker.containers.inspect(job).State).toMatchObject({
			Status: "restarting",
			Running: true,
			Restarting: true,
			ExitCode: 1,
		});
		expect(docker.run({ name: "next", network: "red" }).ip()).toBe("172.18.0.2");
		expect(() => job.netns).toThrow(
			`Error response from daemon: Container ${job.id} is restarting, wait until the container is running`,
		);
		expect(() => {
			docker.rm("job");
		}).toThrow(
			`You cannot remove a restarting container ${job.id}. Stop the container before attempting removal or force remove`,
		);
		expect(() => docker.run({ network: "container:job" })).toThrow("is restarting");
		expect(docker.containers.prune()).toEqual([]);
		await lab.advance("60ms");
		expect([job.status, job.ip()]).toEqual(["running", "172.18.0.3"]);
	});

	test("stays stopped once it is stopped or removed, running or not", async () => {
		for (const [after, how] of [
			["1ms", "stop"],
			["70ms", "stop"],
			["70ms", "rm"],
		] as const) {
			const { lab, docker, starts } = site("unless-stopped", [5]);
			await lab.advance(after);
			if (how === "stop") docker.stop("job");
			else docker.rm("job", { force: true });
			await lab.advance("10s");
			expect(starts).toHaveLength(1);
			expect(docker.containers.ls()).toEqual([]);
		}
	});

	test("on-failure: not after code 0, and no more often than said, counted anew when a user starts it", async () => {
		const good = site("on-failure", [5], 0);
		await good.lab.advance("10s");
		expect([good.starts.length, good.job.status]).toEqual([1, "exited"]);
		const bad = site("on-failure:2", [5, 5, 5, 5, 5, 5, 5]);
		await bad.lab.advance("10s");
		expect([bad.starts.length, bad.job.status, bad.job.exitCode]).toEqual([3, "exited", 1]);
		bad.docker.start("job");
		expect(bad.job.restartCount).toBe(0);
		await bad.lab.advance("10s");
		expect(bad.starts).toHaveLength(6);
	});

	test("has exited when it cannot start again", async () => {
		const { lab, docker, job } = site("always", [5]);
		await lab.advance("70ms");
		docker.networks.rm("red");
		await lab.advance("10s");
		expect([job.status, docker.containers.ls()]).toEqual(["exited", []]);
	});

	test("is not started by a host that lost power", async () => {
		const { lab, host, starts } = site("always", [5]);
		await lab.advance("70ms");
		host.crash();
		await lab.advance("10s");
		expect(starts).toHaveLength(1);
	});

	test.each([
		["sometimes", "Error response from daemon: invalid restart policy 'sometimes'"],
		[
			"always:3",
			"Error response from daemon: maximum retry count cannot be used with restart policy 'always'",
		],
		["on-failure:-1", "Error response from daemon: maximum retry count cannot be negative"],
		["on-failure:x", "maximum retry count must be an integer"],
		["a:b:c", "invalid restart policy format"],
	])("refuses %s", (restart, text) => {
		const { docker } = new Lab({ seed: 1 }).host("node");
		expect(() => docker.run({ restart })).toThrow(text);
		expect(docker.containers.ls({ all: true })).toEqual([]);
	});
});
