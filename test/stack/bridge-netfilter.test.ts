import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { has, value } from "../support/golden.ts";
import { emulated } from "../support/scenario.ts";

/** Two stations on br0 (192.0.2.1) of a router, which has 198.51.100.1 on another link. */
function bridged({ module = true }: { readonly module?: boolean } = {}) {
	const lab = new Lab({ seed: 3 });
	const router = lab.netns("router");
	router.sysctl.set("net.ipv4.ip_forward", 1);
	const bridge = router.addBridge("br0", { mac: "02:00:00:00:00:ff" });
	bridge.addAddress("192.0.2.1/24");
	bridge.up();
	const station = (name: string, last: number): Netns => {
		const ns = lab.netns(name);
		const mac = `02:00:00:00:00:0${String(last)}`;
		const [eth0, port] = lab.veth({ ns, name: "eth0", mac }, { ns: router, name: `port-${name}` });
		bridge.attach(port);
		eth0.addAddress(`192.0.2.${String(last)}/24`);
		for (const device of [eth0, port]) device.up();
		ns.routes.add("default", { via: "192.0.2.1" });
		return ns;
	};
	const [a, b] = [station("a", 2), station("b", 3)];
	const outer = router.addDummy("outer");
	outer.addAddress("198.51.100.1/24");
	outer.up();
	if (module) router.kernel.modprobe("br_netfilter");
	const drops: string[] = [];
	lab.onDrop(({ reason, detail }) => drops.push(`${reason} ${detail ?? ""}`));
	return { lab, router, bridge, a, b, drops };
}

const counters = (ns: Netns, rule: string): string | undefined =>
	ns.iptablesTool
		.save({ counters: true })
		.split("\n")
		.find((line) => line.endsWith(rule))
		?.split(" ")[0];

const reaches = async (from: Netns, to: string): Promise<boolean> =>
	(await from.ping(to, { count: 1, timeout: "1s" })).received === 1;

/** What a namespace's UDP port heard, `address:port` of each sender with the text. */
function hears(ns: Netns, port: number): { readonly heard: string[]; answer: (text: string) => void } {
	const heard: string[] = [];
	const socket = ns.udp({ port });
	let last: { address: number; port: number } | undefined;
	socket.handler = (frame, at, octets, source, from) => {
		const text = new TextDecoder().decode(frame.bytes.subarray(at, at + Math.min(octets, 8)));
		heard.push(
			`${[24, 16, 8, 0].map((s) => String((source >>> s) & 255)).join(".")}:${String(from)} ${text}`,
		);
		last = { address: source, port: from };
	};
	return {
		heard,
		answer: (text) => {
			if (last !== undefined)
				socket.send(new TextEncoder().encode(text), { address: last.address as never, port: last.port });
		},
	};
}

describe("br_netfilter shows bridged IPv4 frames to iptables", () => {
	test("without the module, or with the sysctl off, rules about a bridge see nothing of what it forwards", async () => {
		const { router, a } = bridged({ module: false });
		router.iptables("-A FORWARD -i br0 -o br0 -j DROP");
		expect(await reaches(a, "192.0.2.3")).toBe(true);
		expect(() => router.sysctl.get("net.bridge.bridge-nf-call-iptables")).toThrow(
			"sysctl: cannot stat /proc/sys/net/bridge/bridge-nf-call-iptables: No such file or directory",
		);
		router.kernel.modprobe("br_netfilter");
		expect(router.sysctl.get("net.bridge.bridge-nf-call-iptables")).toBe(1);
		expect(await reaches(a, "192.0.2.3")).toBe(false);
		router.sysctl.set("net.bridge.bridge-nf-call-iptables", 0);
		expect(await reaches(a, "192.0.2.3")).toBe(true);
		router.bridge("br0").set({ nfCallIptables: true });
		expect(await reaches(a, "192.0.2.3")).toBe(false);
	});

	test("a bridged packet passes FORWARD with the bridge as both devices; ARP does not", async () => {
		const { router, a, drops } = bridged();
		router.iptables("-A FORWARD -i br0 -o br0 -j DROP");
		expect(await reaches(a, "192.0.2.3")).toBe(false);
		expect(counters(router, "-A FORWARD -i br0 -o br0 -j DROP")).toBe("[1:84]");
		expect(drops).toContain("iptables-drop -t filter -A FORWARD -i br0 -o br0 -j DROP");
		expect(a.neigh.show()).toMatchObject([{ address: "192.0.2.3", state: "REACHABLE" }]);
		expect(await reaches(a, "192.0.2.1")).toBe(true);
	});

	test("it passes the tables in the order of a routed one, once each", async () => {
		const { router, a } = bridged();
		const chains = ["PREROUTING", "FORWARD", "POSTROUTING", "INPUT", "OUTPUT"];
		for (const chain of chains) router.iptables(`-t mangle -A ${chain} -j LOG --log-prefix "${chain} "`);
		await reaches(a, "192.0.2.3");
		const said = router.netfilter.log.lines.map(({ text }) => text.split(" SRC")[0] ?? "");
		const mac = /MAC=\S+ ?/;
		const asked = said.slice(0, 3).map((line) => line.replace(mac, "").trim());
		expect(asked).toEqual([
			"PREROUTING IN=br0 OUT= PHYSIN=port-a",
			"FORWARD IN=br0 OUT=br0 PHYSIN=port-a PHYSOUT=port-b",
			"POSTROUTING IN= OUT=br0 PHYSIN=port-a PHYSOUT=port-b",
		]);
		expect(said).toHaveLength(6);
	});

	test("what goes up to the bridge's own stack meets PREROUTING at the port and not again", async () => {
		const { router, a } = bridged();
		router.iptables("-t mangle -A PREROUTING -p icmp");
		router.iptables("-t mangle -A INPUT -p icmp -m physdev --physdev-in port-a");
		expect(await reaches(a, "192.0.2.1")).toBe(true);
		expect(counters(router, "-A PREROUTING -p icmp")).toBe("[1:84]");
		expect(counters(router, "-A INPUT -p icmp -m physdev --physdev-in port-a")).toBe("[1:84]");
	});

	test.each([
		["--physdev-in port-a", "[1:84]"],
		["! --physdev-in port-a", "[1:84]"],
		["--physdev-in port+", "[2:168]"],
		["--physdev-out port-b", "[1:84]"],
		["! --physdev-out port-b", "[1:84]"],
		["--physdev-is-bridged", "[2:168]"],
		["! --physdev-is-bridged", "[0:0]"],
		["--physdev-is-in --physdev-is-out", "[2:168]"],
		["--physdev-in port-a --physdev-out port-a", "[0:0]"],
	])("-m physdev %s", async (words, counted) => {
		const { router, a } = bridged();
		const rule = `-A FORWARD -m physdev ${words}`;
		router.iptables(rule);
		await reaches(a, "192.0.2.3");
		expect(counters(router, rule)).toBe(counted);
	});

	test("physdev without an option is refused", () => {
		const { router } = bridged();
		expect(() => router.iptables("-A FORWARD -m physdev -j DROP")).toThrow("no physdev option specified");
	});

	test("connections are tracked: an answer is established, and drops are the rule's", async () => {
		const { router, a, b } = bridged();
		router.iptables("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
		router.iptables("-A FORWARD -m physdev --physdev-in port-a -j ACCEPT");
		router.iptables("-P FORWARD DROP");
		expect(await reaches(a, "192.0.2.3")).toBe(true);
		expect(await reaches(b, "192.0.2.2")).toBe(false);
		expect(router.conntrack.list()).toMatch(/icmp .* src=192.0.2.2 dst=192.0.2.3 /);
	});
});

describe("a destination translated at a bridge port", () => {
	test("on the same bridge: bridged, not routed, to the new MAC; the answer is translated back at the port", async () => {
		const { lab, router, a, b } = bridged();
		router.iptables(
			"-t nat -A PREROUTING -d 198.51.100.1 -p udp --dport 5000 -j DNAT --to-destination 192.0.2.3:7",
		);
		const server = hears(b, 7);
		const client = hears(a, 6000);
		const socket = a.udp({ port: 6001 });
		const capture = lab.capture("{a,b}:eth0");
		const ask = async (text: string): Promise<void> => {
			socket.send(new TextEncoder().encode(text), { address: "198.51.100.1", port: 5000 });
			await lab.advance("3s");
		};
		let answered = "";
		socket.handler = (_frame, _at, _octets, source, port) => {
			answered = `${String(source >>> 24)} ${String(port)}`;
		};
		await ask("one");
		await ask("two");
		expect(server.heard).toEqual(["192.0.2.2:6001 one", "192.0.2.2:6001 two"]);
		server.answer("back");
		await lab.advance("1s");
		expect(answered).toBe("198 5000");
		expect(client.heard).toEqual([]);
		const atB = emulated(capture, "b:eth0").map(({ data }) => dissect(data));
		const asked = atB.filter((layers) => has(layers, "udp") && value(layers, "udp.destinationPort") === 7);
		// The sender's own MAC and TTL, though the gateway's MAC was asked for.
		for (const layers of asked) {
			expect(value(layers, "ipv4.ttl")).toBe(64);
			expect(value(layers, "ethernet.src")).toBe(0x02_00_00_00_00_02);
		}
		expect(asked).toHaveLength(2);
		expect(router.conntrack.list()).toContain("src=192.0.2.3 dst=192.0.2.2 sport=7 dport=6001");
	});

	test("on the way back to its own sender, where the port is in hairpin mode", async () => {
		const { lab, router, bridge, a } = bridged();
		router.iptables(
			"-t nat -A PREROUTING -d 198.51.100.1 -p udp --dport 5000 -j DNAT --to-destination 192.0.2.2:7",
		);
		router.iptables("-t nat -A POSTROUTING -s 192.0.2.2 -d 192.0.2.2 -p udp -j MASQUERADE");
		const server = hears(a, 7);
		const socket = a.udp({ port: 6001 });
		socket.send(new TextEncoder().encode("one"), { address: "198.51.100.1", port: 5000 });
		await lab.advance("5s");
		expect(server.heard).toEqual([]);
		bridge.ports.find(({ device }) => device.name === "port-a")?.set({ hairpin: true });
		socket.send(new TextEncoder().encode("two"), { address: "198.51.100.1", port: 5000 });
		await lab.advance("5s");
		expect(server.heard).toEqual(["192.0.2.1:6001 two"]);
		let answered = 0;
		socket.handler = (_frame, _at, _octets, source, port) => {
			answered = source === (0xc6336401 | 0) ? port : -1;
		};
		server.answer("back");
		await lab.advance("1s");
		expect(answered).toBe(5000);
	});

	test("elsewhere: it goes up and is routed, or drops where nothing leads there", async () => {
		const { lab, router, a, drops } = bridged();
		router.iptables(
			"-t nat -A PREROUTING -d 192.0.2.3 -p udp --dport 5000 -j DNAT --to-destination 192.0.2.1:9",
		);
		router.iptables(
			"-t nat -A PREROUTING -d 192.0.2.3 -p udp --dport 5001 -j DNAT --to-destination 203.0.113.9",
		);
		const here = hears(router, 9);
		const socket = a.udp();
		for (const port of [5000, 5001]) {
			socket.send(new TextEncoder().encode("up"), { address: "192.0.2.3", port });
			await lab.advance("1s");
		}
		expect(here.heard.map((line) => line.split(" ")[1])).toEqual(["up"]);
		expect(drops.filter((drop) => drop.startsWith("ip-no-route"))).toHaveLength(1);
	});

	test("a neighbour that does not answer is reported to the sender, and nothing is kept", async () => {
		const { lab, router, a } = bridged();
		router.iptables("-t nat -A PREROUTING -d 198.51.100.1 -p icmp -j DNAT --to-destination 192.0.2.77");
		const result = await a.ping("198.51.100.1", { count: 1, timeout: "5s" });
		expect(result.received).toBe(0);
		expect(result.text()).toContain("Destination Host Unreachable");
		await lab.advance("60s");
		expect(lab.world.frames.taken).toBe(0);
	});
});

describe("fragments that pass a bridge", () => {
	test("are put together for the rules and cut again as they came", async () => {
		const { lab, router, a } = bridged();
		router.iptables("-A FORWARD -m conntrack --ctstate INVALID -j DROP");
		router.iptables("-A FORWARD -p icmp -m length --length 3028");
		const capture = lab.capture("b:eth0");
		const { received } = await a.ping("192.0.2.3", { count: 1, size: 3000, timeout: "1s" });
		expect(received).toBe(1);
		expect(counters(router, "-A FORWARD -p icmp -m length --length 3028")).toBe("[2:6056]");
		const sizes = emulated(capture, "b:eth0")
			.filter(({ data }) => has(dissect(data), "ipv4"))
			.map(({ data }) => data.length);
		expect(sizes.slice(0, 3)).toEqual([1514, 1514, 82]);
	});

	test("that are short enough together leave as one", async () => {
		const { lab, router, a } = bridged();
		a.device("eth0").setMtu(576);
		router.iptables("-A FORWARD -m conntrack --ctstate INVALID -j DROP");
		const capture = lab.capture("b:eth0");
		await a.ping("192.0.2.3", { count: 1, size: 1000, timeout: "1s" });
		const sizes = emulated(capture, "b:eth0")
			.filter(({ data }) => has(dissect(data), "ipv4"))
			.map(({ data }) => data.length);
		expect(sizes[0]).toBe(1042);
	});
});

describe("REJECT on a bridge", () => {
	test("answers a SYN from the port it came by, in the name and with the MAC of whom it was for", async () => {
		const { lab, router, a, b } = bridged();
		b.listen({ port: 80 });
		router.iptables("-A FORWARD -p tcp -j REJECT --reject-with tcp-reset");
		const capture = lab.capture("a:eth0");
		await expect(a.connect({ hostname: "192.0.2.3", port: 80 })).rejects.toMatchObject({
			code: "ECONNREFUSED",
		});
		const reset = emulated(capture, "a:eth0")
			.map(({ data }) => dissect(data))
			.find((layers) => has(layers, "tcp") && value(layers, "tcp.sourcePort") === 80);
		expect(reset === undefined ? 0 : value(reset, "ethernet.src")).toBe(0x02_00_00_00_00_03);
	});

	test("tells a sender of datagrams by ICMP from the bridge", async () => {
		const { lab, router, a } = bridged();
		router.iptables("-A FORWARD -p udp -j REJECT");
		const socket = a.udp();
		socket.connect("192.0.2.3", 9);
		const told: string[] = [];
		socket.errorHandler = ({ type, code }) => {
			told.push(`${String(type)}/${String(code)}`);
		};
		socket.send(new Uint8Array(3));
		await lab.advance("1s");
		expect(told).toEqual(["3/3"]);
	});
});
