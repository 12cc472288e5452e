import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

function pair(options: ConstructorParameters<typeof Lab>[0] = {}) {
	const lab = new Lab({ seed: 1, ...options });
	const [a, b] = [lab.netns("a"), lab.netns("b")];
	const [x, y] = lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" });
	x.up();
	y.up();
	x.addAddress("10.0.0.1/24");
	y.addAddress("10.0.0.2/24");
	return { lab, a, b };
}
const text = (data: Uint8Array): string => new TextDecoder().decode(data);
const octets = (say: string): Uint8Array => new TextEncoder().encode(say);

describe("TCP streams", () => {
	test("awaiting a connection and a read drives the clock; the server's loop lets it stand still", async () => {
		const { lab, a, b } = pair();
		const server = b.listen({ port: 80 });
		const serve = (async () => {
			for await (const peer of server) {
				await peer.readable.pipeTo(peer.writable);
			}
		})();
		const stream = await a.connect({ hostname: "10.0.0.2", port: 80 });
		expect(stream.addresses).toMatchObject({ remoteAddress: "10.0.0.2", remotePort: 80 });
		const writer = stream.writable.getWriter();
		await writer.write(octets("hello"));
		const reader = stream.readable.getReader();
		expect(text((await reader.read()).value ?? new Uint8Array())).toBe("hello");
		const now = lab.now;
		await new Promise((resolve) => setTimeout(resolve, 5));
		expect(lab.now - now).toBeLessThan(1e9);
		await writer.close();
		expect((await reader.read()).done).toBe(true);
		server.close();
		await serve;
	});

	test("accepting first and reading what the client said works in one line of thought", async () => {
		const { a, b } = pair();
		const server = b.listen({ port: 80 });
		const client = await a.connect({ hostname: "10.0.0.2", port: 80 });
		const peer = await server.accept();
		await client.writable.getWriter().write(octets("x"));
		expect(text((await peer.readable.getReader().read()).value ?? new Uint8Array())).toBe("x");
	});

	test("a reader that does not read closes the window, and the writer waits", async () => {
		const { lab, a, b } = pair();
		const server = b.listen({ port: 80, receiveBuffer: 8192 });
		const client = await a.connect({ hostname: "10.0.0.2", port: 80, sendBuffer: 16_384 });
		const peer = await server.accept();
		const writer = client.writable.getWriter();
		let written = false;
		const all = writer.write(new Uint8Array(200_000)).then(() => (written = true));
		await lab.advance("2s");
		expect(written).toBe(false);
		expect(peer.socket.readable).toBeLessThanOrEqual(16_384);
		let got = 0;
		const reader = peer.readable.getReader();
		while (got < 200_000) got += (await reader.read()).value?.length ?? 0;
		await all;
		expect(got).toBe(200_000);
	});

	test("a closed port refuses", async () => {
		const { a } = pair();
		await expect(a.connect({ hostname: "10.0.0.2", port: 81 })).rejects.toMatchObject({
			code: "ECONNREFUSED",
		});
	});

	test("nobody at the address: no route to host after three seconds of ARP", async () => {
		const { lab, a } = pair();
		await expect(a.connect({ hostname: "10.0.0.9", port: 81 })).rejects.toMatchObject({
			code: "EHOSTUNREACH",
		});
		expect(lab.now / 1e9).toBeGreaterThan(3);
		expect(lab.now / 1e9).toBeLessThan(3.5);
	});

	test("no route at all fails at once", async () => {
		const { lab, a } = pair();
		await expect(a.connect({ hostname: "10.9.0.9", port: 81 })).rejects.toMatchObject({
			code: "ENETUNREACH",
		});
		expect(lab.now).toBe(0);
	});

	test("a listener that nobody answers for: connection timed out after tcp_syn_retries", async () => {
		const { lab, a, b } = pair();
		b.neigh.add("10.0.0.1", { dev: "eth0", lladdr: "02:00:00:00:00:99" });
		b.listen({ port: 80 });
		await expect(a.connect({ hostname: "10.0.0.2", port: 80 })).rejects.toMatchObject({ code: "ETIMEDOUT" });
		expect(lab.now / 1e9).toBeGreaterThan(127);
		expect(lab.now / 1e9).toBeLessThan(136);
	});

	test("aborting the writer resets: the other side reads ECONNRESET", async () => {
		const { a, b } = pair();
		const server = b.listen({ port: 80 });
		const client = await a.connect({ hostname: "10.0.0.2", port: 80 });
		const peer = await server.accept();
		await client.writable.abort();
		await expect(peer.readable.getReader().read()).rejects.toMatchObject({ code: "ECONNRESET" });
	});

	test("a signal cancels the handshake, and nothing is left of it", async () => {
		const { a, b } = pair();
		b.neigh.add("10.0.0.1", { dev: "eth0", lladdr: "02:00:00:00:00:99" });
		b.listen({ port: 80 });
		const abort = new AbortController();
		const connecting = a.connect({ hostname: "10.0.0.2", port: 80, signal: abort.signal });
		abort.abort();
		await expect(connecting).rejects.toMatchObject({ code: "ECANCELED" });
		expect(a.tcp.count).toBe(0);
	});

	test("two listeners on one port: address already in use", () => {
		const { b } = pair();
		b.listen({ port: 80 });
		expect(() => b.listen({ port: 80 })).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
	});

	test("close sends what was written, then FIN; after a minute nothing is left on either side", async () => {
		const { lab, a, b } = pair();
		const server = b.listen({ port: 80 });
		const client = await a.connect({ hostname: "10.0.0.2", port: 80 });
		const peer = await server.accept();
		await client.writable.getWriter().write(octets("last words"));
		const closed = client.close();
		const reader = peer.readable.getReader();
		expect(text((await reader.read()).value ?? new Uint8Array())).toBe("last words");
		expect((await reader.read()).done).toBe(true);
		await peer.close();
		await closed;
		await lab.advance("61s");
		expect([a.tcp.count, b.tcp.count]).toEqual([0, 0]);
	});

	test("over lo segments are half a window long, 32741 octets, as ss shows there", async () => {
		const { a } = pair();
		const server = a.listen({ port: 80 });
		const client = await a.connect({ hostname: "127.0.0.1", port: 80 });
		const peer = await server.accept();
		expect(client.socket.info.mss).toBe(32_741);
		const writer = client.writable.getWriter();
		const all = writer.write(new Uint8Array(1_000_000)).then(() => writer.close());
		let got = 0;
		for await (const part of peer.readable) got += part.length;
		await all;
		expect(got).toBe(1_000_000);
	});

	test("TCP_MAXSEG bounds what is announced and what is sent, on either side", async () => {
		const { a, b } = pair();
		const server = b.listen({ port: 80, maxSegment: 700 });
		const client = await a.connect({ hostname: "10.0.0.2", port: 80, maxSegment: 1000 });
		const peer = await server.accept();
		expect([client.socket.info.mss, peer.socket.info.mss]).toEqual([688, 688]);
		for (const maxSegment of [87, 32_768, 1.5])
			expect(() => a.tcp.connect({ address: "10.0.0.2", port: 80, maxSegment })).toThrow("Invalid argument");
	});

	test("a device that takes shorter packets from now on gets shorter segments", async () => {
		const { lab, a, b } = pair();
		const server = b.listen({ port: 80 });
		const client = await a.connect({ hostname: "10.0.0.2", port: 80 });
		const peer = await server.accept();
		a.device("eth0").setMtu(1000);
		const writer = client.writable.getWriter();
		const all = writer.write(new Uint8Array(50_000)).then(() => writer.close());
		let got = 0;
		for await (const part of peer.readable) got += part.length;
		await all;
		expect(got).toBe(50_000);
		expect(client.socket.info.mss).toBe(948);
		expect(lab.now / 1e9).toBeLessThan(0.2);
	});
});
