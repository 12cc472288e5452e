import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Container } from "../../src/cnm/index.ts";
import type { Netns } from "../../src/index.ts";
import { get, INGRESS, web, WEB } from "../support/ingress-mesh.ts";
import { mesh, type MeshNode } from "../support/mesh.ts";

/** A replica of the service: where it runs and how far it is. */
interface Replica {
	readonly node: MeshNode;
	readonly name: string;
	readonly container: Container<Netns>;
	state: "starting" | "healthy" | "winding down" | "gone";
}

/** What happens to a swarm: a replica starts on a node, or one of those there goes on a step. */
const anyEvent = fc.oneof(
	{ weight: 2, arbitrary: fc.record({ kind: fc.constant("start" as const), node: fc.nat(9) }) },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant("step" as const), replica: fc.nat(9) }) },
);

const anyHistory = fc.record({
	nodes: fc.integer({ min: 1, max: 4 }),
	/** Nodes that join when so many events were. */
	late: fc.nat(6),
	events: fc.array(anyEvent, { minLength: 1, maxLength: 12 }),
});

type History = typeof anyHistory extends fc.Arbitrary<infer T> ? T : never;

/** Plays a history on a swarm with a service published at 8080. */
function play({ nodes: count, late, events }: History) {
	const swarm = mesh({ count });
	const addresses = Array.from({ length: count }, (_, i) => `10.0.0.${String(10 + i)}`);
	const join = (i: number): void => void swarm.nodes[i]?.addNetwork(INGRESS, addresses[i] ?? "");
	const last = count - 1;
	for (let i = 0; i < last || i === 0; i++) join(i);
	const replicas: Replica[] = [];
	for (const [n, event] of events.entries()) {
		if (n === late && last > 0) join(last);
		if (event.kind === "start") {
			const here = swarm.nodes.filter((_, i) => i === 0 || i < last || n >= late);
			const node = here[event.node % here.length];
			if (node === undefined) continue;
			const name = `web.${String(replicas.length + 1)}.task`;
			const place = { ip: `10.0.0.${String(20 + replicas.length)}`, service: WEB };
			const container = node.run({ name, on: { ingress: place } });
			web(container.netns, name);
			replicas.push({ node, name, container, state: "starting" });
		} else if (replicas.length > 0) {
			const replica = replicas[event.replica % replicas.length];
			if (replica !== undefined) step(replica);
		}
	}
	if (late >= events.length && last > 0) join(last);
	const healthy = replicas.filter(({ state }) => state === "healthy").map(({ name }) => name);
	return { ...swarm, replicas, healthy };
}

function step(replica: Replica): void {
	const { node, container } = replica;
	switch (replica.state) {
		case "starting":
			node.activate(container);
			replica.state = "healthy";
			return;
		case "healthy":
			node.deactivate(container);
			replica.state = "winding down";
			return;
		case "winding down":
			node.stop(container);
			replica.state = "gone";
			return;
		case "gone":
	}
}

describe("the ingress mesh, whatever happened before", () => {
	test("a published port answers on every node while there is a healthy replica, in turns, and on none without", async () => {
		await fc.assert(
			fc.asyncProperty(anyHistory, async (history) => {
				const { nodes, healthy, lab, lan } = play(history);
				const { netns } = lab.host("outside", { nics: { eth0: { address: "172.31.1.1/24", attach: lan } } });
				for (const { ip } of nodes) {
					const turns = 2 * healthy.length + 1;
					const answers: string[] = [];
					for (let i = 0; i < turns; i++) answers.push(await get(netns, ip, 8080).catch(refusal));
					if (healthy.length === 0) {
						expect(answers).toEqual(["ECONNREFUSED"]);
						continue;
					}
					const counts = healthy.map((name) => answers.filter((answer) => answer === name).length);
					expect(counts.reduce((sum, n) => sum + n, 0)).toBe(turns);
					expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
				}
			}),
			{ numRuns: 25 },
		);
	});

	test("a connection goes on while its replica winds down, and no new one comes to it", async () => {
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 2, max: 4 }), fc.nat(3), fc.nat(3), async (count, at, by) => {
				const swarm = mesh({ count });
				for (const [i, node] of swarm.nodes.entries()) node.addNetwork(INGRESS, `10.0.0.${String(10 + i)}`);
				const home = swarm.nodes[at % count];
				const entry = swarm.nodes[by % count];
				if (home === undefined || entry === undefined) return;
				const run = (name: string, ip: string) => {
					const container = home.run({ name, on: { ingress: { ip, service: WEB } } });
					home.activate(container);
					return container;
				};
				const [leaving, staying] = [run("leaving", "10.0.0.20"), run("staying", "10.0.0.21")];
				for (const { name, netns } of [leaving, staying])
					netns.tcp.listen({ port: 80 }).onConnection = (socket) => {
						socket.onReadable = () => {
							if (socket.read().length > 0) socket.write(new TextEncoder().encode(name));
						};
					};
				const { netns } = swarm.lab.host("outside", {
					nics: { eth0: { address: "172.31.1.1/24", attach: swarm.lan } },
				});
				const talk = async () => {
					const stream = await netns.connect({ hostname: entry.ip, port: 8080 });
					const [writer, reader] = [stream.writable.getWriter(), stream.readable.getReader()];
					return async (): Promise<string> => {
						await writer.write(Uint8Array.of(1));
						return new TextDecoder().decode((await reader.read()).value);
					};
				};
				const talks = [await talk(), await talk()];
				const first = await Promise.all(talks.map((each) => each()));
				expect([...first].sort()).toEqual(["leaving", "staying"]);
				home.deactivate(leaving);
				expect(await Promise.all(talks.map((each) => each()))).toEqual(first);
				for (let i = 0; i < 3; i++) expect(await (await talk())()).toBe("staying");
			}),
			{ numRuns: 8 },
		);
	});

	test("when all is over, nothing of it is left on any node but the chains and the rule for sources", () => {
		fc.assert(
			fc.property(anyHistory, (history) => {
				const { nodes, replicas } = play(history);
				for (const replica of replicas) while (replica.state !== "gone") step(replica);
				for (const node of nodes) {
					const { host } = node;
					expect(host.netns.iptablesTool.save()).not.toContain("8080");
					const sandbox = node.balancer("ingress");
					expect(sandbox.iptablesTool.save()).not.toMatch(/MARK/);
					expect(sandbox.ipvsadm("-Ln")).not.toContain("FWM");
					expect(sandbox.routes.show({ table: "local" })).not.toContain("10.0.0.5");
					host.netns.tcp.listen({ port: 8080 }).close();
				}
			}),
			{ numRuns: 25 },
		);
	});
});

const refusal = (error: unknown): string => (error as { readonly code: string }).code;
