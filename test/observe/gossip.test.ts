import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { gossipSights, readGossip } from "../../src/observe/index.ts";

const KEY = "000102030405060708090a0b0c0d0e0f";

describe("gossip in captures", () => {
	test("reads with the keys of the cluster what a node says of a container, and nothing without them", async () => {
		const lab = new Lab({ seed: 7 });
		const attach = lab.switch("underlay");
		const host = (n: number) =>
			lab.host(`node${String(n)}`, { nics: { eth0: { address: `192.0.2.${String(n)}/24`, attach } } });
		const [node1, node2] = [host(1), host(2)];
		const swarm = await node1.docker.swarm.init({ advertiseAddr: "192.0.2.1" }).ready;
		await node2.docker.swarm.join({ token: swarm.joinToken("worker"), address: "192.0.2.1" });
		await node1.docker.networks.create("net", { driver: "overlay", attachable: true }).ready;
		await node1.docker.run({ name: "c1", network: "net" }).ready;
		const capture = lab.capture("node2:eth0");
		await node2.docker.run({ name: "c2", network: "net", ip: "10.0.1.77" }).ready;
		await lab.advance("2s");
		const keys = swarm.keys
			.filter(({ subsystem }) => subsystem === "networking:gossip")
			.map(({ key }) => key);
		const said = gossipSights(capture, "node2:eth0", keys).flatMap(({ messages }) => messages);
		expect(said.some((line) => line.endsWith("10.0.1.77/24 02:42:0a:00:01:4d behind 192.0.2.2"))).toBe(true);
		expect(said.some((line) => line.endsWith("c2 is 10.0.1.77"))).toBe(true);
		expect(said.some((line) => line.startsWith("ping "))).toBe(true);
		const closed = gossipSights(capture, "node2:eth0", [KEY]).flatMap(({ messages }) => messages);
		expect(new Set(closed)).toEqual(new Set(["memberlist-no-key"]));
	});

	test("any octets give lines, never an exception", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (octets, sealed) => {
				expect(readGossip(octets, sealed ? [KEY] : []).every((line) => line !== "")).toBe(true);
			}),
		);
	});
});
