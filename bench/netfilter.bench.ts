import { toIp4 } from "../src/addr/index.ts";
import { Lab } from "../src/lab/index.ts";
import type { BenchCase } from "./runner.ts";

const BURST = 64;
const BURSTS = 100;
const PACKETS = BURST * BURSTS;
const SHORT = new Uint8Array(56);
const FLOWS = 100_000;
const SERVER = toIp4("10.1.0.2", "address");

/** Inside and outside of a router with rules; bursts of datagrams through it. */
function routed(rules: readonly string[], newFlows = false): () => void {
	const lab = new Lab({ seed: 1 });
	const [inside, router, outside] = [lab.netns("inside"), lab.netns("router"), lab.netns("outside")];
	const [i0, eth0] = lab.veth({ ns: inside, name: "eth0" }, { ns: router, name: "eth0" });
	const [eth1, o0] = lab.veth({ ns: router, name: "eth1" }, { ns: outside, name: "eth0" });
	i0.addAddress("10.0.0.2/24");
	eth0.addAddress("10.0.0.1/24");
	eth1.addAddress("10.1.0.1/24");
	o0.addAddress("10.1.0.2/24");
	for (const device of [i0, eth0, eth1, o0]) device.up();
	inside.routes.add("default", { via: "10.0.0.1" });
	outside.routes.add("default", { via: "10.1.0.1" });
	router.sysctl.set("net.ipv4.ip_forward", 1);
	for (const rule of rules) router.iptables(rule);
	// Any port is answered by silence.
	outside.iptables("-t raw -A PREROUTING -p udp -j DROP");
	const sockets = [inside.udp(), inside.udp()];
	// Flows are over before their ports come again.
	if (newFlows) router.sysctl.set("net.netfilter.nf_conntrack_udp_timeout", 1);
	const { scheduler } = lab.world;
	let sent = 0;
	const burst = (): void => {
		for (let i = 0; i < BURST; i++) {
			const packet = newFlows ? sent++ : 0;
			sockets[(packet >> 15) & 1]?.send(SHORT, { address: SERVER, port: 1 + (packet & 0x7fff) });
		}
		scheduler.runUntil(scheduler.now + 1_000_000);
	};
	for (let i = 0; i < 4; i++) burst();
	return () => {
		const before = lab.world.dropped.get("iptables-drop") ?? 0;
		for (let i = 0; i < BURSTS; i++) burst();
		const arrived = (lab.world.dropped.get("iptables-drop") ?? 0) - before;
		if (arrived !== PACKETS) throw new Error(`${String(arrived)} of ${String(PACKETS)} arrived`);
	};
}

const thousand = Array.from(
	{ length: 1000 },
	(_, i) =>
		`-A FORWARD -d 10.9.${String(i >> 8)}.${String(i & 255)}/32 -o eth1 -p tcp -m tcp --dport 80 -j ACCEPT`,
);
const TRACKED = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
const MASQUERADE = "-t nat -A POSTROUTING -s 10.0.0.0/24 -o eth1 -j MASQUERADE";

/** Looks at 100,000 flows in an order in which they do not lie. */
function lookups(): () => void {
	const lab = new Lab({ seed: 1 });
	const ns = lab.netns("router");
	const { conntrack } = ns.netfilter;
	ns.iptables("-t raw -A PREROUTING -j DROP");
	const sockets = [ns.udp(), ns.udp()];
	for (let i = 0; i < FLOWS; i++) {
		sockets[i & 1]?.send(SHORT, { address: "127.0.0.2", port: 1 + (i >> 1) });
		if (i % BURST === 0) lab.world.scheduler.runUntil(lab.world.scheduler.now + 1000);
	}
	const flows = conntrack.table.all();
	if (flows.length !== FLOWS) throw new Error(`${String(flows.length)} flows are there`);
	// In the order in which they are asked, as a packet's fields are at hand: only the table is waited for.
	const asked = flows.map((_, i) => flows[(i * 48_271) % FLOWS]!.original);
	const fields = Int32Array.from(
		asked.flatMap(({ source, destination, ports }) => [source, destination, ports]),
	);
	const protocol = asked[0]?.protocol ?? 0;
	let at = 0;
	return () => {
		let misses = 0;
		for (let i = 0; i < PACKETS; i++) {
			at = at + 3 === fields.length ? 0 : at + 3;
			if (conntrack.lookup(fields[at]!, fields[at + 1]!, fields[at + 2]!, protocol) === null) misses++;
		}
		if (misses > 0) throw new Error(`${String(misses)} flows were lost`);
	};
}

const cases: readonly BenchCase[] = [
	{ name: "UDP through a router without rules", packets: PACKETS, prepare: () => routed([]) },
	{
		name: "the same, tracked, one rule",
		packets: PACKETS,
		prepare: () => routed([TRACKED]),
	},
	{
		name: "the same, translated",
		packets: PACKETS,
		prepare: () => routed([TRACKED, MASQUERADE]),
	},
	{
		name: "the same, each packet a new translated flow",
		packets: PACKETS,
		prepare: () => routed([TRACKED, MASQUERADE], true),
	},
	{ name: "UDP through a chain of 1,000 rules", packets: PACKETS, prepare: () => routed(thousand) },
	{ name: "lookup among 100,000 flows", packets: PACKETS, prepare: lookups },
];
export default cases;
