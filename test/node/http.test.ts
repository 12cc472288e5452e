import { createServer, get, request, type RequestOptions } from "node:http";
import { describe, expect, test } from "vitest";
import { createConnection, serve } from "../../src/node/index.ts";
import { cabled, pattern } from "../support/tcp-cable.ts";

const fetched = (options: RequestOptions): Promise<{ status: number | undefined; body: Buffer }> =>
	new Promise((resolve, reject) => {
		get(options, (response) => {
			const parts: Buffer[] = [];
			response.on("data", (part: Buffer) => parts.push(part));
			response.on("end", () => {
				resolve({ status: response.statusCode, body: Buffer.concat(parts) });
			});
			response.on("error", reject);
		}).on("error", reject);
	});

describe("Node's http over emulated connections", () => {
	test("a page comes, over a cable with 2 % loss, reordering and duplicates", async () => {
		const net = cabled({ loss: "2%", duplicate: "2%", reorder: "5%", delay: "2ms" }, 3);
		const page = Buffer.from(pattern(2_000_000, 5));
		const server = createServer((_, response) => response.end(page));
		serve(net.b, 80, server);
		const { status, body } = await fetched({
			host: "10.0.0.2",
			port: 80,
			path: "/",
			createConnection: createConnection(net.a),
		});
		expect(status).toBe(200);
		expect(Buffer.compare(body, page)).toBe(0);
	});

	test("a body goes up and comes back", async () => {
		const net = cabled(undefined);
		const server = createServer((incoming, response) => void incoming.pipe(response));
		serve(net.b, 8080, server);
		const sent = Buffer.from(pattern(300_000, 9));
		const body = await new Promise<Buffer>((resolve, reject) => {
			const post = request(
				{ host: "10.0.0.2", port: 8080, method: "POST", createConnection: createConnection(net.a) },
				(response) => {
					const parts: Buffer[] = [];
					response.on("data", (part: Buffer) => parts.push(part));
					response.on("end", () => {
						resolve(Buffer.concat(parts));
					});
				},
			);
			post.on("error", reject);
			post.end(sent);
		});
		expect(Buffer.compare(body, sent)).toBe(0);
	});

	test("a port where nobody listens refuses, as Node's own errors say it", async () => {
		const net = cabled(undefined);
		await expect(
			fetched({ host: "10.0.0.2", port: 81, createConnection: createConnection(net.a) }),
		).rejects.toMatchObject({ code: "ECONNREFUSED" });
	});
});
