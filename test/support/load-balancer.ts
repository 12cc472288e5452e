import { type Ip4, toIp4 } from "../../src/addr/index.ts";
import { Lab, type Netns } from "../../src/index.ts";
import { ipv4, tcp } from "../../src/wire/index.ts";

/** A client, a load balancer with a virtual address, and real servers behind it that route by it. */
export interface Balanced {
	readonly lab: Lab;
	/** 10.1.0.10. */
	readonly client: Netns;
	/** 10.1.0.1, 10.1.0.100 (virtual) and 10.2.0.1. */
	readonly lb: Netns;
	/** 10.2.0.11, 10.2.0.12 … */
	readonly servers: readonly Netns[];
}

/** The virtual address. */
export const VIP = "10.1.0.100";

/** The address of a real server, counted from 0. */
export const serverAddress = (i: number): string => `10.2.${String((i + 11) >> 8)}.${String((i + 11) & 255)}`;

/** Builds it. */
export function balanced({
	servers = 3,
	seed = 1,
}: { readonly servers?: number; readonly seed?: number } = {}): Balanced {
	const lab = new Lab({ seed });
	const [client, lb, sw] = [lab.netns("client"), lab.netns("lb"), lab.netns("switch")];
	const [eth0, front] = lab.veth({ ns: client, name: "eth0" }, { ns: lb, name: "front" });
	const [back, uplink] = lab.veth({ ns: lb, name: "back" }, { ns: sw, name: "uplink" });
	const br0 = sw.addBridge("br0");
	br0.attach(uplink);
	for (const device of [eth0, front, back, uplink, br0]) device.up();
	eth0.addAddress("10.1.0.10/24");
	for (const address of ["10.1.0.1/24", `${VIP}/32`]) front.addAddress(address);
	back.addAddress("10.2.0.1/16");
	client.routes.add("default", { via: "10.1.0.1" });
	lb.sysctl.set("net.ipv4.ip_forward", 1);
	const made = Array.from({ length: servers }, (_, i) => {
		const ns = lab.netns(`s${String(i)}`);
		const [port, end] = lab.veth({ ns: sw, name: `p${String(i)}` }, { ns, name: "eth0" });
		br0.attach(port);
		for (const device of [port, end]) device.up();
		end.addAddress(`${serverAddress(i)}/16`);
		ns.routes.add("default", { via: "10.2.0.1" });
		return ns;
	});
	return { lab, client, lb, servers: made };
}

/** Every server answers datagrams to a port with its own number, counted from 0. */
export function echo({ servers }: Balanced, port: number): void {
	for (const [i, ns] of servers.entries()) {
		const socket = ns.udp({ port });
		socket.handler = (_frame, _at, _octets, source, from) => {
			socket.send(Uint8Array.of(i), { address: source, port: from });
		};
	}
}

/** Asks the virtual address from a new port; the number of the server that answered, or the error's code. */
export async function ask({ client, lab }: Balanced, port: number): Promise<number | string> {
	const socket = client.udp();
	socket.connect(VIP, port);
	socket.send(new Uint8Array(8));
	await lab.advance("10ms");
	try {
		const answer = await Promise.race([socket.receive(), lab.advance("1s").then(() => "silence")]);
		return typeof answer === "string" ? answer : (answer.data[0] ?? "empty");
	} catch (error) {
		return (error as { readonly code: string }).code;
	} finally {
		socket.close();
	}
}

/** Sends one TCP segment of a namespace's, from an address it may have to itself alone. */
export function segment(
	ns: Netns,
	about: {
		readonly from: string;
		readonly to: string;
		readonly ports: readonly [source: number, destination: number];
		readonly flags: number;
		readonly payload?: number;
		readonly dontFragment?: boolean;
		readonly ttl?: number;
	},
): void {
	const octets = tcp.MIN_OCTETS + (about.payload ?? 0);
	const frame = ns.world.frames.begin(octets);
	frame.end = frame.start + octets;
	frame.bytes.fill(0, frame.start, frame.end);
	const [source, destination] = [toIp4(about.from, "from"), toIp4(about.to, "to")];
	tcp.write(frame.view, frame.start, {
		sourcePort: about.ports[0],
		destinationPort: about.ports[1],
		sequence: 1,
		acknowledgment: 0,
		flags: about.flags,
		window: 1000,
		urgent: 0,
		options: [],
	});
	tcp.writeChecksum(frame.view, frame.start, octets, source, destination);
	frame.push(ipv4.MIN_OCTETS);
	const fragment = about.dontFragment === true ? ipv4.DONT_FRAGMENT : 0;
	ipv4.writePlain(
		frame.view,
		frame.start,
		octets + ipv4.MIN_OCTETS,
		0,
		1,
		fragment,
		about.ttl ?? 64,
		6,
		source,
		destination,
	);
	const route = ns.route(destination);
	if (route === undefined) throw new Error(`no route to ${about.to}`);
	ns.ipv4.output(frame, route);
}

/** Namespaces take segments in without a word, as if a program had them. */
export function quiet(...namespaces: readonly Netns[]): void {
	for (const ns of namespaces) {
		ns.protocols.set(6, (frame) => {
			frame.release();
		});
	}
}

/** An address one above another. */
export const plus = (address: string, n: number): string => {
	const value = (toIp4(address, "address") + n) as Ip4;
	return [24, 16, 8, 0].map((shift) => String((value >>> shift) & 255)).join(".");
};
