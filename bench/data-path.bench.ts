import type { Capture } from "../src/observe/index.ts";
import { Lab, type Netns } from "../src/lab/index.ts";
import type { BenchCase } from "./runner.ts";

const BURST = 64;
const BURSTS = 100;
/** Rows after which a streamed capture writes and forgets. */
const STREAM_ROWS = 4096;
const SHORT = new Uint8Array(56);
const LONG = new Uint8Array(1400);

/** Sends bursts from a connected socket and lets them arrive; `count` says how many did. */
function stream(
	lab: Lab,
	from: Netns,
	to: Netns,
	own: string,
	address: string,
	{ payload = SHORT, after }: { readonly payload?: Uint8Array; readonly after?: () => void } = {},
): () => void {
	let arrived = 0;
	to.udp({ port: 4000 }).handler = () => {
		arrived++;
	};
	const socket = from.udp();
	socket.connect(address, 4000);
	const { scheduler } = lab.world;
	// The far side has spoken, as both sides of a flow have: its bridge knows where it is.
	to.udp().send(payload, { address: own, port: 9 });
	scheduler.runUntil(scheduler.now + 1_000_000);
	const burst = (): void => {
		for (let i = 0; i < BURST; i++) socket.send(payload);
		scheduler.runUntil(scheduler.now + 1_000_000);
	};
	// Neighbours are resolved and addresses learned before anything counts.
	for (let i = 0; i < 4; i++) burst();
	return () => {
		const before = arrived;
		for (let i = 0; i < BURSTS; i++) {
			burst();
			after?.();
		}
		if (arrived - before !== BURST * BURSTS)
			throw new Error(`${String(arrived - before)} of ${String(BURST * BURSTS)} arrived`);
	};
}

/**
 * Hosts with one container each on one overlay, on a switch or, two of them, on a cable; the way from the first to the last
 * crosses ten interfaces.
 */
export function overlay(
	hosts: number,
	on: "switch" | "cable" = "switch",
): { readonly lab: Lab; readonly containers: readonly Netns[] } {
	const lab = new Lab({ seed: 1, maxPending: 4_000_000 });
	const lan = on === "switch" ? lab.switch("lan") : undefined;
	const vtep = (n: number): string => `172.31.${String(n >> 8)}.${String(n & 255)}`;
	const ip = (n: number): string => `10.0.${String(n >> 8)}.${String(n & 255)}`;
	const mac = (n: number): string =>
		`02:42:0a:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;
	const containers = Array.from({ length: hosts }, (_, i) => {
		const n = i + 2;
		const host = lab.host(`h${String(n)}`);
		const nic = host.addNic("eth0", { address: `${vtep(n)}/16`, ...(lan && { attach: lan }) });
		const sandbox = host.addNetns("sandbox");
		const bridge = sandbox.addBridge("br0");
		const vxlan = host.netns.addVxlan("vx", { vni: 4097, proxy: true, mtu: 1450 });
		host.netns.move(vxlan, sandbox, "vxlan0");
		bridge.attach(vxlan);
		const ns = host.addNetns("c");
		const [port, eth0] = lab.veth({ ns: sandbox, name: "veth1" }, { ns, name: "eth0", mac: mac(n) });
		bridge.attach(port);
		eth0.addAddress(`${ip(n)}/16`);
		for (const device of [bridge, vxlan, port, eth0]) device.up();
		return { ns, sandbox, vxlan, n, nic };
	});
	const [first, last] = [containers[0], containers.at(-1)];
	if (first === undefined || last === undefined) throw new Error("an overlay has hosts");
	if (lan === undefined) lab.cable(first.nic, last.nic);
	for (const [here, there] of [
		[first, last],
		[last, first],
	] as const) {
		here.sandbox.neigh.add(ip(there.n), { lladdr: mac(there.n), dev: here.vxlan });
		here.vxlan.addFdb(mac(there.n), { dst: vtep(there.n) });
	}
	return { lab, containers: containers.map((each) => each.ns) };
}

interface OverlayStream {
	readonly hosts?: number;
	readonly capture?: boolean;
	readonly payload?: Uint8Array;
	readonly on?: "switch" | "cable";
}

function overlayStream({ hosts = 2, capture = false, payload = SHORT, on }: OverlayStream): () => void {
	const { lab, containers } = overlay(hosts, on);
	const [from, to] = [containers[0], containers.at(-1)];
	if (from === undefined || to === undefined) throw new Error("an overlay has hosts");
	const running: Capture | undefined = capture ? lab.capture() : undefined;
	const n = hosts + 1;
	// What was captured is let go from time to time, as a streamed capture does.
	const after = (): void => {
		if (running !== undefined && running.log.size - running.log.first >= STREAM_ROWS) running.log.forget();
	};
	return stream(lab, from, to, "10.0.0.2", `10.0.${String(n >> 8)}.${String(n & 255)}`, { payload, after });
}

function bridged(): () => void {
	const lab = new Lab({ seed: 1 });
	const host = lab.netns("host");
	const bridge = host.addBridge("br0");
	bridge.up();
	const [a, b] = ["a", "b"].map((name, i) => {
		const ns = lab.netns(name);
		const [eth0, port] = lab.veth({ ns, name: "eth0" }, { ns: host, name: `p${name}` });
		bridge.attach(port);
		port.up();
		eth0.addAddress(`10.0.0.${String(i + 1)}/24`);
		eth0.up();
		return ns;
	});
	if (a === undefined || b === undefined) throw new Error("a bridge has two sides here");
	return stream(lab, a, b, "10.0.0.1", "10.0.0.2");
}

const PACKETS = BURST * BURSTS;

const cases: readonly BenchCase[] = [
	{
		name: "UDP container to container over VXLAN, ten interfaces",
		packets: PACKETS,
		prepare: () => overlayStream({ on: "cable" }),
	},
	{
		name: "the same, every interface captured",
		packets: PACKETS,
		prepare: () => overlayStream({ on: "cable", capture: true }),
	},
	{
		name: "the same through a switch",
		packets: PACKETS,
		prepare: () => overlayStream({}),
	},
	{
		name: "the same in a lab of 1,000 hosts",
		packets: PACKETS,
		prepare: () => overlayStream({ hosts: 1000 }),
	},
	{
		name: "the same with 1,400 octets of payload",
		packets: PACKETS,
		prepare: () => overlayStream({ payload: LONG }),
	},
	{ name: "UDP container to container over one bridge", packets: PACKETS, prepare: bridged },
];
export default cases;
