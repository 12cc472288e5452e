import { describe, expect, test } from "vitest";
import { formatIp4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import type { IcmpError } from "../../src/stack/index.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

/** c 10.1.0.2 ── 10.1.0.1 r 10.2.0.1 ── 10.2.0.2 m 10.3.0.1 ── 10.3.0.2 s. */
function chain() {
	const lab = new Lab({ seed: 1 });
	const [c, r, m, s] = [lab.netns("c"), lab.netns("r"), lab.netns("m"), lab.netns("s")];
	const link = (x: Netns, xName: string, y: Netns, yName: string, net: string, first: number) => {
		const ends = lab.veth({ ns: x, name: xName }, { ns: y, name: yName });
		for (const [i, end] of ends.entries()) {
			end.addAddress(`${net}.${String(i === 0 ? first : 3 - first)}/24`);
			end.up();
		}
		return ends;
	};
	link(c, "eth0", r, "in", "10.1.0", 2);
	const middle = link(r, "out", m, "in", "10.2.0", 1);
	link(m, "out", s, "eth0", "10.3.0", 1);
	c.routes.add("default", { via: "10.1.0.1" });
	r.routes.add("10.3.0.0/24", { via: "10.2.0.2" });
	m.routes.add("10.1.0.0/24", { via: "10.2.0.1" });
	s.routes.add("default", { via: "10.3.0.1" });
	for (const router of [r, m]) router.sysctl.set("net.ipv4.ip_forward", 1);
	return { lab, c, r, m, s, middle };
}

describe("whoever is translated hears of errors in its own words", () => {
	test("the very first packet of a redirected flow ends at the router: the inside address is not told", async () => {
		const { lab, c, r } = chain();
		r.iptables("-t nat -A PREROUTING -d 10.1.0.1 -p udp --dport 53 -j DNAT --to-destination 10.3.0.2:5353");
		r.iptables("-t nat -A POSTROUTING -o out -j MASQUERADE");
		const capture = lab.capture("c:eth0");
		const heard: string[] = [];
		// TTL 1 ends at r, before the flow is in any table; 2 at m; 64 at s, where nobody listens.
		for (const ttl of [1, 2, 64]) {
			const socket = c.udp({ ttl });
			socket.errorHandler = (error: IcmpError) =>
				heard.push(
					`${String(error.type)}/${String(error.code)} from ${formatIp4(error.from)} about ${formatIp4(error.destination)}`,
				);
			socket.send(new Uint8Array(10), { address: "10.1.0.1", port: 53 });
		}
		await lab.advance("1s");
		expect(heard).toEqual([
			"11/0 from 10.1.0.1 about 10.1.0.1",
			"11/0 from 10.1.0.1 about 10.1.0.1",
			"3/3 from 10.1.0.1 about 10.1.0.1",
		]);
		await expectCleanInWireshark(capture.toPcapng(), {
			harmless: [{ protocol: "DNS", why: "ten octets to port 53" }],
		});
	});

	test.each([
		["MASQUERADE", "10.3.0.2", "-t nat -A POSTROUTING -o out -j MASQUERADE"],
		[
			"DNAT",
			"10.1.0.1",
			"-t nat -A PREROUTING -d 10.1.0.1 -p tcp --dport 80 -j DNAT --to-destination 10.3.0.2:80",
		],
		["IPVS", "10.1.0.100", ""],
	])("a link with MTU 1300 behind %s: both ends learn it, and all arrives", async (_, address, rule) => {
		const { lab, c, r, s, middle } = chain();
		for (const end of middle) end.setMtu(1300);
		if (rule === "") {
			r.device("in").addAddress("10.1.0.100/32");
			r.ipvsadm("-A -t 10.1.0.100:80 -s rr");
			r.ipvsadm("-a -t 10.1.0.100:80 -r 10.3.0.2:80 -m");
		} else r.iptables(rule);
		let [there, back] = [0, 0];
		s.tcp.listen({ port: 80 }).onConnection = (socket) => {
			socket.onReadable = () => void (there += socket.read().length);
			socket.write(new Uint8Array(20_000));
		};
		const client = c.tcp.connect({ address, port: 80 });
		client.onReadable = () => void (back += client.read().length);
		client.onConnect = () => void client.write(new Uint8Array(20_000));
		await lab.advance("5s");
		expect([there, back, client.info.mss]).toEqual([20_000, 20_000, 1248]);
		expect(c.routes.showGet(address)).toContain("mtu 1300");
	});

	test("fragments go through DNAT and IPVS, there and back", async () => {
		for (const way of ["dnat", "ipvs"]) {
			const { lab, c, r, s } = chain();
			const address = way === "dnat" ? "10.1.0.1" : "10.1.0.100";
			if (way === "dnat")
				r.iptables("-t nat -A PREROUTING -d 10.1.0.1 -p udp --dport 99 -j DNAT --to-destination 10.3.0.2:99");
			else {
				r.device("in").addAddress("10.1.0.100/32");
				r.ipvsadm("-A -u 10.1.0.100:99 -s rr");
				r.ipvsadm("-a -u 10.1.0.100:99 -r 10.3.0.2:99 -m");
			}
			const server = s.udp({ port: 99 });
			server.handler = (_frame, _at, octets, source, port) => {
				server.send(new Uint8Array(octets), { address: source, port });
			};
			const client = c.udp({ mtuDiscovery: "dont" });
			const heard: string[] = [];
			client.handler = (_frame, _at, octets, source, port) => {
				heard.push(`${String(octets)} from ${formatIp4(source)}:${String(port)}`);
			};
			client.send(new Uint8Array(4000), { address, port: 99 });
			await lab.advance("1s");
			expect([way, heard]).toEqual([way, [`4000 from ${address}:99`]]);
		}
	});

	test("a router that translates and misses a fragment says nothing: only ends tell of that (RFC 792)", async () => {
		const { lab, c, r } = chain();
		r.iptables("-t nat -A POSTROUTING -o out -j MASQUERADE");
		await c.ping("10.1.0.1", { count: 1 });
		const eth0 = c.device("eth0");
		const transmit = eth0.transmit.bind(eth0);
		let fragments = 0;
		eth0.transmit = (frame) => (++fragments === 2 ? frame.release() : transmit(frame));
		const told: number[] = [];
		const socket = c.udp({ mtuDiscovery: "dont" });
		socket.errorHandler = (error) => told.push(error.type);
		socket.send(new Uint8Array(4000), { address: "10.3.0.2", port: 99 });
		await lab.advance("40s");
		expect([fragments >= 3, told]).toEqual([true, []]);
		expect(lab.world.frames.taken).toBe(0);
	});

	test("an error keeps the delay, throughput and reliability bits of what it is about", async () => {
		const { lab, c } = chain();
		const capture = lab.capture("c:eth0");
		for (const tos of [0x00, 0x10, 0xb8])
			c.udp({ tos, ttl: 1 }).send(new Uint8Array(1), { address: "10.3.0.2", port: 9 });
		await lab.advance("1s");
		const errors = capture.sightings("c:eth0").filter(({ data }) => data[23] === 1);
		expect(errors.map(({ data }) => data[15])).toEqual([0xc0, 0xd0, 0xd8]);
	});
});
