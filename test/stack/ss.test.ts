import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

function pair() {
	const lab = new Lab({ seed: 1 });
	const [a, b] = [lab.netns("a"), lab.netns("b")];
	const ends = lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" });
	for (const [i, end] of ends.entries()) {
		end.addAddress(`10.0.0.${String(i + 1)}/24`);
		end.up();
	}
	return { lab, a, b };
}

describe("ss", () => {
	test("prints the sockets of Docker's resolver in a container to the letter (02-bridge-user)", () => {
		const recorded = readFileSync("test/golden/02-bridge-user/ss-container.txt", "utf8");
		const { a } = pair();
		const [udp, tcp] = [...recorded.matchAll(/127\.0\.0\.11:(\d+).*fd=(\d+)/g)].map(([, port, fd]) => ({
			address: "127.0.0.11",
			port: Number(port),
			program: { name: "dockerd", pid: 323, fd: Number(fd) },
		}));
		if (udp === undefined || tcp === undefined) throw new Error("the recording has both");
		a.udp(udp);
		a.listen(tcp);
		expect(a.ss("-lntup")).toBe(recorded);
	});

	test("connections by state, with what waits in either direction", async () => {
		const { lab, a, b } = pair();
		const server = b.tcp.listen({ port: 80, backlog: 16 });
		const client = a.tcp.connect({ address: "10.0.0.2", port: 80, localPort: 40_000 });
		client.onConnect = () => void client.write(new Uint8Array(100));
		await lab.advance("100ms");
		expect(b.ss("-tan")).toBe(
			[
				"State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process",
				"LISTEN 1      16           0.0.0.0:80        0.0.0.0:*           ",
				"ESTAB  100    0           10.0.0.2:80       10.0.0.1:40000       ",
				"",
			]
				.join("\n")
				.replace("Port Process", "Port Process"),
		);
		server.accept({
			resolve: (socket) => {
				socket.close();
			},
			reject: () => undefined,
		});
		await lab.advance("100ms");
		expect(a.ss("-tan").split("\n").length).toBe(2);
		expect(b.ss("-tln")).toContain("LISTEN 0      16");
	});

	test("without -a and -l only connections; -u and -t choose; -i tells what congestion control knows; -H no header", async () => {
		const { lab, a, b } = pair();
		b.tcp.listen({ port: 80 });
		a.tcp.connect({ address: "10.0.0.2", port: 80 });
		const socket = a.udp({ port: 5000 });
		socket.connect("10.0.0.2", 53);
		a.udp({ port: 5001 });
		await lab.advance("100ms");
		expect(
			a
				.ss()
				.split("\n")
				.slice(1, -1)
				.map((line) => line.slice(0, 11)),
		).toEqual(["udp   ESTAB", "tcp   ESTAB"]);
		expect(
			a
				.ss("-uaH")
				.split("\n")
				.map((line) => line.slice(0, 6)),
		).toEqual(["ESTAB ", "UNCONN", ""]);
		expect(a.ss("-ti")).toMatch(
			/\n\t cubic ts sack wscale:7,7 rto:20\d rtt:0\.02\/0\.01 mss:1448 pmtu:1500 rcvmss:536 advmss:1448 cwnd:10\n$/,
		);
		expect(b.ss("-H")).toContain("10.0.0.2:80");
	});

	test("a socket of both families is * to *, behind those of IPv4; its connections have mapped addresses", async () => {
		const { lab, a, b } = pair();
		b.tcp.listen({ port: 80, family: "inet6", backlog: 9 });
		b.tcp.listen({ port: 81, backlog: 9 });
		b.udp({ port: 7946, family: "inet6" });
		a.tcp.connect({ address: "10.0.0.2", port: 80, localPort: 40_000 });
		await lab.advance("100ms");
		expect(b.ss("-lntu")).toBe(
			[
				"Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess",
				"udp   UNCONN 0      0                  *:7946            *:*          ",
				"tcp   LISTEN 0      9            0.0.0.0:81        0.0.0.0:*          ",
				"tcp   LISTEN 1      9                  *:80              *:*          ",
				"",
			].join("\n"),
		);
		expect(b.ss("-tnH")).toMatch(/^ESTAB 0 +0 +\[::ffff:10\.0\.0\.2\]:80 +\[::ffff:10\.0\.0\.1\]:40000 *\n$/);
		expect(a.ss("-tnH")).toMatch(/10\.0\.0\.1:40000 +10\.0\.0\.2:80 /);
		const lines = (options: string): string[] =>
			b
				.ss(options)
				.split("\n")
				.slice(0, -1)
				.map((line) => line.trim().split(/ +/).slice(3, 5).join(" "));
		expect(lines("-lntH4")).toEqual(["0.0.0.0:81 0.0.0.0:*"]);
		expect(lines("-lntH6")).toEqual(["*:80 *:*"]);
		expect(lines("-lntH46")).toHaveLength(2);
	});

	test("a VXLAN device's port is nobody's; unknown options are refused", () => {
		const { a } = pair();
		a.addVxlan("vx", { vni: 1, local: "10.0.0.1" }).up();
		expect(a.ss("-lun")).toContain("0.0.0.0:4789");
		expect(() => a.ss("-z")).toThrow("ss: invalid option -- 'z'");
	});
});

describe("SO_LINGER", () => {
	test("0 resets on close", async () => {
		const { lab, a, b } = pair();
		b.tcp.listen({ port: 80 });
		const client = a.tcp.connect({ address: "10.0.0.2", port: 80, linger: 0 });
		await lab.advance("10ms");
		client.close();
		await lab.advance("10ms");
		expect([a.tcp.count, [...b.tcp.sockets()].length]).toEqual([0, 0]);
	});

	test("closing waits until all is acknowledged, or so long", async () => {
		const { lab, a, b } = pair();
		b.listen({ port: 80 });
		const stream = await a.connect({ hostname: "10.0.0.2", port: 80, linger: 2e9 });
		let began = lab.now;
		await stream.close();
		expect(lab.now - began).toBeLessThan(50e6);

		const other = await a.connect({ hostname: "10.0.0.2", port: 80, linger: 2e9 });
		b.iptables("-A INPUT -p tcp -j DROP");
		began = lab.now;
		await other.close();
		expect((lab.now - began) / 1e9).toBeCloseTo(2, 0);
		expect(other.socket.state).toBe("fin-wait-1");
	});
});
