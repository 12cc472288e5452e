import { describe, expect, test } from "vitest";
import { type DockerSwarm, dockerSwarm, webImage } from "../support/docker-swarm.ts";
import { Client, type Request } from "../support/requests.ts";

// Clients of Node's http ask Node's servers in a service's tasks, through nodes at random, while something goes on. Each
// answer is right, or is missing for a reason that a real swarm has as well and that the lab can tell.

const NODES = ["172.31.1.5", "172.31.1.6", "172.31.1.7"];
const PORT = 8080;

/** A published service of that many tasks with its client; image `web:2` says so. */
async function published(seed: number, replicas: number, more: object = {}) {
	const made = await dockerSwarm({ seed });
	const { lab, swarm, outside } = made;
	webImage(lab, "web");
	webImage(lab, "web:2", " v2");
	const web = swarm.services.create({ name: "web", image: "web", replicas, publish: ["8080:80"], ...more });
	await web.converged();
	return { ...made, web, client: new Client(lab, outside) };
}

const failed = (requests: readonly Request[]): Request[] =>
	requests.filter(({ failure }) => failure !== undefined);

/** Hostnames of all containers of the swarm, past and present: what an answer may say. */
const answers = (requests: readonly Request[]): string[] => [
	...new Set(requests.flatMap(({ body }) => (body === undefined ? [] : [body]))),
];

/** How many tasks answered, by what the nodes balance. */
const balanced = ({ hosts }: DockerSwarm): string[][] =>
	hosts.map(({ namespaces }) =>
		[...(namespaces.get("ingress_sbox")?.ipvsadm("-Ln") ?? "").matchAll(/-> (\S+):0 +Masq +(\d+)/g)].map(
			([, address, weight]) => `${address ?? ""} ${weight ?? ""}`,
		),
	);

describe("requests while a service changes", () => {
	test("up to six tasks and down to two: nobody notices; each node gives turns to all", async () => {
		const story = await published(4, 3);
		const { web, client } = story;
		web.scale(6);
		const up = await client.ask(NODES, PORT, 40, 100);
		const six = await client.ask(NODES.slice(0, 1), PORT, 12, 20);
		web.scale(2);
		const down = await client.ask(NODES, PORT, 60, 80);
		expect(failed([...up, ...six, ...down])).toEqual([]);
		const turns = answers(six).map((body) => six.filter((each) => each.body === body).length);
		expect(turns).toEqual([2, 2, 2, 2, 2, 2]);
		expect(answers(down.slice(-20))).toHaveLength(2);
		for (const list of balanced(story)) expect(list).toHaveLength(2);
	});

	test.each([
		["stop-first", 1],
		["start-first", 2],
	] as const)(
		"a rolling update, %s: no request fails, never fewer than %i tasks have weight",
		async (order, least) => {
			const story = await published(5, 2, { updateOrder: order });
			const { web, client, lab } = story;
			web.update({ image: "web:2" });
			let fewest = Infinity;
			const all: Request[] = [];
			while (all.length < 120 && web.object?.updateStatus?.state !== "completed") {
				all.push(...(await client.ask(NODES, PORT, 1, 150)));
				for (const list of balanced(story))
					fewest = Math.min(fewest, list.filter((line) => !line.endsWith(" 0")).length);
			}
			expect(web.object?.updateStatus?.state).toBe("completed");
			expect(failed(all)).toEqual([]);
			expect(fewest).toBe(least);
			const after = await client.ask(NODES, PORT, 6, 20);
			expect(answers(after).map((body) => body.endsWith(" v2"))).toEqual([true, true]);
			expect(lab.now / 1e9).toBeLessThan(60);
		},
	);

	test("a task that winds down has weight 0 for two seconds: who talks to it ends in peace", async () => {
		const story = await published(6, 2);
		const { web, client, lab, hosts } = story;
		const { body } = await client.get("172.31.1.5", PORT);
		// A connection to either task stays open, and asks again a second later.
		const streams = await Promise.all(
			[0, 1].map(() => story.outside.netns.connect({ hostname: "172.31.1.5", port: PORT })),
		);
		web.scale(1);
		await lab.advance("1s");
		const weights = balanced(story).map((list) => list.map((line) => line.split(" ")[1]).sort());
		expect(weights).toEqual(hosts.map(() => ["0", "1"]));
		const said: string[] = [];
		for (const stream of streams) {
			const writer = stream.writable.getWriter();
			await writer.write(
				new TextEncoder().encode("GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"),
			);
			let text = "";
			for await (const chunk of stream.readable) text += new TextDecoder().decode(chunk);
			said.push(text.split("\r\n\r\n")[1] ?? "");
		}
		expect(new Set(said).size).toBe(2);
		expect(body).toBeDefined();
		expect(failed(await client.ask(NODES, PORT, 20, 200))).toEqual([]);
		expect(balanced(story).map((list) => list.length)).toEqual([1, 1, 1]);
	});
});

describe("requests while something fails", () => {
	/** Failures are of those seconds in which the others did not know yet, and the lab knows where each one ended. */
	function expectExplained(
		client: Client,
		requests: readonly Request[],
		since: number,
		within: number,
	): void {
		for (const each of failed(requests)) {
			expect(each.begin - since, `${each.failure ?? ""} ${client.why(each).join()}`).toBeLessThan(within);
			expect(client.why(each)).not.toEqual([]);
		}
	}

	test("a worker loses power: some seconds of lost packets at most, then its task is another node's", async () => {
		const { lab, web, client, hosts, swarm } = await published(8, 2, { constraints: ["node.role==worker"] });
		const others = [NODES[0] ?? "", NODES[2] ?? ""];
		const since = lab.now / 1e9;
		hosts[1]?.crash();
		const during = await client.ask(others, PORT, 60, 150);
		expect(failed(during).length).toBeGreaterThan(0);
		expectExplained(client, during, since, 7);
		expect(failed(during).map(({ failure }) => failure)).toEqual(failed(during).map(() => "timeout"));
		await lab.advance(Math.max(0, 25_000 - (lab.now / 1e6 - since * 1e3)));
		expect(swarm.nodes.ls().map(({ status }) => status)).toEqual(["Ready", "Down", "Ready"]);
		expect(
			web
				.ps()
				.filter(({ desiredState }) => desiredState === "Running")
				.map((line) => line.node),
		).toEqual(["node3", "node3"]);
		const settled = await client.ask(others, PORT, 10, 50);
		expect(failed(settled)).toEqual([]);
		expect(answers(settled)).toHaveLength(2);
		// It boots, and publishes again.
		hosts[1]?.restart();
		await lab.advance("10s");
		expect(swarm.nodes.ls().map(({ status }) => status)).toEqual(["Ready", "Ready", "Ready"]);
		const back = await client.ask(NODES, PORT, 12, 50);
		expect(failed(back)).toEqual([]);
		expect(answers(back)).toHaveLength(2);
	});

	test("a node is cut off from the others and comes back", async () => {
		const { lab, client, hosts, outside } = await published(4, 2);
		const [node1, node2, node3] = hosts;
		if (node1 === undefined || node2 === undefined || node3 === undefined) throw new Error("three nodes");
		const since = lab.now / 1e9;
		const fault = lab.partition([node1, node2, outside], [node3]);
		const during = await client.ask(NODES.slice(0, 2), PORT, 100, 250);
		expectExplained(client, during, since, 7);
		expect(failed(await client.ask(NODES.slice(0, 2), PORT, 10, 50))).toEqual([]);
		fault.heal();
		const healed = lab.now / 1e9;
		// What its push/pull brought before the others were alive to it counts for nothing: the next ones, 30 s later, do.
		const after = await client.ask(NODES, PORT, 60, 1000);
		expectExplained(client, after, healed, 60);
		expect(failed(await client.ask(NODES, PORT, 12, 50))).toEqual([]);
	});

	test("a task's program ends: reset or refused for a moment, another one five seconds later", async () => {
		const { lab, web, client, hosts } = await published(9, 1);
		const runs = hosts.find(({ docker }) =>
			docker.containers.ls().some(({ name }) => name.startsWith("web.1")),
		);
		if (runs === undefined) throw new Error("it runs somewhere");
		const since = lab.now / 1e9;
		const [line] = runs.docker.containers.ls();
		runs.docker.containers.get(line?.name ?? "").exit(1);
		const during = await client.ask(NODES, PORT, 60, 100);
		expect(failed(during).length).toBeGreaterThan(0);
		for (const each of failed(during)) expect(client.why(each)).not.toEqual([]);
		const first = during.find(({ body, begin }) => body !== undefined && begin > since);
		expect((first?.begin ?? 0) - since).toBeGreaterThan(5);
		expect((first?.begin ?? 0) - since).toBeLessThan(6.5);
		expect(web.ps().map(({ error }) => error)).toEqual(["", '"task: non-zero exit (1)"']);
	});

	test("a container that is ill: nobody is sent to it, and it is replaced", async () => {
		const made = await dockerSwarm({ seed: 10 });
		const { lab, swarm, outside } = made;
		const ill = new Set<string>();
		lab.image("web", (container) => {
			container.probe = () => !ill.has(container.hostname);
			container.netns.listen({ port: 80 });
		});
		const web = swarm.services.create({
			name: "web",
			image: "web",
			replicas: 2,
			publish: ["8080:80"],
			healthcheck: { interval: "2s", retries: 2 },
		});
		await lab.advance("1s");
		// Not healthy yet: nobody is sent to it.
		expect(balanced(made)).toEqual([[], [], []]);
		const early = new Client(lab, outside);
		const refused = await early.get("172.31.1.5", PORT);
		expect(refused.body).toBeUndefined();
		expect(early.why(refused)).not.toEqual([]);
		await web.converged();
		expect(balanced(made).map((list) => list.length)).toEqual([2, 2, 2]);
		const runs = made.hosts.flatMap(({ docker }) =>
			docker.containers.ls().map(({ name }) => docker.containers.get(name)),
		);
		ill.add(runs[0]?.hostname ?? "");
		await lab.advance("5s");
		expect(balanced(made).map((list) => list.filter((line) => line.endsWith(" 1")).length)).toEqual([
			1, 1, 1,
		]);
		await lab.advance("15s");
		expect(balanced(made).map((list) => list.length)).toEqual([2, 2, 2]);
		expect(
			web
				.ps()
				.map(({ error }) => error)
				.filter((error) => error !== ""),
		).toEqual(['"task: non-zero exit (143): do…"']);
	});
});
