import { execFile, spawnSync } from "node:child_process";
import { createServer, get } from "node:http";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import { forwardTcp, forwardUdp, serve } from "../../src/node/index.ts";
import { dns } from "../../src/wire/index.ts";
import { recording } from "../support/golden.ts";
import { questionsOf, talksOf } from "../support/talks.ts";

// What `docker exec lc1 dig …` printed on the recorded host, asked again by a real dig of the emulated server.
const recorded = readFileSync(new URL("../golden/02-bridge-user/dig.txt", import.meta.url), "utf8");
const DIGS = [...recorded.matchAll(/^\[node1\]# docker exec lc1 dig (.*)\n([^[]*)/gm)].map(
	([, words = "", printed = ""]) => ({ words, printed }),
);

const hasDig = spawnSync("dig", ["-v"]).error === undefined;
if (!hasDig)
	console.warn("NOT RUN: dig is not installed, so no real resolver asks the embedded DNS (Debian: dnsutils)");

const eth0 = recording("02-bridge-user/dns-lc1-eth0");
/** What upstream said there, by the octets of the question. */
const upstream = new Map(
	[
		...questionsOf(eth0, "answers").map(({ octets }) => octets),
		...talksOf(eth0)
			.filter(({ serverPort }) => serverPort === 53)
			.flatMap(({ serverDeeds }) => serverDeeds)
			.flatMap((deed) => (deed.what === "write" ? [deed.octets.slice(2)] : [])),
	].flatMap((octets) => {
		const message = dns.read(octets);
		return typeof message === "string" ? [] : [[key(message), octets] as const];
	}),
);

function key({ questions: [question], additional }: dns.Message): string {
	return `${question?.name ?? ""} ${String(question?.type ?? 0)} ${additional.length > 0 ? "edns" : ""}`;
}

/** Upstream's answer to a question, under its id. */
function answered(query: Uint8Array): Uint8Array | undefined {
	const message = dns.read(query);
	const known = typeof message === "string" ? undefined : upstream.get(key(message));
	return known === undefined ? undefined : Uint8Array.from([...query.slice(0, 2), ...known.slice(2)]);
}

function nameServer(ns: Netns): void {
	const udp = ns.udp({ port: 53 });
	udp.handler = (frame, at, octets, address, port) => {
		const answer = answered(frame.bytes.slice(at, at + octets));
		if (answer !== undefined) udp.send(answer, { address, port });
	};
	ns.tcp.listen({ port: 53 }).onConnection = (socket) => {
		socket.onReadable = () => {
			const answer = answered(socket.read().slice(2));
			if (answer === undefined) return socket.close();
			socket.write(Uint8Array.from([answer.length >> 8, answer.length & 255, ...answer]));
		};
	};
}

function localnet() {
	const lab = new Lab({ seed: 4 });
	const lan = lab.switch("lan");
	const node1 = lab.host("node1", {
		nics: { eth0: { address: "172.31.1.5/24", gateway: "172.31.1.1", attach: lan } },
	});
	const outside = lab.host("outside", { nics: { eth0: { address: "172.31.1.1/24", attach: lan } } });
	nameServer(outside.netns);
	node1.netns.files.set("/etc/resolv.conf", "search lab.example\nnameserver 172.31.1.1\n");
	node1.docker.networks.create("localnet", { subnet: "172.19.0.0/16" });
	for (const name of ["lc1", "lc2", "lc3"])
		node1.docker.run({
			name,
			hostname: name,
			network: "localnet",
			aliases: name === "lc1" ? ["shared", "web1"] : ["shared"],
		});
	return { lab, lc1: node1.docker.containers.get("lc1").netns };
}

/** What dig prints, without what is of the hour and the machine; several answers in any order. */
function told(printed: string): string[] {
	const lines = printed
		.split("\n")
		.map((line) => line.trimEnd())
		.filter(
			(line) =>
				line !== "" && !/^; (<<>> DiG|\(1 server)|^;; (Query time|SERVER|WHEN|global options)/.test(line),
		)
		.map((line) => line.replace(/id: \d+/, "id: N"));
	const several = lines.filter((line) => /\tIN\tA\t172\.19/.test(line)).sort();
	return [...lines.filter((line) => !several.includes(line)), ...several];
}

describe("a real resolver asks the embedded name server through a real port", () => {
	test.runIf(hasDig)(
		"dig gets each recorded answer, by UDP and by TCP",
		async () => {
			const { lc1 } = localnet();
			const to = { address: "127.0.0.11", port: 53 };
			await using udp = await forwardUdp(lc1, { to });
			await using tcp = await forwardTcp(lc1, { to, port: udp.port });
			const dig = (words: string): Promise<{ stdout: string }> =>
				promisify(execFile)("dig", ["-p", String(tcp.port), "@127.0.0.1", ...words.split(" ")]);
			expect(DIGS.length).toBe(29);
			for (const { words, printed } of DIGS) {
				expect(told((await dig(words)).stdout), words).toEqual(told(printed));
				if (/ ANY| -x 8/.test(words)) continue;
				expect(told((await dig(`+tcp ${words}`)).stdout), words).toEqual(told(printed));
			}
		},
		60_000,
	);

	test("a question that nobody answers takes no real time, and the next one is answered", async () => {
		const { lc1, lab } = localnet();
		lc1.files.set("/etc/resolv.conf", "");
		await using port = await forwardUdp(lc1, { to: { address: "127.0.0.1", port: 7 } });
		const echo = lc1.udp({ port: 7 });
		let silent = true;
		echo.handler = (frame, at, octets, address, from) => {
			if (!silent) echo.send(frame.bytes.slice(at, at + octets), { address, port: from });
			silent = false;
		};
		const { createSocket } = await import("node:dgram");
		const socket = createSocket("udp4");
		const heard = new Promise<string>((resolve) => {
			socket.once("message", (message) => {
				resolve(message.toString());
			});
		});
		socket.send("one", port.port, port.address);
		await new Promise((resolve) => setTimeout(resolve, 50));
		const { now } = lab;
		expect(now).toBeGreaterThan(29e9);
		socket.send("two", port.port, port.address);
		expect(await heard).toBe("two");
		expect(lab.now - now).toBeLessThan(1e9);
		socket.close();
	});
});

describe("a real TCP port that leads into a lab", () => {
	test("a page of a container is fetched by Node's own client, through Docker's published port", async () => {
		const lab = new Lab({ seed: 1 });
		const lan = lab.switch("lan");
		const node = lab.host("node", { nics: { eth0: { address: "192.0.2.5/24", attach: lan } } });
		const client = lab.host("client", { nics: { eth0: { address: "192.0.2.9/24", attach: lan } } });
		const web = node.docker.run({ name: "web", publish: ["5001:80"] });
		serve(
			web.netns,
			80,
			createServer((request, response) => {
				response.end(`you asked ${request.url ?? ""}`);
			}),
		);
		await using port = await forwardTcp(client.netns, { to: { address: "192.0.2.5", port: 5001 } });
		const body = await new Promise<string>((resolve, reject) => {
			get({ host: port.address, port: port.port, path: "/page", agent: false }, (response) => {
				let text = "";
				response.on("data", (part: Buffer) => (text += part.toString()));
				response.on("end", () => {
					resolve(text);
				});
			}).on("error", reject);
		});
		expect(body).toBe("you asked /page");
	});

	test("a port where nobody listens in the lab resets the real connection", async () => {
		const { lc1 } = localnet();
		await using port = await forwardTcp(lc1, { to: { address: "172.19.0.3", port: 80 } });
		const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
			const socket = connect(port.port, port.address);
			socket.on("error", resolve);
			socket.resume();
		});
		expect(error.code).toBe("ECONNRESET");
	});
});
