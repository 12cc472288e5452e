import { describe, expect, test } from "vitest";
import { Lab, NetError } from "../../src/index.ts";

function pair() {
	const lab = new Lab({ seed: 1 });
	const [red, blue] = [lab.netns("red"), lab.netns("blue")];
	const [a, b] = lab.veth({ ns: red, name: "eth0" }, { ns: blue, name: "eth0" });
	a.addAddress("10.0.0.1/24");
	b.addAddress("10.0.0.2/24");
	a.up();
	b.up();
	return { lab, red, blue, a, b };
}

const text = (data: Uint8Array): string => new TextDecoder().decode(data);
const bytes = (word: string): Uint8Array => new TextEncoder().encode(word);

describe("UDP sockets", () => {
	test("carry words there and back, and tell who spoke", async () => {
		const { red, blue } = pair();
		const server = blue.udp({ port: 7 });
		const client = red.udp();
		client.send(bytes("hello"), { address: "10.0.0.2", port: 7 });
		const asked = await server.receive();
		expect([text(asked.data), asked.address, asked.to, asked.ttl]).toEqual([
			"hello",
			"10.0.0.1",
			"10.0.0.2",
			64,
		]);
		server.send(bytes("and you"), { address: asked.address, port: asked.port });
		expect(text((await client.receive()).data)).toBe("and you");
	});

	test("fragment what is too long for the wire and put it together again", async () => {
		const { red, blue } = pair();
		const server = blue.udp({ port: 7 });
		const long = Uint8Array.from({ length: 60_000 }, (_, i) => i % 251);
		red.udp().send(long, { address: "10.0.0.2", port: 7 });
		expect((await server.receive()).data).toEqual(long);
	});

	test("connected: a closed port is ECONNREFUSED at the next call", async () => {
		const { lab, red } = pair();
		const client = red.udp();
		client.connect("10.0.0.2", 7);
		client.send(bytes("x"));
		await lab.advance("10ms");
		expect(() => {
			client.send(bytes("y"));
		}).toThrow(
			expect.objectContaining({ code: "ECONNREFUSED", message: "sendto: Connection refused" }) as Error,
		);
		// The error is told once.
		client.send(bytes("z"));
		await expect(client.receive()).rejects.toMatchObject({ code: "ECONNREFUSED" });
	});

	test.each([
		[
			"ENETUNREACH",
			(red: ReturnType<typeof pair>["red"]) => {
				red.udp().send(bytes("x"), { address: "203.0.113.1", port: 1 });
			},
		],
		[
			"EDESTADDRREQ",
			(red: ReturnType<typeof pair>["red"]) => {
				red.udp().send(bytes("x"));
			},
		],
		[
			"EACCES",
			(red: ReturnType<typeof pair>["red"]) => {
				red.udp().send(bytes("x"), { address: "10.0.0.255", port: 1 });
			},
		],
		[
			"EMSGSIZE",
			(red: ReturnType<typeof pair>["red"]) => {
				red.udp({ mtuDiscovery: "do" }).send(new Uint8Array(1473), { address: "10.0.0.2", port: 1 });
			},
		],
		[
			"EMSGSIZE",
			(red: ReturnType<typeof pair>["red"]) => {
				red.udp().send(new Uint8Array(65_508), { address: "10.0.0.2", port: 1 });
			},
		],
		[
			"EADDRNOTAVAIL",
			(red: ReturnType<typeof pair>["red"]) => {
				red.udp({ address: "10.9.9.9" });
			},
		],
		[
			"EADDRINUSE",
			(red: ReturnType<typeof pair>["red"]) => {
				red.udp({ port: 5 });
				red.udp({ port: 5, address: "10.0.0.1" });
			},
		],
	] as const)("%s", (code, mistake) => {
		const { red } = pair();
		expect(() => {
			mistake(red);
		}).toThrow(NetError);
		expect(() => {
			mistake(pair().red);
		}).toThrow(expect.objectContaining({ code }) as Error);
	});

	test("a receive that can never end says so instead of waiting for ever", async () => {
		const { blue } = pair();
		await expect(blue.udp({ port: 7 }).receive()).rejects.toMatchObject({
			code: "EDEADLK",
			message: "nothing is left to happen, and recvfrom on blue udp port 7 still waits",
		});
	});

	test("give datagrams one by one until they are closed", async () => {
		const { lab, red, blue } = pair();
		const server = blue.udp({ port: 7 });
		const heard: string[] = [];
		const loop = (async () => {
			for await (const { data } of server) {
				heard.push(text(data));
				if (heard.length === 3) server.close();
			}
		})();
		for (const word of ["a", "b", "c"]) red.udp().send(bytes(word), { address: "10.0.0.2", port: 7 });
		await Promise.all([loop, lab.advance("1s")]);
		expect(heard).toEqual(["a", "b", "c"]);
	});

	test("drop what nobody takes, once their buffer is full", async () => {
		const { lab, red, blue } = pair();
		blue.udp({ port: 7 });
		let dropped = 0;
		lab.onDrop((drop) => {
			if (drop.reason === "socket-rcvbuff") dropped++;
		});
		// The neighbour is known, so that nothing waits for its address.
		await red.ping("10.0.0.2", { count: 1 });
		const client = red.udp();
		for (let i = 0; i < 400; i++) client.send(new Uint8Array(1000), { address: "10.0.0.2", port: 7 });
		await lab.advance("1s");
		expect(dropped).toBe(400 - Math.floor(212_992 / 1768));
	});
});

describe("awaiting drives the clock", () => {
	test("operations side by side share it, and it stands still when nobody waits", async () => {
		const { lab, red, blue } = pair();
		const [there, back] = await Promise.all([
			red.ping("10.0.0.2", { count: 3 }),
			blue.ping("10.0.0.1", { count: 2 }),
		]);
		expect([there.received, back.received]).toEqual([3, 2]);
		const now = lab.now;
		const later = red.ping("10.0.0.2", { count: 1 });
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(lab.now).toBe(now);
		expect((await later).received).toBe(1);
	});

	test("stops at the instant an operation ends: what the program does next happens then", async () => {
		const { lab, red } = pair();
		await lab.advance("1s");
		expect(lab.now).toBe(1e9);
		const { replies } = await red.ping("10.0.0.2", { count: 1 });
		expect(lab.now).toBe(1e9 + Math.round((replies[0]?.time ?? 0) * 1e6));
	});
});
