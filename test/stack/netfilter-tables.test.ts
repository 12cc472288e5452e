import { describe, expect, test } from "vitest";
import { tcp } from "../../src/wire/index.ts";
import { routed } from "../support/router.ts";

const { SYN } = tcp;
const word = new Uint8Array(4);

/** The router with rules, and datagrams through it; how many arrived outside. */
function filtered(...rules: string[]) {
	const net = routed();
	for (const rule of rules) net.router.iptables(rule);
	let arrived = 0;
	for (const port of [53, 80, 4789]) {
		net.outside.udp({ port }).handler = () => {
			arrived++;
		};
	}
	const send = async (count: number, port = 53, payload = word): Promise<number> => {
		arrived = 0;
		const socket = net.inside.udp();
		for (let i = 0; i < count; i++) {
			socket.send(payload, { address: "192.168.1.20", port });
			await net.lab.advance("1ms");
		}
		return arrived;
	};
	return { ...net, send };
}

/** Packets that each rule of a chain counted, in order. */
const counts = (listing: string): number[] =>
	[...listing.matchAll(/ -c (\d+) \d+/g)]
		.slice(listing.startsWith("-P") ? 1 : 0)
		.map(([, count]) => Number(count));

describe("chains", () => {
	test("RETURN goes on behind the jump, goto does not come back, policies decide last", async () => {
		const { router, send } = filtered(
			"-N ONE",
			"-N TWO",
			"-A FORWARD -j ONE",
			"-A FORWARD -j TWO",
			"-A ONE -p udp --dport 53 -j RETURN",
			"-A ONE -p udp -g TWO",
			"-A ONE -j DROP",
			"-A TWO -p udp --dport 80 -j RETURN",
			"-P FORWARD DROP",
			"-A TWO -p udp --dport 53 -j ACCEPT",
		);
		expect(await send(1, 53)).toBe(1);
		expect(await send(1, 80)).toBe(0);
		expect(counts(router.iptables("-vS FORWARD"))).toEqual([2, 2]);
		expect(counts(router.iptables("-vS TWO"))).toEqual([2, 1]);
	});

	test("a drop says which rule or policy it was", async () => {
		const { send, drops } = filtered("-t mangle -A FORWARD -p udp --dport 80 -j DROP", "-P FORWARD DROP");
		await send(1, 80);
		await send(1, 53);
		expect(drops).toEqual([
			"iptables-drop router:eth0 -t mangle -A FORWARD -p udp -m udp --dport 80 -j DROP",
			"iptables-drop router:eth0 -t filter -P FORWARD DROP",
		]);
	});
});

describe("matches", () => {
	test.each([
		["-m statistic --mode nth --every 3", 9, 6],
		["-m statistic --mode nth --every 2 --packet 0", 1, 0],
		["-m statistic --mode nth --every 3 --packet 2", 4, 3],
		["-m limit --limit 1/hour --limit-burst 4", 9, 5],
		["-m length --length 33:65535", 3, 3],
		["-m length --length 32", 3, 0],
		["-p udp -m multiport --dports 1:52,53", 2, 0],
		["-p udp -m multiport ! --ports 53", 2, 2],
		["-m addrtype --dst-type UNICAST", 2, 0],
		["-m addrtype --src-type LOCAL", 2, 2],
		["-i eth+ -o eth1", 2, 0],
		["! -i eth0", 2, 2],
		["-s 10.0.0.0/30 ! -d 10.0.0.0/8", 2, 0],
		["-p icmp", 2, 2],
		["! -p icmp", 2, 0],
		["-m mark --mark 0", 2, 0],
		["-m comment --comment all", 2, 0],
		['-m u32 --u32 "0>>22&0x3C@0&0xffff=53"', 2, 0],
		['-m u32 --u32 "0>>22&0x3C@0&0xffff=0:52,54"', 2, 2],
		['-m u32 --u32 "4000=0:0xffffffff"', 2, 2],
		["-m ipvs --ipvs", 2, 2],
		["-m policy --dir in --pol none", 2, 0],
		["-m policy --dir in --pol ipsec", 2, 2],
	])("-A FORWARD %s -j DROP lets of %i datagrams %i through", async (match, sent, through) => {
		const { send } = filtered(`-A FORWARD ${match} -j DROP`);
		expect(await send(sent)).toBe(through);
	});

	test("limit fills again with time", async () => {
		const { lab, send } = filtered(
			"-A FORWARD -m limit --limit 1/sec --limit-burst 1 -j ACCEPT",
			"-P FORWARD DROP",
		);
		expect(await send(3)).toBe(1);
		await lab.advance("1s");
		expect(await send(3)).toBe(1);
	});

	test("IPVS and IPsec say what is theirs", async () => {
		const { router, send } = filtered("-A FORWARD -m ipvs --ipvs -j DROP");
		router.netfilter.predicates.ipvs = (frame) => frame.mark === 0;
		expect(await send(1)).toBe(0);
		router.netfilter.predicates.ipvs = () => false;
		expect(await send(1)).toBe(1);
		router.iptables("-A FORWARD -m policy --dir in --pol ipsec -j DROP");
		router.netfilter.predicates.ipsec = (_frame, direction) => direction === "in";
		expect(await send(1)).toBe(0);
	});

	test("the rule of Docker's encrypted overlays finds the VNI in a VXLAN header", async () => {
		const { router, lab } = filtered(
			'-t mangle -A OUTPUT -p udp -m udp --dport 4789 -m u32 --u32 "0x0>>0x16&0x3c@0xc&0xffffff00=0x100200" -j MARK --set-xmark 0xd0c4e3/0xffffffff',
		);
		for (const vni of [4098, 4097]) {
			const vxlan = router.addVxlan(`vx${String(vni)}`, { vni, remote: "192.168.1.20" });
			vxlan.addAddress(`10.9.${String(vni & 255)}.1/24`);
			vxlan.up();
			router.udp().send(word, { address: `10.9.${String(vni & 255)}.2`, port: 9 });
		}
		await lab.advance("10ms");
		expect(counts(router.iptables("-t mangle -vS OUTPUT"))).toEqual([1]);
	});
});

describe("targets", () => {
	test("REJECT tells the sender, who sees the port refused", async () => {
		const { lab, inside } = filtered("-A FORWARD -p udp --dport 53 -j REJECT");
		const socket = inside.udp();
		socket.connect("192.168.1.20", 53);
		socket.send(word);
		await lab.advance("5ms");
		expect(() => {
			socket.send(word);
		}).toThrow(/Connection refused/);
	});

	test("REJECT in OUTPUT refuses the host's own packets", () => {
		const { router } = filtered("-A OUTPUT -p udp --dport 53 -j REJECT");
		expect(() => {
			router.udp().send(word, { address: "192.168.1.20", port: 53 });
		}).toThrow(/Operation not permitted/);
	});

	test("LOG writes the kernel's line", () => {
		const { router, fromInside } = filtered('-A FORWARD -j LOG --log-prefix "seen: " --log-tcp-sequence');
		fromInside({ from: "10.0.0.2:4000", to: "192.168.1.20:80", flags: SYN, sequence: 7 });
		expect(router.netfilter.log.lines.map(({ text }) => text)).toEqual([
			"seen: IN=eth0 OUT=eth1 MAC=02:00:00:00:00:10:02:00:00:00:00:02:08:00 SRC=10.0.0.2 DST=192.168.1.20 LEN=40 TOS=0x00 PREC=0x00 TTL=63 ID=1 DF PROTO=TCP SPT=4000 DPT=80 SEQ=7 ACK=0 WINDOW=64240 RES=0x00 SYN URGP=0 ",
		]);
	});

	test("MARK changes the mark by mask, and other rules see it", async () => {
		const { router, send } = filtered(
			"-t mangle -A PREROUTING -j MARK --set-mark 0xf0",
			"-t mangle -A PREROUTING -j MARK --xor-mark 0x11",
			"-t mangle -A PREROUTING -j MARK --and-mark 0xff",
			"-A FORWARD -m mark --mark 0xe1 -j ACCEPT",
			"-P FORWARD DROP",
		);
		expect(await send(1)).toBe(1);
		expect(counts(router.iptables("-vS FORWARD"))).toEqual([1]);
	});
});
