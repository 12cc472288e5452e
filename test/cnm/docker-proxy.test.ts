import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import type { TcpSocket } from "../../src/stack/index.ts";

/** A host 172.31.1.6 with web (net) and other (another network), and a client outside, 172.31.1.1. */
function site(docker: NonNullable<Parameters<Lab["host"]>[1]>["docker"] = {}) {
	const lab = new Lab({ seed: 2 });
	const lan = lab.switch("lan");
	const host = lab.host("node", {
		docker,
		nics: { eth0: { address: "172.31.1.6/24", gateway: "172.31.1.1", attach: lan } },
	});
	const outside = lab.host("outside", { nics: { eth0: { address: "172.31.1.1/24", attach: lan } } });
	host.docker.networks.create("net", { subnet: "172.19.0.0/16" });
	host.docker.networks.create("far", { subnet: "172.20.0.0/16" });
	const publish = ["5001:80", "5353:53/udp"];
	const web = host.docker.run({ name: "web", network: "net", publish });
	const sibling = host.docker.run({ name: "sibling", network: "net" });
	const other = host.docker.run({ name: "other", network: "far" });
	return { lab, host, docker: host.docker, outside: outside.netns, web, sibling, other };
}

type Site = ReturnType<typeof site>;

const text = (octets: Uint8Array): string => new TextDecoder().decode(octets);
const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);
const ip = (value: number): string =>
	[24, 16, 8, 0].map((shift) => String((value >>> shift) & 255)).join(".");

/** Says "heard …" once its client has said everything, and notes who that was. */
function answering(ns: Netns, port = 80): { readonly clients: string[]; readonly sockets: TcpSocket[] } {
	const clients: string[] = [];
	const sockets: TcpSocket[] = [];
	ns.tcp.listen({ port }).onConnection = (socket) => {
		clients.push(ip(socket.remoteAddress));
		sockets.push(socket);
		let said = "";
		let answered = false;
		socket.onReadable = () => {
			said += text(socket.read());
			if (!socket.ended || answered) return;
			answered = true;
			socket.write(bytes(`heard ${said}`));
			socket.close();
		};
	};
	return { clients, sockets };
}

/** Connects, says something, closes its half, and gives what comes back. */
async function ask(lab: Lab, from: Netns, address: string, words: string, port = 5001): Promise<string> {
	const socket = from.tcp.connect({ address, port });
	let heard = "";
	socket.onConnect = () => {
		socket.write(bytes(words));
		socket.shutdown();
	};
	let end = "";
	socket.onReadable = () => {
		heard += text(socket.read());
		if (socket.ended && end === "") {
			end = " FIN";
			socket.close();
		}
	};
	socket.onClose = (error) => {
		if (error !== undefined) end = ` ${error.code}`;
	};
	await lab.advance("5s");
	return heard + end;
}

describe("docker-proxy, where no rule translates", () => {
	test.each([
		["the container itself", ({ web }: Site) => web.netns, "172.31.1.6", "172.19.0.1"],
		["a sibling, by the host's address", ({ sibling }: Site) => sibling.netns, "172.31.1.6", "172.19.0.1"],
		["a sibling, by the gateway's address", ({ sibling }: Site) => sibling.netns, "172.19.0.1", "172.19.0.1"],
		["a container of another network", ({ other }: Site) => other.netns, "172.31.1.6", "172.19.0.1"],
		["the host, at 127.0.0.1", ({ host }: Site) => host.netns, "127.0.0.1", "172.19.0.1"],
	] as const)(
		"%s reaches a published port; the server sees the gateway",
		async (_who, from, address, seen) => {
			const all = site();
			const { clients } = answering(all.web.netns);
			expect(await ask(all.lab, from(all), address, "hello")).toBe("heard hello FIN");
			expect(clients).toEqual([seen]);
		},
	);

	test("from outside and from the host's own address the rules translate, and the client is seen", async () => {
		const { lab, host, outside, web } = site();
		const { clients } = answering(web.netns);
		expect(await ask(lab, outside, "172.31.1.6", "hello")).toBe("heard hello FIN");
		expect(await ask(lab, host.netns, "172.31.1.6", "hello")).toBe("heard hello FIN");
		expect(clients).toEqual(["172.31.1.1", "172.31.1.6"]);
	});

	test("each side's end is passed on by itself: the server may speak on after the client's", async () => {
		const { lab, other, web } = site();
		const { sockets } = answering(web.netns);
		const half = other.netns.tcp.connect({ address: "172.31.1.6", port: 5001 });
		half.onConnect = () => {
			half.write(bytes("x"));
		};
		await lab.advance("1s");
		expect(sockets[0]?.state).toBe("established");
		half.shutdown();
		await lab.advance("1s");
		expect(half.ended).toBe(false);
		expect(text(half.read())).toBe("heard x");
		expect(half.ended).toBe(true);
	});

	test("a megabyte each way arrives whole, though the reader is slow", async () => {
		const { lab, other, web } = site();
		const whole = Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 7) & 255);
		const got: Uint8Array[] = [];
		web.netns.tcp.listen({ port: 80, receiveBuffer: 4096 }).onConnection = (socket) => {
			socket.onReadable = () => {
				got.push(socket.read());
			};
		};
		const client = other.netns.tcp.connect({ address: "172.31.1.6", port: 5001 });
		let left = whole;
		const more = (): void => {
			left = left.subarray(client.write(left));
		};
		client.onConnect = more;
		client.onWritable = more;
		await lab.advance("60s");
		expect(Buffer.compare(Buffer.concat(got), whole)).toBe(0);
	});

	test("lost and reordered frames on both connections change nothing but the time", async () => {
		const { lab, other, web } = site();
		for (const { netns } of [other, web])
			netns.tc.add("eth0", { kind: "netem", loss: "4%", delay: "3ms", reorder: "10%" });
		const whole = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 11) & 255);
		const back: Uint8Array[] = [];
		let ended = false;
		web.netns.tcp.listen({ port: 80 }).onConnection = (socket) => {
			// An echo server that closes when its client has.
			let waiting: Uint8Array = new Uint8Array();
			const more = (): void => {
				if (waiting.length === 0) waiting = socket.read();
				while (waiting.length > 0) {
					const taken = socket.write(waiting);
					waiting = waiting.subarray(taken);
					if (taken === 0) return;
					if (waiting.length === 0) waiting = socket.read();
				}
				if (socket.ended) socket.close();
			};
			socket.onReadable = more;
			socket.onWritable = more;
		};
		const client = other.netns.tcp.connect({ address: "172.31.1.6", port: 5001 });
		let left = whole;
		const say = (): void => {
			if (left.length === 0) return;
			left = left.subarray(client.write(left));
			if (left.length === 0) client.shutdown();
		};
		client.onConnect = say;
		client.onWritable = say;
		client.onReadable = () => {
			back.push(client.read());
			ended = client.ended;
		};
		await lab.advance("300s");
		expect(Buffer.compare(Buffer.concat(back), whole)).toBe(0);
		expect(ended).toBe(true);
	});

	test("where nobody listens in the container the client is accepted, and let go", async () => {
		const { lab, other } = site();
		expect(await ask(lab, other.netns, "172.31.1.6", "")).toBe(" FIN");
		expect(await ask(lab, other.netns, "172.31.1.6", "unread")).toBe(" ECONNRESET");
	});

	test("a stopped container's port is closed, its connections end, and all begins anew with it", async () => {
		const { lab, host, docker, other, web } = site();
		answering(web.netns);
		const open = other.netns.tcp.connect({ address: "172.31.1.6", port: 5001 });
		await lab.advance("1s");
		expect(open.state).toBe("established");
		docker.stop("web");
		await lab.advance("1s");
		expect(open.ended).toBe(true);
		open.close();
		expect(await ask(lab, other.netns, "172.31.1.6", "x")).toBe(" ECONNREFUSED");
		docker.start("web");
		answering(web.netns);
		expect(await ask(lab, host.netns, "127.0.0.1", "again")).toBe("heard again FIN");
	});
});

describe("docker-proxy for UDP", () => {
	/** Echoes, and notes who asked. */
	function echo(ns: Netns): string[] {
		const clients: string[] = [];
		const socket = ns.udp({ port: 53 });
		socket.handler = (frame, at, octets, address, port) => {
			clients.push(`${ip(address)}:${String(port)}`);
			socket.send(frame.bytes.slice(at, at + octets), { address, port });
		};
		return clients;
	}

	test("gives each client a socket of its own, and answers go back to it", async () => {
		const { lab, other, sibling, web } = site();
		const clients = echo(web.netns);
		const heard: string[] = [];
		for (const { name, netns } of [other, sibling, other]) {
			const socket = netns.udp();
			socket.handler = (frame, at, octets) => {
				heard.push(`${name} ${text(frame.bytes.slice(at, at + octets))}`);
			};
			for (const words of ["one", "two"]) socket.send(bytes(words), { address: "172.31.1.6", port: 5353 });
			await lab.advance("1s");
		}
		const expected = ["other", "sibling", "other"].flatMap((name) => [`${name} one`, `${name} two`]);
		expect(heard).toEqual(expected);
		expect(new Set(clients).size).toBe(3);
		expect(clients.every((each) => each.startsWith("172.19.0.1:"))).toBe(true);
	});

	test("forgets a client 90 s after the last answer to it", async () => {
		const { lab, other, web } = site();
		const clients = echo(web.netns);
		const socket = other.netns.udp();
		const ask = async (then: string): Promise<void> => {
			socket.send(bytes("x"), { address: "172.31.1.6", port: 5353 });
			await lab.advance(then);
		};
		await ask("80s");
		await ask("80s");
		await ask("91s");
		await ask("1s");
		expect(new Set(clients.slice(0, 3)).size).toBe(1);
		expect(clients[3]).not.toBe(clients[0]);
	});

	test("datagrams that go unanswered do not keep a client", async () => {
		const { lab, other, web } = site();
		const ports: number[] = [];
		web.netns.udp({ port: 53 }).handler = (_frame, _at, _octets, _source, port) => {
			ports.push(port);
		};
		const socket = other.netns.udp();
		for (let i = 0; i < 4; i++) {
			socket.send(bytes("x"), { address: "172.31.1.6", port: 5353 });
			await lab.advance("40s");
		}
		expect(new Set(ports.slice(0, 3)).size).toBe(1);
		expect(ports[3]).not.toBe(ports[0]);
	});
});

describe("the host's end of a published port", () => {
	test("is taken: by a program of the host, or for one address and for all", async () => {
		const { lab, host, docker } = site();
		const program = host.netns.tcp.listen({ port: 8080 });
		const run = (publish: string): unknown =>
			docker.run({ name: "late", network: "net", publish: [publish] });
		expect(() => run("8080:80")).toThrow(
			/Error starting userland proxy: listen tcp4 0\.0\.0\.0:8080: bind: address already in use$/,
		);
		expect(() => run("172.31.1.6:5001:80")).toThrow(
			/listen tcp4 172\.31\.1\.6:5001: bind: address already in use$/,
		);
		expect(() => run("5353:53/udp")).toThrow(/Bind for 0\.0\.0\.0:5353 failed: port is already allocated$/);
		expect(() => run("127.0.0.1:5353:53/udp")).toThrow(
			/listen udp4 127\.0\.0\.1:5353: bind: address already in use$/,
		);
		expect(() => run("192.0.2.1:99:80")).toThrow(
			/listen tcp4 192\.0\.2\.1:99: bind: cannot assign requested address$/,
		);
		program.close();
		run("8080:80");
		expect(() => host.netns.tcp.listen({ port: 8080 })).toThrow("bind: Address already in use");
		docker.rm("late", { force: true });
		await lab.advance("60ms");
		host.netns.tcp.listen({ port: 8080 }).close();
	});

	test("of a range is the first that is free in the daemon's books, and is tried once", () => {
		const { host, docker } = site();
		const run = (name: string): string[] => {
			docker.run({ name, network: "net", publish: ["7000-7002:80"] });
			return docker.port(name, "80");
		};
		expect(run("r1")).toEqual(["0.0.0.0:7000", ":::7000"]);
		host.netns.tcp.listen({ port: 7001 });
		expect(() => run("r2")).toThrow(/listen tcp4 0\.0\.0\.0:7001: bind: address already in use$/);
		expect(run("r2")).toEqual(["0.0.0.0:7002", ":::7002"]);
	});

	test("may be several, on addresses of their own; a restart keeps them, and the daemon's choice goes on", async () => {
		const { lab, host, docker, outside } = site();
		const publish = ["172.31.1.6:9000-9001:90-91", "127.0.0.1:9000:92", "93", "6000-6001:94-95/udp"];
		const { netns } = docker.run({ name: "many", network: "net", publish });
		const expected = [
			"90/tcp -> 172.31.1.6:9000",
			"91/tcp -> 172.31.1.6:9001",
			"92/tcp -> 127.0.0.1:9000",
			"93/tcp -> 0.0.0.0:32768",
			"94/udp -> 0.0.0.0:6000",
			"95/udp -> 0.0.0.0:6001",
		];
		const published = (): string[] =>
			docker
				.port("many")
				.filter((line) => !line.includes(":::"))
				.sort();
		expect(published()).toEqual(expected);
		for (const port of [90, 91, 92]) answering(netns, port);
		expect(await ask(lab, outside, "172.31.1.6", "a", 9000)).toBe("heard a FIN");
		expect(await ask(lab, outside, "172.31.1.6", "b", 9001)).toBe("heard b FIN");
		expect(await ask(lab, host.netns, "127.0.0.1", "c", 9000)).toBe("heard c FIN");
		expect(await ask(lab, host.netns, "127.0.0.1", "d", 9001)).toBe(" ECONNREFUSED");
		docker.restart("many");
		expect(published()).toEqual(expected.map((line) => line.replace("32768", "32769")));
	});

	test("of the daemon's choice is tried ten times", () => {
		const { host, docker } = site();
		for (const port of [32_768, 32_769, 32_770]) host.netns.tcp.listen({ port });
		docker.run({ name: "any", network: "net", publish: ["80"] });
		expect(docker.port("any", "80")).toEqual(["0.0.0.0:32771", ":::32771"]);
	});

	test("without the userland proxy is held by the daemon, which answers nothing", async () => {
		const { lab, host, docker, sibling, other, web } = site({ userlandProxy: false });
		expect(docker.port("web")).toEqual(["80/tcp -> 0.0.0.0:5001", "53/udp -> 0.0.0.0:5353"]);
		expect(() => host.netns.tcp.listen({ port: 5001 })).toThrow("bind: Address already in use");
		expect(() => docker.run({ name: "late", network: "net", publish: ["127.0.0.1:5001:80"] })).toThrow(
			/\): listen tcp4 127\.0\.0\.1:5001: bind: address already in use$/,
		);
		const { clients } = answering(web.netns);
		expect(await ask(lab, host.netns, "127.0.0.1", "lo")).toBe("heard lo FIN");
		expect(await ask(lab, sibling.netns, "172.31.1.6", "side")).toBe("heard side FIN");
		expect(await ask(lab, web.netns, "172.31.1.6", "self")).toBe("heard self FIN");
		expect(clients).toEqual(["172.19.0.1", "172.19.0.3", "172.19.0.1"]);
		expect(await ask(lab, other.netns, "172.31.1.6", "far")).toBe("");
	});

	test("flows that were led to a container end with it", async () => {
		const { lab, host, docker, outside } = site();
		const socket = outside.udp();
		socket.send(bytes("x"), { address: "172.31.1.6", port: 5353 });
		await lab.advance("1s");
		expect(host.netns.conntrack.list()).toContain("172.19.0.2");
		docker.stop("web");
		await lab.advance("60ms");
		expect(host.netns.conntrack.list()).not.toContain("172.19.0.2");
	});
});
