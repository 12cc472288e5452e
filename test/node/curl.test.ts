import { createServer } from "node:http";
import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { curl, serve } from "../../src/node/index.ts";
import { findPacket } from "../../src/observe/index.ts";

/** A container that answers each GET with its path and whom it was asked as, and another one beside it. */
function web() {
	const lab = new Lab({ seed: 1 });
	const { docker } = lab.host("node1");
	lab.image("web", ({ netns }) => {
		const server = createServer(({ url, headers }, response) => {
			response.statusCode = url === "/" ? 200 : 404;
			response.end(`${url ?? ""} of ${headers.host ?? ""}`);
		});
		serve(netns, 8080, server);
	});
	docker.networks.create("net");
	docker.run({ name: "web", image: "web", network: "net" });
	return { lab, client: docker.run({ name: "client", network: "net" }) };
}

describe("curl in a container", () => {
	test("looks the name up by Docker's DNS and gives the body, whatever the status", async () => {
		const { client } = web();
		expect(await curl(client, "http://web:8080/")).toBe("/ of web:8080");
		expect(await curl(client.netns, "http://web:8080/a?b=c")).toBe("/a?b=c of web:8080");
		expect(await curl(client, "http://172.18.0.2:8080/")).toBe("/ of 172.18.0.2:8080");
	});

	test("says why it failed: nobody listens, nobody has the name, another protocol", async () => {
		const { client } = web();
		await expect(curl(client, "http://web/")).rejects.toMatchObject({ code: "ECONNREFUSED" });
		await expect(curl(client, "http://nobody/")).rejects.toMatchObject({ code: /^EAI_/ });
		await expect(curl(client, "https://web/")).rejects.toMatchObject({ code: "EINVAL" });
	});
});

test("a packet is found by its protocol, by what its fields read, or by its layers", async () => {
	const { lab, client } = web();
	const capture = lab.capture();
	await curl(client, "http://172.18.0.2:8080/");
	const syn = findPacket(capture, { "tcp.flags": "SYN" });
	expect(syn).toBeDefined();
	expect(findPacket(capture, "tcp")).toBe(syn);
	expect(findPacket(capture, (layers) => layers.some(({ protocol }) => protocol === "tcp"))).toBe(syn);
	expect(findPacket(capture, { "tcp.flags": "SYN", "tcp.destinationPort": "80" })).toBeUndefined();
	expect(findPacket(capture, "igmp")).toBeUndefined();
});
