import { Lab } from "../src/lab/index.ts";
import type { BenchCase } from "./runner.ts";

const SERVERS = 1000;
const VIP = "10.1.0.100";
const BURST = 64;
const BURSTS = 50;
const PAYLOAD = new Uint8Array(56);

/** A client, a load balancer, and a namespace that is all real servers at once, each with an address. */
function balanced(scheduler: string) {
	const lab = new Lab({ seed: 1 });
	const [client, lb, servers] = [lab.netns("client"), lab.netns("lb"), lab.netns("servers")];
	const [a, front] = lab.veth({ ns: client, name: "eth0" }, { ns: lb, name: "front" });
	const [back, b] = lab.veth({ ns: lb, name: "back" }, { ns: servers, name: "eth0" });
	for (const device of [a, front, back, b]) device.up();
	a.addAddress("10.1.0.10/16");
	client.routes.add("default", { via: "10.1.0.1" });
	for (const address of ["10.1.0.1/16", `${VIP}/32`]) front.addAddress(address);
	back.addAddress("10.2.0.1/16");
	// Neighbours are given, so that no address is asked for between rounds.
	client.neigh.add("10.1.0.1", { lladdr: front.macText, dev: a });
	client.neigh.add(VIP, { lladdr: front.macText, dev: a });
	lb.sysctl.set("net.ipv4.ip_forward", 1);
	const service = { udp: `${VIP}:4000` };
	lb.ipvs.addService({ ...service, scheduler });
	for (let i = 0; i < SERVERS; i++) {
		const address = `10.2.${String(1 + (i >> 8))}.${String(i & 255)}`;
		b.addAddress(`${address}/16`);
		lb.neigh.add(address, { lladdr: b.macText, dev: back });
		lb.ipvs.addDestination(service, { address: `${address}:4000`, forward: "masquerading" });
	}
	servers.routes.add("default", { via: "10.2.0.1" });
	let arrived = 0;
	servers.udp({ port: 4000 }).handler = () => {
		arrived++;
	};
	return { lab, client, arrived: () => arrived };
}

/** Datagrams of so many sockets in turn: each socket is a connection of its own. */
function stream(scheduler: string, sockets: number): () => void {
	const { lab, client, arrived } = balanced(scheduler);
	const { scheduler: clock } = lab.world;
	const all = Array.from({ length: sockets }, () => {
		const socket = client.udp();
		socket.connect(VIP, 4000);
		return socket;
	});
	let next = 0;
	const burst = (): void => {
		for (let i = 0; i < BURST; i++) all[next++ % sockets]!.send(PAYLOAD);
		clock.runUntil(clock.now + 1_000_000);
	};
	// Every connection is made, and every server's address resolved, before anything counts.
	for (let i = 0; i < Math.ceil(sockets / BURST) * 3; i++) burst();
	return () => {
		const before = arrived();
		for (let i = 0; i < BURSTS; i++) burst();
		const got = arrived() - before;
		if (got !== BURST * BURSTS) throw new Error(`${String(got)} of ${String(BURST * BURSTS)} arrived`);
	};
}

/** Each datagram begins a connection: entries, timers and the scheduler's choice included. */
function begin(scheduler: string): () => void {
	const { lab, client } = balanced(scheduler);
	const { scheduler: clock } = lab.world;
	const sockets = Array.from({ length: BURST }, () => {
		const socket = client.udp();
		socket.connect(VIP, 4000);
		return socket;
	});
	const round = (): void => {
		for (const socket of sockets) socket.send(PAYLOAD);
		// Entries end after 300 s, and some more for the timer wheel.
		clock.runUntil(clock.now + 320_000_000_000);
	};
	for (let i = 0; i < 20; i++) round();
	return () => {
		for (let i = 0; i < BURSTS; i++) round();
	};
}

const cases: readonly BenchCase[] = [
	{
		name: `IPVS masquerading, ${String(SERVERS)} servers, one connection`,
		packets: BURST * BURSTS,
		prepare: () => stream("rr", 1),
	},
	{
		name: `IPVS masquerading, ${String(SERVERS)} servers, 4,000 connections`,
		packets: BURST * BURSTS,
		prepare: () => stream("rr", 4000),
	},
	{
		name: `IPVS, ${String(SERVERS)} servers, a new connection each, rr`,
		packets: BURST * BURSTS,
		prepare: () => begin("rr"),
	},
	{
		name: `IPVS, ${String(SERVERS)} servers, a new connection each, wlc`,
		packets: BURST * BURSTS,
		prepare: () => begin("wlc"),
	},
];
export default cases;
