import { toIp4 } from "../src/addr/index.ts";
import { Lab, type Netns } from "../src/index.ts";
import type { TcpSocket } from "../src/stack/index.ts";
import { overlay } from "./data-path.bench.ts";
import type { BenchCase } from "./runner.ts";

const SEGMENTS = 20_000;
const SERVER = toIp4("10.0.0.2", "address");
const CONNECTIONS = 500;
const TOGETHER = 10;

function pair(): { lab: Lab; a: ReturnType<Lab["netns"]>; b: ReturnType<Lab["netns"]> } {
	const lab = new Lab({ seed: 1 });
	const [a, b] = [lab.netns("a"), lab.netns("b")];
	const [x, y] = lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" });
	x.addAddress("10.0.0.1/24");
	y.addAddress("10.0.0.2/24");
	for (const device of [x, y]) device.up();
	return { lab, a, b };
}

/** A client behind a router that masquerades it, and a server outside. */
function behindNat(): { lab: Lab; a: Netns; b: Netns } {
	const lab = new Lab({ seed: 1 });
	const [a, router, b] = [lab.netns("a"), lab.netns("router"), lab.netns("b")];
	const [a0, eth0] = lab.veth({ ns: a, name: "eth0" }, { ns: router, name: "eth0" });
	const [eth1, b0] = lab.veth({ ns: router, name: "eth1" }, { ns: b, name: "eth0" });
	a0.addAddress("10.1.0.2/24");
	eth0.addAddress("10.1.0.1/24");
	eth1.addAddress("10.0.0.1/24");
	b0.addAddress("10.0.0.2/24");
	for (const device of [a0, eth0, eth1, b0]) device.up();
	a.routes.add("default", { via: "10.1.0.1" });
	router.sysctl.set("net.ipv4.ip_forward", 1);
	router.iptables("-t nat -A POSTROUTING -o eth1 -j MASQUERADE");
	router.iptables("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
	return { lab, a, b };
}

/** Two containers on an overlay of two hosts. */
function onOverlay(): { lab: Lab; a: Netns; b: Netns } {
	const { lab, containers } = overlay(2);
	const [b, a] = containers;
	if (a === undefined || b === undefined) throw new Error("an overlay has hosts");
	for (const ns of [a, b]) ns.device("eth0").setMtu(1450);
	return { lab, a, b };
}

/** One connection, as much as a slice's segments hold per slice; data segments and acknowledgments of all. */
function bulk({ lab, a, b }: ReturnType<typeof pair>, segment: number): () => void {
	let heard = 0;
	b.tcp.listen({ port: 80 }).onConnection = (socket) => {
		socket.onReadable = () => {
			heard += socket.read().length;
		};
	};
	const client = a.tcp.connect({ address: "10.0.0.2", port: 80 });
	const chunk = new Uint8Array(65_536);
	let left = 0;
	const say = (): void => {
		while (left > 0) {
			const taken = client.write(left < chunk.length ? chunk.subarray(0, left) : chunk);
			left -= taken;
			if (taken < chunk.length) return;
		}
	};
	client.onWritable = say;
	const { scheduler } = lab.world;
	let wanted = 0;
	return () => {
		left += segment * SEGMENTS;
		wanted += segment * SEGMENTS;
		if (client.state === "established") say();
		while (heard < wanted) scheduler.runUntil(scheduler.now + 1_000_000);
	};
}

/** Connections from SYN to the end of TIME-WAIT, `requests` of 71 octets with answers of 220 in each. */
function short({ lab, a, b }: ReturnType<typeof pair>, requests: number): () => void {
	const [request, answer] = [new Uint8Array(71), new Uint8Array(220)];
	b.tcp.listen({ port: 80 }).onConnection = (socket) => {
		socket.onReadable = () => {
			if (socket.read().length > 0) socket.write(answer);
			if (socket.ended) socket.close();
		};
	};
	const { scheduler } = lab.world;
	return () => {
		let open = 0;
		const one = (): void => {
			const socket: TcpSocket = a.tcp.connect({ address: SERVER, port: 80 });
			open++;
			let left = requests;
			const next = (): void => {
				if (left-- > 0) return void socket.write(request);
				socket.close();
				open--;
			};
			socket.onConnect = next;
			socket.onReadable = () => {
				if (socket.read().length > 0) next();
			};
		};
		// A few at a time, as a program under load has them.
		for (let i = 0; i < CONNECTIONS; i += TOGETHER) {
			for (let j = 0; j < TOGETHER; j++) one();
			while (open > 0) scheduler.runUntil(scheduler.now + 100_000);
		}
		// TIME-WAIT ends, ports are free again.
		scheduler.runUntil(scheduler.now + 130e9);
	};
}

const cases: readonly BenchCase[] = [
	{
		name: "TCP bulk over veth, per segment of 1448 octets",
		packets: SEGMENTS,
		prepare: () => bulk(pair(), 1448),
	},
	{
		name: "TCP bulk over VXLAN, per segment of 1398 octets",
		packets: SEGMENTS,
		prepare: () => bulk(onOverlay(), 1398),
	},
	{ name: "TCP connection over veth, SYN to the end", packets: CONNECTIONS, prepare: () => short(pair(), 0) },
	{
		name: "TCP connection through NAT, SYN to the end",
		packets: CONNECTIONS,
		prepare: () => short(behindNat(), 0),
	},
	{
		name: "TCP connection through NAT with a request and its answer",
		packets: CONNECTIONS,
		prepare: () => short(behindNat(), 1),
	},
	{
		name: "TCP requests on open connections through NAT, 100 each",
		packets: CONNECTIONS * 100,
		prepare: () => short(behindNat(), 100),
	},
];
export default cases;
