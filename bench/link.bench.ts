import { Lab } from "../src/lab/index.ts";
import type { BenchCase } from "./runner.ts";

const BURST = 64;
const BURSTS = 100;

/** Frames through one bridge to addresses it learned, spread evenly over them; `stations` is how many it knows. */
function unicast(ports: number, stations: number): () => void {
	const lab = new Lab({ seed: 1, maxPending: 4_000_000 });
	const { world } = lab;
	const sw = lab.netns("sw");
	const br0 = sw.addBridge("br0");
	const far = lab.netns("far");
	const devices = Array.from({ length: ports }, (_, i) => {
		const [port, end] = lab.veth({ ns: sw, name: `p${String(i)}` }, { ns: far, name: `e${String(i)}` });
		br0.attach(port);
		for (const each of [port, end]) each.up();
		return { port, end };
	});
	br0.up();
	const say = (from: number, to: number, source: number): void => {
		const frame = world.frames.begin(60);
		frame.end = frame.start + 60;
		frame.view.setUint16(frame.start, 0x0200);
		frame.view.setUint32(frame.start + 2, to);
		frame.view.setUint16(frame.start + 6, 0x0200);
		frame.view.setUint32(frame.start + 8, source);
		frame.view.setUint16(frame.start + 12, 0x88b5);
		devices[from]!.port.receive(frame);
	};
	// Every station speaks once: to an address that is the bridge's own, so that nothing is flooded.
	for (let i = 0; i < stations; i++) {
		const frame = world.frames.begin(60);
		frame.end = frame.start + 60;
		frame.view.setUint16(frame.start, br0.macHigh);
		frame.view.setUint32(frame.start + 2, br0.macLow);
		frame.view.setUint16(frame.start + 6, 0x0200);
		frame.view.setUint32(frame.start + 8, i);
		frame.view.setUint16(frame.start + 12, 0x88b5);
		devices[1 + (i % (ports - 1))]!.port.receive(frame);
	}
	const { scheduler } = world;
	let next = 0;
	return () => {
		const before = br0.forwarded;
		for (let b = 0; b < BURSTS; b++) {
			for (let i = 0; i < BURST; i++) {
				next = (next + 7919) % stations;
				say(0, next, 0xffff_0000);
			}
			scheduler.runUntil(scheduler.now + 100_000);
		}
		if (br0.forwarded - before !== BURST * BURSTS) throw new Error("frames were lost");
	};
}

const BRIDGES = 200;

/** Bridges in a ring with as many chords, all with STP, from nothing to a tree: 60 virtual seconds. */
function spanningTree(): void {
	const lab = new Lab({ seed: 1, maxPending: 4_000_000 });
	const bridges = Array.from({ length: BRIDGES }, (_, i) => {
		const ns = lab.netns(`s${String(i)}`);
		const bridge = ns.addBridge("br0", { stp: true });
		bridge.up();
		return { ns, bridge };
	});
	const link = (a: number, b: number, name: string): void => {
		const [x, y] = lab.veth({ ns: bridges[a]!.ns, name }, { ns: bridges[b]!.ns, name });
		bridges[a]!.bridge.attach(x);
		bridges[b]!.bridge.attach(y);
		for (const end of [x, y]) end.up();
	};
	for (let i = 0; i < BRIDGES; i++) {
		link(i, (i + 1) % BRIDGES, `r${String(i)}`);
		const far = (i * 37 + 11) % BRIDGES;
		if (far !== i) link(i, far, `c${String(i)}`);
	}
	lab.world.scheduler.runUntil(60e9);
	const states = bridges.flatMap(({ bridge }) => bridge.ports.map((port) => port.state));
	if (states.some((state) => state !== "forwarding" && state !== "blocking")) throw new Error("no tree yet");
	if (!states.includes("blocking")) throw new Error("nothing is blocked");
}

const STORM_BRIDGES = 64;
const STORM_WIRES = 4096;

/** Bridges in a ring that nothing breaks, all links captured: one broadcast, until the lab stops it; then the file. */
function storm(): void {
	const lab = new Lab({ seed: 1 });
	const ns = lab.netns("ring");
	const bridges = Array.from({ length: STORM_BRIDGES }, (_, i) => ns.addBridge(`br${String(i)}`));
	for (const [i, bridge] of bridges.entries()) {
		const ends = lab.veth({ ns, name: `r${String(i)}` }, { ns, name: `l${String(i)}` });
		bridge.attach(ends[0]);
		bridges[(i + 1) % STORM_BRIDGES]!.attach(ends[1]);
		for (const each of [bridge, ...ends]) each.up();
	}
	const capture = lab.capture("ring:r*");
	const frame = lab.world.frames.begin(60);
	frame.end = frame.start + 60;
	frame.view.setUint32(frame.start, 0xffff_ffff);
	frame.view.setUint32(frame.start + 4, 0xffff_0200);
	frame.view.setUint32(frame.start + 8, 1);
	frame.view.setUint16(frame.start + 12, 0x88b5);
	bridges[0]!.transmit(frame);
	try {
		lab.world.scheduler.runUntil(60e9);
	} catch {
		if (capture.toPcapng().length < STORM_WIRES * 60) throw new Error("the capture is not whole");
		return;
	}
	throw new Error("the storm was not stopped");
}

const cases: readonly BenchCase[] = [
	{ name: "a bridge with 2 ports, a unicast frame", packets: BURST * BURSTS, prepare: () => unicast(2, 2) },
	{
		name: "a bridge with 1,000 ports and 100,000 addresses, the same",
		packets: BURST * BURSTS,
		prepare: () => unicast(1000, 100_000),
	},
	{
		name: "STP: 200 bridges, 60 virtual seconds (per bridge)",
		packets: BRIDGES,
		prepare: () => spanningTree,
	},
	{
		name: "a storm of 64 bridges, stopped and saved (per wire)",
		packets: STORM_WIRES,
		prepare: () => storm,
	},
];
export default cases;
