import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Capture, Lab, NetError, type Netns } from "../../src/index.ts";
import type { Flow } from "../../src/stack/netfilter/index.ts";

/** Runs of the property: each is two networks, and a story of up to fifty acts in both. */
const RUNS = { numRuns: 10 };
const TIMEOUT = 180_000;

/**
 *     c0 10.0.0.10 ─┐                            ┌─ s0 10.1.0.20
 *     c1 10.0.0.11 ─┴─ router 10.0.0.1, 10.0.0.100 ─┬─ up0 10.1.0.1 ─┤
 *                                                └─ up1 10.2.0.1 ─┴─ s1 10.1.0.21, 10.2.0.21
 *
 * The router forwards, translates and balances; clients and servers have rules of their own.
 */
function world(remembersWays: boolean, captured: boolean) {
	const lab = new Lab({ seed: 3, maxPending: 50_000 });
	lab.world.remembersWays = remembersWays;
	const router = lab.netns("router");
	const lan = router.addBridge("lan");
	lan.addAddress("10.0.0.1/24");
	lan.addAddress("10.0.0.100/24");
	lan.up();
	const outside = lab.netns("outside");
	const [sw0, sw1] = [outside.addBridge("br0"), outside.addBridge("br1")];
	for (const bridge of [sw0, sw1]) bridge.up();
	const clients = [0, 1].map((i) => {
		const ns = lab.netns(`c${String(i)}`);
		const [port, eth0] = lab.veth({ ns: router, name: `v${String(i)}` }, { ns, name: "eth0" });
		lan.attach(port);
		eth0.addAddress(`10.0.0.1${String(i)}/24`);
		for (const device of [port, eth0]) device.up();
		ns.routes.add("default", { via: "10.0.0.1" });
		return ns;
	});
	for (const [i, bridge] of [sw0, sw1].entries()) {
		const [up, port] = lab.veth(
			{ ns: router, name: `up${String(i)}` },
			{ ns: outside, name: `r${String(i)}` },
		);
		bridge.attach(port);
		up.addAddress(`10.${String(i + 1)}.0.1/24`);
		for (const device of [up, port]) device.up();
	}
	const servers = [0, 1].map((i) => {
		const ns = lab.netns(`s${String(i)}`);
		for (const [j, bridge] of (i === 0 ? [sw0] : [sw0, sw1]).entries()) {
			const [port, eth] = lab.veth(
				{ ns: outside, name: `s${String(i)}${String(j)}` },
				{ ns, name: `eth${String(j)}` },
			);
			bridge.attach(port);
			eth.addAddress(`10.${String(j + 1)}.0.2${String(i)}/24`);
			for (const device of [port, eth]) device.up();
		}
		ns.routes.add("default", { via: "10.1.0.1" });
		ns.iptables("-t nat -A PREROUTING -p udp --dport 8080 -j REDIRECT --to-ports 80");
		ns.iptables("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT");
		return ns;
	});
	router.sysctl.set("net.ipv4.ip_forward", 1);
	router.sysctl.set("net.ipv4.vs.conntrack", 1);
	router.iptables("-t nat -A POSTROUTING -o up0 -j MASQUERADE");
	router.iptables(
		"-t nat -A PREROUTING -d 10.0.0.1 -p udp --dport 53 -j DNAT --to-destination 10.1.0.20:8080",
	);
	router.iptables("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
	router.iptables("-t mangle -A PREROUTING -d 10.0.0.100 -j MARK --set-xmark 0x100/0xffffffff");
	router.iptables("-t mangle -A PREROUTING -i up1");
	router.ipvsadm("-A -f 256 -s rr");
	for (const i of [0, 1]) router.ipvsadm(`-a -f 256 -r 10.1.0.2${String(i)}:0 -m`);
	clients[1]!.iptables("-A OUTPUT -m mark --mark 0x5");
	clients[0]!.iptables("-t mangle -A OUTPUT -p udp -j MARK --set-xmark 0x7/0xff");
	const heard: string[] = [];
	const drops: string[] = [];
	lab.onDrop(({ time, reason, place, detail, frame }) => {
		drops.push(`${String(time)} ${place} ${reason} ${String(frame)} ${detail ?? ""}`);
	});
	for (const [i, ns] of servers.entries()) {
		for (const port of [80, 4000]) {
			const socket = ns.udp({ port });
			socket.handler = (frame, at, octets, source, from) => {
				heard.push(`s${String(i)} ${String(port)} ${String(octets)} ${String(source)}:${String(from)}`);
				// Port 80 answers, port 4000 every third time: an exchange that is none yet for a while.
				if (port === 4000 && octets % 3 !== 0) return;
				socket.send(frame.bytes.slice(at, at + octets), { address: source, port: from });
			};
		}
		const listener = ns.listen({ port: 80 });
		void (async () => {
			for await (const peer of listener) void peer.readable.pipeTo(peer.writable).catch(() => undefined);
		})().catch(() => undefined);
	}
	const sockets = clients.flatMap((ns, c) =>
		[5000, 5001, 5002].map((port) => {
			const socket = ns.udp({ port });
			socket.handler = (_frame, _at, octets, source, from) => {
				heard.push(`c${String(c)} ${String(port)} ${String(octets)} ${String(source)}:${String(from)}`);
			};
			return socket;
		}),
	);
	// The last plain acknowledgment that came from each client.
	const segments: Uint8Array[] = [];
	router.packetSocket().onFrame = (bytes, device) => {
		const plain = bytes[23] === 6 && bytes[14] === 0x45 && bytes[47] === 0x10;
		if (plain && device.name === "lan" && bytes[29] === 10 && bytes[28] === 0) segments[0] = bytes;
	};
	const capture: Capture | undefined = captured ? lab.capture() : undefined;
	return { lab, router, clients, servers, sockets, heard, drops, segments, capture };
}

type World = ReturnType<typeof world>;
const pick = <T>(from: readonly T[], at: number): T => from[at % from.length]!;

/** Rules of all kinds: those that go by the flow, those that go by the packet, and by chance or time. */
const RULES = [
	"-j ACCEPT",
	"-p udp -j ACCEPT",
	"-p udp --dport 80 -j RETURN",
	"-p udp --dport 4000 -j DROP",
	"-s 10.0.0.0/24",
	"-d 10.1.0.0/24",
	"-m conntrack --ctstate NEW",
	"-m conntrack --ctstate ESTABLISHED -j ACCEPT",
	"-m conntrack --ctdir REPLY",
	"-m mark --mark 0x7",
	"-m mark --mark 0x100/0x100 -j ACCEPT",
	"-m addrtype --dst-type LOCAL",
	"-m addrtype --src-type LOCAL --limit-iface-in",
	"-m length --length 100:",
	"-m length --length 0:60 -j DROP",
	"-m limit --limit 5/second --limit-burst 3 -j ACCEPT",
	"-m statistic --mode nth --every 3 --packet 0",
	"-m statistic --mode random --probability 0.3",
	"-m u32 --u32 4&0x1FFF=0",
	"-m comment --comment all",
	"-p tcp -m tcp --syn",
	"-p tcp -m tcp --tcp-flags PSH PSH",
	"-p tcp -m tcp --tcp-flags FIN,ACK ACK",
	"-p udp -m multiport --dports 80,53,8080",
	"-p udp -m udp --sport 5000:5001",
	"-p icmp -m icmp --icmp-type 3",
	"-m connmark --mark 0x5",
	"-i up0",
	"-o up1",
	"-i up1 -j DROP",
	"-j LOG",
	"-j OTHER",
	"-g OTHER",
];
const MANGLE = [
	"-j MARK --set-xmark 0x3/0xff",
	"-p udp -j MARK --or-mark 0x10",
	"-j CONNMARK --set-xmark 0x5/0xf",
	"-j CONNMARK --restore-mark",
	"-p tcp --syn -j TCPMSS --set-mss 600",
];
const FILTER_CHAINS = ["INPUT", "FORWARD", "OUTPUT", "OTHER"];
const MANGLE_CHAINS = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
const SYSCTLS = [
	["net.netfilter.nf_conntrack_acct", 1],
	["net.netfilter.nf_conntrack_acct", 0],
	["net.netfilter.nf_conntrack_udp_timeout", 2],
	["net.netfilter.nf_conntrack_udp_timeout_stream", 3],
	["net.netfilter.nf_conntrack_checksum", 0],
	["net.ipv4.ip_forward", 0],
	["net.ipv4.ip_forward", 1],
	["net.ipv4.conf.all.rp_filter", 1],
	["net.ipv4.conf.all.rp_filter", 0],
	["net.ipv4.vs.conntrack", 0],
	["net.ipv4.vs.conntrack", 1],
	["net.ipv4.vs.expire_nodest_conn", 1],
] as const;
const TO = [
	["10.1.0.20", 80],
	["10.1.0.21", 80],
	["10.2.0.21", 80],
	["10.1.0.20", 4000],
	["10.1.0.20", 8080],
	["10.0.0.1", 53],
	["10.0.0.100", 80],
	["10.0.0.100", 4000],
	["10.0.0.11", 5001],
	["10.1.0.20", 9],
] as const;

const anyone = (w: World): Netns[] => [w.router, w.router, w.router, ...w.clients, ...w.servers];

const ACTS = {
	say: async (w: World, which: number, how: number) => {
		const socket = pick(w.sockets, which);
		const [address, port] = pick(TO, how);
		for (let i = 0; i < 5; i++) {
			socket.send(new Uint8Array(pick([6, 9, 30, 300, 1400], how + i)), { address, port });
			if (i % 2 === 0) await w.lab.advance("3ms");
		}
		await w.lab.advance(pick(["20ms", "1s", "3s"], which + how));
	},
	sayLong: async (w: World, which: number, how: number) => {
		const [address, port] = pick(TO, how);
		pick(w.sockets, which).send(new Uint8Array(2000 + how), { address, port });
		await w.lab.advance("20ms");
	},
	sayShortLived: async (w: World, which: number, how: number) => {
		const socket = pick(w.sockets, which);
		const [address, port] = pick(TO, how);
		for (socket.ttl = 1; socket.ttl < 4; socket.ttl++) socket.send(new Uint8Array(6), { address, port });
		socket.ttl = 64;
		socket.mark = pick([0, 5, 0x100], which);
		socket.tos = pick([0, 0, 0x10, 0x08], how);
		await w.lab.advance("20ms");
	},
	connect: async (w: World, which: number, how: number) => {
		const address = pick(["10.1.0.20", "10.1.0.21", "10.0.0.100"], how);
		const client = pick(w.clients, which);
		void (async () => {
			const socket = await client.connect({ hostname: address, port: 80 });
			const writer = socket.writable.getWriter();
			for (let i = 0; i < 4; i++) await writer.write(new Uint8Array(pick([5, 700, 3000], how + i)));
			if (how % 3 !== 0) await writer.close();
			for await (const data of socket.readable) w.heard.push(`tcp ${String(data.length)}`);
		})().catch((error: unknown) => {
			w.heard.push(error instanceof NetError ? error.code : String(error));
		});
		await w.lab.advance(pick(["5ms", "200ms", "2s"], how));
	},
	/** Segments far outside the windows, checksums taken for good. */
	stray: async (w: World, _which: number, how: number) => {
		const [segment] = w.segments;
		if (segment === undefined) return;
		for (const by of [0, 0x1000_0000, 0x6000_0000]) {
			const frame = w.lab.world.frames.from(segment);
			frame.view.setUint32(frame.start + 38, frame.view.getUint32(frame.start + 38) + by + how);
			frame.trusted = true;
			w.router.device("v0").receive(frame);
		}
		await w.lab.advance("1ms");
	},
	rule: (w: World, which: number, how: number) => {
		const ns = pick(anyone(w), which);
		const letter = pick(["-A", "-I", "-I"], how);
		if (how % 4 === 0)
			ns.iptables(`-t mangle ${letter} ${pick(MANGLE_CHAINS, which)} ${pick(MANGLE, how >> 2)}`);
		else {
			if (!ns.iptables("-S").includes("-N OTHER")) ns.iptables("-N OTHER");
			ns.iptables(`${letter} ${pick(FILTER_CHAINS, which >> 3)} ${pick(RULES, how >> 2)}`);
		}
	},
	raw: (w: World, which: number, how: number) => {
		const target = pick(["", "-p udp --dport 4000 -j NOTRACK", "-s 10.0.0.10", "-p tcp"], how);
		pick(anyone(w), which).iptables(`-t raw -A ${pick(["PREROUTING", "OUTPUT"], which)} ${target}`);
	},
	lessRules: (w: World, which: number, how: number) => {
		const ns = pick(anyone(w), which);
		ns.iptables(pick(["-D FORWARD 1", "-F INPUT", "-Z", "-P FORWARD DROP", "-P FORWARD ACCEPT"], how));
	},
	restore: (w: World, which: number) => {
		const ns = pick(anyone(w), which);
		ns.iptablesTool.restore(ns.iptablesTool.save(), { noFlush: false });
	},
	nat: (w: World, _which: number, how: number) => {
		w.router.iptables(
			pick(
				[
					"-t nat -F POSTROUTING",
					"-t nat -A POSTROUTING -o up1 -j SNAT --to-source 10.2.0.1:2000-2100",
					"-t nat -A POSTROUTING -o up0 -j MASQUERADE",
					"-t nat -I PREROUTING -p udp --dport 4000 -j DNAT --to-destination 10.1.0.21",
					"-t nat -D PREROUTING 1",
				],
				how,
			),
		);
	},
	route: (w: World, _which: number, how: number) => {
		const { routes } = w.router;
		if (how % 3 === 0) routes.add("10.1.0.21/32", { dev: "up1" });
		else if (how % 3 === 1) routes.del("10.1.0.21/32", { dev: "up1" });
		else routes.replace("10.1.0.0/24", { dev: "up0", mtu: pick([500, 1500], how) });
	},
	/** By which link a server's answers come back. */
	answers: (w: World, _which: number, how: number) => {
		const { routes } = w.servers[1]!;
		if (how % 3 === 0) routes.replace("default", { via: "10.1.0.1" });
		else routes.replace("default", { via: "10.2.0.1" });
	},
	policy: (w: World, _which: number, how: number) => {
		if (how % 5 !== 0) return;
		w.router.rule.add({ fwmark: 7, table: 100 });
		w.router.routes.add("10.1.0.0/24", { dev: "up1", table: 100 });
	},
	link: (w: World, which: number, how: number) => {
		const device = pick(pick(anyone(w), which).devices, which >> 3);
		if (device.name === "lo") return;
		const change = how % 5;
		if (change === 0) device.setMtu(pick([500, 1000, 1500], how));
		else if (change === 1) {
			device.down();
			device.up();
		} else if (change === 2) device.setMac(`02:00:00:00:0${String(how % 9)}:01`);
		else if (change === 3) device.down();
		else device.up();
	},
	rename: (w: World) => {
		const device = w.router.device("up1");
		device.down();
		w.router.rename(device, "up9");
		w.router.rename(device, "up1");
		device.up();
	},
	neighbour: (w: World, which: number, how: number) => {
		const dev = pick(["up0", "up1"], which);
		const ip = pick(["10.1.0.20", "10.1.0.21"], how);
		if (how % 3 === 0) w.router.neigh.flush(w.router.device(dev));
		else if (how % 3 === 1) w.router.neigh.replace(ip, { dev, lladdr: "02:00:00:00:00:99" });
		else w.router.neigh.del(ip, { dev });
	},
	address: (w: World, _which: number, how: number) => {
		const device = w.router.device("up0");
		if (how % 2 === 0) device.addAddress("10.1.0.20/32");
		else device.removeAddress("10.1.0.20/32");
	},
	sysctl: (w: World, which: number, how: number) => {
		const [name, value] = pick(SYSCTLS, how);
		pick(anyone(w), which).sysctl.set(name, value);
	},
	ipvs: (w: World, _which: number, how: number) => {
		w.router.ipvsadm(
			pick(
				[
					"-d -f 256 -r 10.1.0.21:0",
					"-a -f 256 -r 10.1.0.21:0 -m",
					"-e -f 256 -r 10.1.0.20:0 -m -w 0",
					"-e -f 256 -r 10.1.0.20:0 -m -w 3",
					"-C",
					"-A -f 256 -s rr",
					"-A -u 10.1.0.20:80 -s rr",
					"-A -f 256 -s rr -p 20",
					"-Z",
					"--set 5 5 5",
				],
				how,
			),
		);
	},
	forgetFlows: (w: World, which: number, how: number) => {
		const { conntrack } = pick(anyone(w), which).netfilter;
		if (how % 3 === 0) conntrack.forgetAll(() => true);
		else for (const flow of conntrack.flows().slice(0, how % 4)) conntrack.forget(flow);
	},
	hook: (w: World, which: number) => {
		const ns = pick(anyone(w), which);
		let seen = 0;
		ns.hooks.register("FORWARD", 10, (frame) => {
			w.heard.push(`hook ${ns.name} ${String(frame.length)} ${String(++seen)}`);
			return 1;
		});
	},
	wait: async (w: World, _which: number, how: number) => {
		await w.lab.advance(`${String(1 + (how % 40))}s`);
	},
} as const;

type Act = { readonly what: keyof typeof ACTS; readonly which: number; readonly how: number };
const number = fc.nat({ max: 10_000 });
const anyAct: fc.Arbitrary<Act> = fc.record({
	what: fc.oneof(
		{
			weight: 1,
			arbitrary: fc.constantFrom<Act["what"]>("say", "sayLong", "sayShortLived", "connect", "stray"),
		},
		{ weight: 2, arbitrary: fc.constantFrom(...(Object.keys(ACTS) as Act["what"][])) },
	),
	which: number,
	how: number,
});
/** The same flow again and again, something else in between, which often is about that flow. */
const anyStory: fc.Arbitrary<Act[]> = fc
	.tuple(number, number, fc.array(fc.tuple(anyAct, fc.boolean()), { minLength: 8, maxLength: 24 }))
	.map(([which, how, acts]) =>
		acts.flatMap(([act, same]) => [{ what: "say", which, how }, same ? { ...act, which, how } : act]),
	);

const anyFlowKnown = (w: World): number =>
	anyone(w)
		.flatMap((ns): Flow[] => ns.netfilter.trackedBy?.flows() ?? [])
		.filter((flow) => flow.original.way !== null || flow.reply.way !== null).length;

/** All that can be seen of what happened. */
function seen(w: World): string {
	const spaces = [...w.lab.namespaces.values()].map((ns: Netns) =>
		[
			ns.name,
			ns.iptablesTool.save({ counters: true }),
			ns.conntrack.list(),
			...ns.devices.map((device) => `${device.name} ${JSON.stringify(device.counters)}`),
			JSON.stringify(ns.neigh.show()),
		].join("\n"),
	);
	const balancer = ["-Ln --stats", "-Ln --rate", "-Lcn", "-Ln"].map((line) => w.router.ipvsadm(line));
	return [...spaces, ...balancer, ...w.heard, ...w.drops, String(w.lab.world.scheduler.now)].join("\n");
}

async function live(remembersWays: boolean, captured: boolean, acts: readonly Act[]) {
	const w = world(remembersWays, captured);
	const middles: string[] = [];
	let known = 0;
	for (const { what, which, how } of acts) {
		try {
			await ACTS[what](w, which, how);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			middles.push(error.message);
		}
		known += anyFlowKnown(w);
		middles.push(w.router.iptables("-L FORWARD -nvx"));
	}
	await w.lab.advance("1s");
	const end = seen(w);
	await w.lab.advance("20s");
	return { text: [...middles, end, seen(w)].join("\n"), pcapng: w.capture?.toPcapng(), known };
}

describe("the known ways of established flows", () => {
	test(
		"cannot be seen: captures, counters, flows, connections, drops and what arrives are as without them",
		async () => {
			let known = 0;
			await fc.assert(
				fc.asyncProperty(fc.boolean(), anyStory, async (captured, acts) => {
					const [with_, without] = [await live(true, captured, acts), await live(false, captured, acts)];
					expect(with_.text).toBe(without.text);
					expect(with_.pcapng).toEqual(without.pcapng);
					expect(without.known).toBe(0);
					known += with_.known;
				}),
				RUNS,
			);
			expect(known).toBeGreaterThan(100);
		},
		TIMEOUT,
	);
});
