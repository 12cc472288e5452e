import { describe, expect, test } from "vitest";
import { Lab, type NetError } from "../../src/index.ts";
import { dissect, tcp } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";
import {
	ask,
	balanced,
	type Balanced,
	echo,
	quiet,
	segment,
	serverAddress,
	VIP,
} from "../support/load-balancer.ts";

/** A service of datagrams with all servers behind it; weights in the order of the servers. */
function service(
	net: Balanced,
	options: string,
	weights: readonly number[] = net.servers.map(() => 1),
): void {
	echo(net, 53);
	net.lb.ipvsadm(`-A -u ${VIP}:53 ${options}`);
	for (const [i, weight] of weights.entries()) {
		net.lb.ipvsadm(`-a -u ${VIP}:53 -r ${serverAddress(i)}:53 -m -w ${String(weight)}`);
	}
}

async function answers(net: Balanced, count: number): Promise<(number | string)[]> {
	const got: (number | string)[] = [];
	for (let i = 0; i < count; i++) got.push(await ask(net, 53));
	return got;
}

describe("schedulers choose as the kernel's do", () => {
	test.each<readonly [string, readonly number[], readonly number[], string]>([
		["rr", [1, 1, 1], [2, 1, 0, 2, 1, 0], "the one added last is the first"],
		["rr", [1, 0, 5], [2, 0, 2, 0, 2, 0], "weights other than 0 are ignored"],
		["wrr", [3, 1, 1], [2, 1, 0, 0, 0, 2, 1, 0, 0, 0], "heavy ones take the passes of higher weight"],
		[
			"wrr",
			[4, 2, 0],
			[1, 0, 0, 1, 0, 0],
			"the bar falls by what the weights have in common, and stands low at first",
		],
		// A datagram's connection is inactive, so that the load is how many there were.
		["lc", [1, 1, 1], [2, 1, 0, 2, 1, 0], "fewest connections, the newest first among equals"],
		["wlc", [2, 1, 1], [2, 1, 0, 0, 2, 1], "fewest connections for its weight"],
		["nq", [1, 1, 1], [2, 2, 2], "datagrams never make a server busy"],
		["sed", [1, 2, 1], [1, 1, 1], "the shortest expected delay"],
	])("%s %j: %j (%s)", async (scheduler, weights, order) => {
		const net = balanced();
		service(net, `-s ${scheduler}`, weights);
		expect(await answers(net, order.length)).toEqual(order);
	});

	test("sh sends one client always to one server, and another client maybe elsewhere", async () => {
		const net = balanced();
		service(net, "-s sh");
		expect(new Set(await answers(net, 5)).size).toBe(1);
		net.client.device("eth0").addAddress("10.1.0.11/24");
		const slot = (address: number): number => Math.imul(address, 0x61c8_8647) >>> 24;
		// The table is filled with the servers in turn, the newest first.
		expect(await ask(net, 53)).toBe(2 - (slot(0x0a01_000a) % 3));
	});

	test("sh without -b sh-fallback refuses a client whose server is down, with it the next one serves", async () => {
		const net = balanced();
		service(net, "-s sh");
		const chosen = Number(await ask(net, 53));
		net.lb.ipvsadm(`-e -u ${VIP}:53 -r ${serverAddress(chosen)}:53 -m -w 0`);
		expect(await ask(net, 53)).toBe("ECONNREFUSED");
		net.lb.ipvsadm(`-E -u ${VIP}:53 -s sh -b sh-fallback`);
		expect(await ask(net, 53)).not.toBe(chosen);
	});

	test("dh chooses by the virtual address", async () => {
		const net = balanced();
		service(net, "-s dh");
		const slot = Math.imul(0x0a01_0064, 0x61c8_8647) >>> 24;
		expect(await answers(net, 3)).toEqual([0, 0, 0].map(() => 2 - (slot % 3)));
	});

	test("rr goes on behind the one chosen last when that is removed", async () => {
		const net = balanced();
		service(net, "-s rr");
		expect(await answers(net, 2)).toEqual([2, 1]);
		net.lb.ipvsadm(`-d -u ${VIP}:53 -r ${serverAddress(1)}:53`);
		expect(await answers(net, 3)).toEqual([0, 2, 0]);
	});
});

describe("real servers come and go", () => {
	test("weight 0: no new connections, those there are live on", async () => {
		const net = balanced();
		service(net, "-s rr");
		const socket = net.client.udp();
		socket.connect(VIP, 53);
		socket.send(new Uint8Array(8));
		expect((await socket.receive()).data[0]).toBe(2);
		net.lb.ipvsadm(`-e -u ${VIP}:53 -r ${serverAddress(2)}:53 -m -w 0`);
		expect(await answers(net, 4)).toEqual([1, 0, 1, 0]);
		socket.send(new Uint8Array(8));
		expect((await socket.receive()).data[0]).toBe(2);
	});

	test("a removed server's connections get nothing, unless expire_nodest_conn gives them another", async () => {
		const net = balanced();
		service(net, "-s rr");
		const socket = net.client.udp();
		socket.connect(VIP, 53);
		socket.send(new Uint8Array(8));
		expect((await socket.receive()).data[0]).toBe(2);
		net.lb.ipvsadm(`-d -u ${VIP}:53 -r ${serverAddress(2)}:53`);
		const ended: string[] = [];
		net.lab.onDrop((drop) => ended.push(drop.reason));
		socket.send(new Uint8Array(8));
		await net.lab.advance("10ms");
		expect(ended).toEqual(["ipvs-destination-gone"]);
		net.lb.sysctl.set("net.ipv4.vs.expire_nodest_conn", 1);
		socket.send(new Uint8Array(8));
		expect([0, 1]).toContain((await socket.receive()).data[0]);
	});

	test("a server at its upper threshold gets no more until three quarters are left", async () => {
		const net = balanced({ servers: 2 });
		service(net, "-s rr");
		net.lb.ipvsadm(`-e -u ${VIP}:53 -r ${serverAddress(1)}:53 -m -x 4`);
		net.lb.ipvsadm("--set 0 0 10");
		expect(await answers(net, 9)).toEqual([1, 0, 1, 0, 1, 0, 1, 0, 0]);
		await net.lab.advance("11s");
		expect(await answers(net, 2)).toEqual([1, 0]);
	});

	test("without any the client is told at once: port unreachable, from the virtual address", async () => {
		const net = balanced();
		net.lb.ipvsadm(`-A -u ${VIP}:53 -s rr`);
		expect(await ask(net, 53)).toBe("ECONNREFUSED");
	});

	test("one that was removed comes back with its connections while they live", async () => {
		const net = balanced();
		service(net, "-s rr");
		await answers(net, 3);
		net.lb.ipvsadm("-C");
		net.lb.ipvsadm(`-A -u ${VIP}:53 -s rr`);
		net.lb.ipvsadm(`-a -u ${VIP}:53 -r ${serverAddress(2)}:53 -m`);
		expect(net.lb.ipvsadm("-Ln")).toContain(
			`${serverAddress(2)}:53                 Masq    1      0          1`,
		);
		await net.lab.advance("301s");
		await net.lab.advance("20s");
		expect(net.lb.ipvsadm("-Ln")).toContain(
			`${serverAddress(2)}:53                 Masq    1      0          0`,
		);
	});
});

describe("persistence", () => {
	test("a client stays with its server, another one need not", async () => {
		const net = balanced();
		service(net, "-s rr -p 60");
		expect(await answers(net, 3)).toEqual([2, 2, 2]);
		expect(net.lb.ipvsadm("-Lcn")).toMatch(/UDP 0[01]:\d\d {2}ASSURED {5}10\.1\.0\.10:0 {8}10\.1\.0\.100:53/);
		await net.lab.advance("301s");
		await net.lab.advance("80s");
		expect(await answers(net, 1)).toEqual([1]);
	});

	test("-M keeps a network together", async () => {
		const net = balanced();
		service(net, "-s rr -p 60 -M 255.255.255.0");
		expect(await answers(net, 2)).toEqual([2, 2]);
		expect(net.lb.ipvsadm("-Lcn")).toContain("10.1.0.0:0");
	});

	test("a template's server of weight 0 is kept, unless expire_quiescent_template says no", async () => {
		const net = balanced();
		service(net, "-s rr -p 60");
		await answers(net, 1);
		net.lb.ipvsadm(`-e -u ${VIP}:53 -r ${serverAddress(2)}:53 -m -w 0`);
		expect(await answers(net, 1)).toEqual([2]);
		net.lb.sysctl.set("net.ipv4.vs.expire_quiescent_template", 1);
		expect(await answers(net, 1)).toEqual([1]);
	});

	test("port 0 sends all ports of a client to one server, each to its own port", async () => {
		const net = balanced();
		echo(net, 53);
		echo(net, 54);
		net.lb.ipvsadm(`-A -u ${VIP}:0 -s rr -p 60`);
		for (const i of [0, 1, 2]) net.lb.ipvsadm(`-a -u ${VIP}:0 -r ${serverAddress(i)}:0 -m`);
		expect([await ask(net, 53), await ask(net, 54)]).toEqual([2, 2]);
	});
});

describe("TCP connections", () => {
	/** A service on port 80, and a way to let a client and the server it got speak. */
	function web() {
		const net = balanced({ servers: 2 });
		quiet(net.client, ...net.servers);
		net.lb.ipvsadm(`-A -t ${VIP}:80 -s rr`);
		for (const i of [0, 1]) net.lb.ipvsadm(`-a -t ${VIP}:80 -r ${serverAddress(i)}:80 -m`);
		const says = async (flags: number): Promise<void> => {
			segment(net.client, { from: "10.1.0.10", to: VIP, ports: [40_000, 80], flags });
			await net.lab.advance("10ms");
		};
		const answers = async (flags: number): Promise<void> => {
			const from = serverAddress(1);
			segment(net.servers[1]!, { from, to: "10.1.0.10", ports: [80, 40_000], flags });
			await net.lab.advance("10ms");
		};
		const row = (): string | undefined =>
			/TCP (\d\d:\d\d) {2}(\S+)/.exec(net.lb.ipvsadm("-Lcn"))?.slice(1).join(" ");
		return { ...net, says, answers, row };
	}

	test("go through the states of their segments, with the time each has", async () => {
		const { says, answers, row } = web();
		await says(tcp.SYN);
		expect(row()).toBe("00:59 SYN_RECV");
		await answers(tcp.SYN | tcp.ACK);
		expect(row()).toBe("00:59 SYN_RECV");
		await says(tcp.ACK);
		expect(row()).toBe("14:59 ESTABLISHED");
		await answers(tcp.FIN | tcp.ACK);
		expect(row()).toBe("01:59 FIN_WAIT");
		await says(tcp.FIN | tcp.ACK);
		expect(row()).toBe("01:59 TIME_WAIT");
	});

	test("of which the client resets one end soon", async () => {
		const { lab, says, answers, row } = web();
		await says(tcp.SYN);
		await answers(tcp.SYN | tcp.ACK);
		await says(tcp.ACK);
		await says(tcp.RST);
		expect(row()).toBe("00:09 CLOSE");
		await lab.advance("11s");
		expect(row()).toBeUndefined();
	});

	test("--set changes the times of established, closing and UDP; 0 leaves one alone", async () => {
		const { lb, says, answers, row } = web();
		lb.ipvsadm("--set 100 0 20");
		expect(lb.ipvsadm("-L --timeout")).toBe("Timeout (tcp tcpfin udp): 100 120 20\n");
		await says(tcp.SYN);
		await answers(tcp.SYN | tcp.ACK);
		await says(tcp.ACK);
		expect(row()).toBe("01:39 ESTABLISHED");
	});

	test("a SYN in TIME_WAIT is a new connection to the next server; with conn_reuse_mode 0 it is the old one", async () => {
		for (const [mode, expected] of [
			[1, serverAddress(0)],
			[0, serverAddress(1)],
		] as const) {
			const { lb, says, answers } = web();
			lb.sysctl.set("net.ipv4.vs.conn_reuse_mode", mode);
			await says(tcp.SYN);
			await answers(tcp.FIN | tcp.ACK);
			await says(tcp.FIN | tcp.ACK);
			await says(tcp.SYN);
			expect(
				lb
					.ipvsadm("-Lcn")
					.trimEnd()
					.split("\n")
					.slice(2)
					.map((line) => line.trim().split(/\s+/).at(-1)),
			).toEqual([`${expected}:80`]);
		}
	});

	test("anything but a SYN begins none: it gets the reset of a closed port", async () => {
		const net = web();
		const capture = net.lab.capture();
		await net.says(tcp.ACK);
		expect(net.row()).toBeUndefined();
		const answer = dissect(capture.sightings("client:eth0").at(-1)!.data);
		expect([value(answer, "ipv4.source"), value(answer, "tcp.flags")]).toEqual([0x0a01_0064, tcp.RST]);
	});

	test("the kernel's table after the last packet empties by itself", async () => {
		const net = web();
		await net.says(tcp.SYN);
		await net.lab.advance("70s");
		expect(net.lb.ipvs.core.connections.size).toBe(0);
		expect(net.lb.ipvs.core.services.sorted()[0]!.destinations.map(({ references }) => references)).toEqual([
			0, 0,
		]);
	});
});

describe("ipvsadm", () => {
	test("-Sn is what -R reads, and no arguments list the table", () => {
		const lb = new Lab({ seed: 1 }).netns("lb");
		const rules = [
			"-A -t 10.1.0.100:80 -s rr -p 300 -M 255.255.255.0",
			"-a -t 10.1.0.100:80 -r 10.2.0.11:80 -g -w 1",
			"-a -t 10.1.0.100:80 -r 10.2.0.12:80 -g -w 3 -x 10 -y 5",
			"-A -u 10.1.0.100:53 -s wlc -o",
			"-a -u 10.1.0.100:53 -r 10.2.0.11:5353 -m -w 1",
			"-A -f 256 -s sh -b sh-fallback,sh-port",
			"-a -f 256 -r 10.2.0.11:0 -i -w 0",
		].map((line) => `${line}\n`);
		lb.ipvsadm("-R", rules.join(""));
		expect(lb.ipvsadm("-Sn")).toBe(rules.join(""));
		expect(lb.ipvsadm("")).toBe(lb.ipvsadm("-Ln"));
		expect(lb.ipvsadm("-Ln")).toBe(
			[
				"IP Virtual Server version 1.2.1 (size=4096)",
				"Prot LocalAddress:Port Scheduler Flags",
				"  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
				"TCP  10.1.0.100:80 rr persistent 300 mask 255.255.255.0",
				"  -> 10.2.0.11:80                 Route   1      0          0         ",
				"  -> 10.2.0.12:80                 Route   3      0          0         ",
				"UDP  10.1.0.100:53 wlc ops",
				"  -> 10.2.0.11:5353               Masq    1      0          0         ",
				"FWM  256 sh (sh-fallback,sh-port)",
				"  -> 10.2.0.11:0                  Tunnel  0      0          0         ",
				"",
			].join("\n"),
		);
	});

	test("words and objects say the same", () => {
		const lab = new Lab({ seed: 1 });
		const [a, b] = [lab.netns("a"), lab.netns("b")];
		a.ipvsadm("-A -t 10.1.0.100:80 -s wrr -p");
		a.ipvsadm("-a -t 10.1.0.100:80 -r 10.2.0.11 -m -w 5");
		b.ipvs.addService({ tcp: "10.1.0.100:80", scheduler: "wrr", persistent: true });
		b.ipvs.addDestination(
			{ tcp: "10.1.0.100:80" },
			{ address: "10.2.0.11", forward: "masquerading", weight: 5 },
		);
		expect(b.ipvsadm("-Sn")).toBe(a.ipvsadm("-Sn"));
		expect(a.ipvsadm("-Sn")).toContain("-p 360");
	});

	test.each<readonly [line: string, code: string, message: string]>([
		["-A -t 10.1.0.100:80 -s rr", "EEXIST", "Service already exists"],
		["-A -t 10.1.0.100:81 -s fastest", "ENOENT", "Scheduler or persistence engine not found"],
		["-E -t 10.1.0.100:81 -s rr", "ESRCH", "No such service"],
		["-D -f 7", "ESRCH", "No such service"],
		["-Z -u 10.1.0.100:80", "ESRCH", "No such service"],
		["-L -t 10.1.0.100:81", "ESRCH", "No such service"],
		["-a -t 10.1.0.100:81 -r 10.2.0.11 -m", "ESRCH", "Service not defined"],
		["-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m", "EEXIST", "Destination already exists"],
		["-e -t 10.1.0.100:80 -r 10.2.0.12:80 -m", "ENOENT", "No such destination"],
		["-d -t 10.1.0.100:80 -r 10.2.0.12:80", "ENOENT", "No such destination"],
		["-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -x 5 -y 6", "ERANGE", "Numerical result out of range"],
		[
			"-a -t 10.1.0.100:80 -r 224.0.0.1:80 -m",
			"EINVAL",
			"Invalid operation.  Possibly wrong module version, address not unicast, ...",
		],
		["-a -t 10.1.0.100:80 -r 10.2.0.12:80 -w 65536", "EINVAL", "illegal weight specified"],
		["-A -t 10.1.0.100 -s rr", "EINVAL", "Zero port specified for non-persistent service"],
		["-A -t 10.1.0.100:82 -o", "EINVAL", "One-Packet Scheduling is only for UDP virtual services"],
		["-A -t vip:80", "EINVAL", "illegal virtual server address[:port] specified"],
		["-a -t 10.1.0.100:80 -r server", "EINVAL", "illegal real server address[:port] specified"],
		["-A -f 0", "EINVAL", "invalid fwmark value `0' specified"],
		["-A -t 10.1.0.100:82 -p 0", "EINVAL", "invalid timeout value `0' specified"],
		["-A -t 10.1.0.100:82 -t 10.1.0.100:83", "EINVAL", "multiple 'service-address' options specified"],
		["-A -s rr", "EINVAL", "You need to supply the 'service-address' option for the 'add-service' command"],
		[
			"-a -t 10.1.0.100:80",
			"EINVAL",
			"You need to supply the 'real-server' option for the 'add-server' command",
		],
		["-D -t 10.1.0.100:80 -s rr", "EINVAL", "Illegal 'scheduler' option with the 'delete-service' command"],
		["--set 1 2", "EINVAL", "--set option requires 3 timeout values"],
		["--set 1 2 x", "EINVAL", "invalid timeout value `x' specified"],
		["-L -c --stats", "EINVAL", "options conflicts in the list command"],
		["-A -t 10.1.0.100:82 -q", "EINVAL", "-q: unknown option"],
		["-A -t 10.1.0.100:82 rr", "EINVAL", "unexpected argument rr"],
		["-n", "EINVAL", "Try `ipvsadm -h' or 'ipvsadm --help' for more information."],
	])("%s: %s %s, and nothing changes", (line, code, message) => {
		const lb = new Lab({ seed: 1 }).netns("lb");
		lb.ipvsadm("-A -t 10.1.0.100:80 -s rr");
		lb.ipvsadm("-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m");
		const before = lb.ipvsadm("-Sn") + lb.ipvsadm("-L --timeout");
		expect(() => lb.ipvsadm(line)).toThrow(expect.objectContaining({ code, message }) as NetError);
		expect(lb.ipvsadm("-Sn") + lb.ipvsadm("-L --timeout")).toBe(before);
	});

	test("--stats are as old as the kernel's estimator, which runs every two seconds; --rate is their average", async () => {
		const net = balanced();
		service(net, "-s rr");
		await answers(net, 3);
		const row = (option: string): string =>
			net.lb
				.ipvsadm(`-Ln ${option}`)
				.split("\n")
				.find((line) => line.startsWith("UDP"))!
				.trim();
		expect(row("--stats")).toMatch(/:53( +0){5}$/);
		await net.lab.advance("3s");
		expect(row("--stats")).toMatch(/:53 +3 +3 +3 +108 +87$/);
		expect(row("--rate")).toMatch(/:53 +0 +0 +0 +13 +11$/);
		net.lb.ipvsadm("-Z");
		expect(row("--stats")).toMatch(/:53( +0){5}$/);
	});

	test("net.ipv4.vs.* has Linux's defaults and refuses names it has not", () => {
		const lb = new Lab({ seed: 1 }).netns("lb");
		expect(lb.sysctl.get("net.ipv4.vs.conn_reuse_mode")).toBe(1);
		expect(() => lb.sysctl.get("net.ipv4.vs.nothing" as never)).toThrow(
			"sysctl: cannot stat /proc/sys/net/ipv4/vs/nothing: No such file or directory",
		);
	});
});
