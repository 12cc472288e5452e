import { Lab } from "../src/index.ts";
import type { TcpSocket } from "../src/stack/index.ts";
import type { BenchCase } from "./runner.ts";

const SEGMENT = 1448;
const SEGMENTS = 20_000;
const CONNECTIONS = 500;

function pair(): { lab: Lab; a: ReturnType<Lab["netns"]>; b: ReturnType<Lab["netns"]> } {
	const lab = new Lab({ seed: 1 });
	const [a, b] = [lab.netns("a"), lab.netns("b")];
	const [x, y] = lab.veth({ ns: a, name: "eth0" }, { ns: b, name: "eth0" });
	x.addAddress("10.0.0.1/24");
	y.addAddress("10.0.0.2/24");
	for (const device of [x, y]) device.up();
	return { lab, a, b };
}

/** One connection, as much as a slice's segments hold per slice; data segments and acknowledgments of all. */
function bulk(): () => void {
	const { lab, a, b } = pair();
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
		left += SEGMENT * SEGMENTS;
		wanted += SEGMENT * SEGMENTS;
		if (client.state === "established") say();
		while (heard < wanted) scheduler.runUntil(scheduler.now + 1_000_000);
	};
}

/** Connections from SYN to the last FIN, with one request of 71 octets and one answer of 220. */
function short(): () => void {
	const { lab, a, b } = pair();
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
			const socket: TcpSocket = a.tcp.connect({ address: "10.0.0.2", port: 80 });
			open++;
			socket.onConnect = () => void socket.write(request);
			socket.onReadable = () => {
				if (socket.read().length > 0) {
					socket.close();
					open--;
				}
			};
		};
		for (let i = 0; i < CONNECTIONS; i++) one();
		while (open > 0) scheduler.runUntil(scheduler.now + 1_000_000);
		// TIME-WAIT ends, ports are free again.
		scheduler.runUntil(scheduler.now + 70e9);
	};
}

const cases: readonly BenchCase[] = [
	{ name: "TCP bulk over veth, per segment of 1448 octets", packets: SEGMENTS, prepare: bulk },
	{ name: "TCP connection, SYN to the end of TIME-WAIT", packets: CONNECTIONS, prepare: short },
];
export default cases;
