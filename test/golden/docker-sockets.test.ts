import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { type DockerSwarm, dockerSwarm, node, task, webImage } from "../support/docker-swarm.ts";
import { dumps } from "../support/state-dump.ts";

// `ss -lntup` on the recorded swarm (09-ingress): the daemon's sockets are of both families. Left out on both sides is who
// has a socket, and which of two the kernel's hash lists first; on the recorded hosts sshd and containerd, what waited in a
// socket at that moment, and the backlog of the recorded web server.

const TCP_PORT = /-p tcp .*--to-destination 127\.0\.0\.11:\d{5}/g;

const fields = (text: string): string[] =>
	text
		.split("\n")
		.slice(1)
		.filter((line) => line.trim() !== "" && !/sshd|containerd/.test(line))
		.map((line) =>
			line
				.replace(/users:.*/, "")
				.trim()
				.split(/ +/),
		)
		.map(([netid, state, , backlog, ...ends]) =>
			[netid, state, ends.includes("*:80") ? "" : backlog, ...ends].join(" "),
		)
		.sort();

/** Ports of the container's name server are drawn, that for TCP among the odd ones of the range's lower half. */
const drawn = (lines: readonly string[]): string[] =>
	lines
		.map((line) =>
			line.replace(/127\.0\.0\.11:(\d+)/, (_, port: string) =>
				line.startsWith("tcp") ? `127.0.0.11:${shapeOf(Number(port))}` : "127.0.0.11:…",
			),
		)
		.sort();

const shapeOf = (port: number): string =>
	`${port % 2 === 1 ? "odd" : "even"}, ${port < 46_884 ? "lower" : "upper"} half`;

describe("09: ss -lntup", () => {
	let made: DockerSwarm;

	beforeAll(async () => {
		made = await dockerSwarm({ seed: 9 });
		webImage(made.lab);
		await made.swarm.services
			.create({ name: "web", image: "web", replicas: 3, publish: ["8080:80"] })
			.converged();
		await made.lab.advance("20s");
	});

	test.each([1, 2, 3] as const)(
		"on node%i: 7946, the published port, and 2377 where a manager is",
		(number) => {
			const recorded = dumps(`09-ingress/state-node${String(number)}.txt`).get(`host node${String(number)}`);
			const theirs = fields(recorded?.get("ss -lntup") ?? "");
			expect(theirs.filter((line) => line.includes("*:7946 *:*"))).toHaveLength(2);
			expect(fields(node(made, number).netns.ss("-lntup"))).toEqual(theirs);
		},
	);

	test("in a task: its name server's, and the program's, which is of both families", () => {
		const recorded = dumps("09-ingress/state-node2.txt").get("container f22f26666884");
		const web = task(node(made, 2), "web.");
		expect(drawn(fields(web.netns.ss("-lntup")))).toEqual(drawn(fields(recorded?.get("ss -lntup") ?? "")));
	});

	test("every recorded name server's TCP port is an odd one of the lower half, and so are ours", () => {
		const texts = new URL("iptables-save/", import.meta.url);
		const recorded = readdirSync(texts).flatMap(
			(file) => readFileSync(new URL(file, texts), "utf8").match(TCP_PORT) ?? [],
		);
		const ours = made.hosts
			.flatMap((host) => [...host.namespaces.values()])
			.flatMap((ns) => ns.iptablesTool.save().match(TCP_PORT) ?? []);
		for (const found of [recorded, ours]) {
			expect(found.length).toBeGreaterThan(1);
			expect(new Set(found.map((text) => shapeOf(Number(text.slice(-5)))))).toEqual(
				new Set(["odd, lower half"]),
			);
		}
	});
});
