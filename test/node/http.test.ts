import { createHash } from "node:crypto";
import { createServer, get, request, type RequestOptions } from "node:http";
import { describe, expect, test } from "vitest";
import { Timer } from "../../src/sim/index.ts";
import { createConnection, EmulatedAgent, serve } from "../../src/node/index.ts";
import { cabled, pattern } from "../support/tcp-cable.ts";
import { dissectColumns } from "../support/wireshark.ts";

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

	test("1.5 MB over 2 % loss, reordering and duplicates: all octets as sent, and Wireshark sees the faults and nothing else", async () => {
		const net = cabled({ loss: "2%", duplicate: "2%", reorder: "5%", delay: "1ms" }, 1);
		// What leaves the server: each retransmission is one of its own doing.
		const capture = net.lab.capture("b:eth0");
		let lost = 0;
		net.lab.onDrop(() => lost++);
		const [sent, heard] = [createHash("sha256"), createHash("sha256")];
		const part = Buffer.from(pattern(500_000, 7));
		const server = createServer((_, response) => {
			let n = 0;
			const more = (): void => {
				while (n++ < 3) {
					sent.update(part);
					if (!response.write(part)) return void response.once("drain", more);
				}
				response.end();
			};
			more();
		});
		serve(net.b, 80, server);
		const octets = await new Promise<number>((resolve, reject) => {
			get({ host: "10.0.0.2", port: 80, createConnection: createConnection(net.a) }, (response) => {
				let count = 0;
				response.on("data", (data: Buffer) => {
					count += data.length;
					heard.update(data);
				});
				response.on("end", () => {
					resolve(count);
				});
			}).on("error", reject);
		});
		expect([octets, heard.digest("hex")]).toEqual([1_500_000, sent.digest("hex")]);
		const told = await dissectColumns(
			capture.toPcapng(),
			"tcp.srcport == 80 && (tcp.analysis.flags || tcp.checksum.status == bad || _ws.malformed)",
		);
		const kinds = told.map(({ info }) => /^\[TCP ([A-Z][A-Za-z -]*)\]/.exec(info)?.[1] ?? info);
		// What had arrived never goes again, nobody acknowledges what was never sent, no window closes.
		const again = ["Fast Retransmission", "Retransmission", "Out-Of-Order"];
		expect(kinds.filter((kind) => !again.includes(kind) && kind !== "Window Full")).toEqual([]);
		// No more went again than was lost.
		expect(kinds.length).toBeGreaterThan(10);
		expect(kinds.length).toBeLessThanOrEqual(lost);
	}, 60_000);

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

	test("a connection that an agent keeps for later lets time stand still, and serves the next request", async () => {
		const net = cabled(undefined);
		// Something is always left to happen, as where machines gossip.
		const tick = new Timer(() => {
			net.a.kernel.arm(tick, 1e9);
		});
		net.a.kernel.arm(tick, 1e9);
		let connections = 0;
		const server = createServer((_, response) => response.end("here"));
		server.on("connection", () => connections++);
		serve(net.b, 80, server);
		const options = { agent: new EmulatedAgent(net.a, { keepAlive: true }), host: "10.0.0.2", port: 80 };
		await fetched(options);
		await new Promise((resolve) => setTimeout(resolve, 20));
		const after = net.lab.now;
		await new Promise((resolve) => setTimeout(resolve, 50));
		expect(net.lab.now).toBe(after);
		const { body } = await fetched(options);
		expect(body.toString()).toBe("here");
		expect(connections).toBe(1);
	});
});
