/**
 * A virtual address in front of three servers: a load balancer takes datagrams in turn to each of them, and the replies
 * come from the virtual address. One server is taken out of service; its connection lives on.
 */
import { Lab, type Netns } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function ipvsRoundRobin({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const [client, lb, sw] = [lab.netns("client"), lab.netns("lb"), lab.netns("switch")];
	const [eth0, front] = lab.veth({ ns: client, name: "eth0" }, { ns: lb, name: "front" });
	const [back, uplink] = lab.veth({ ns: lb, name: "back" }, { ns: sw, name: "uplink" });
	const bridge = sw.addBridge("br0");
	bridge.attach(uplink);
	for (const device of [eth0, front, back, uplink, bridge]) device.up();
	eth0.addAddress("10.1.0.10/24");
	front.addAddress("10.1.0.100/24"); // the virtual address
	back.addAddress("10.2.0.1/24");
	lb.sysctl.set("net.ipv4.ip_forward", 1);

	lb.ipvsadm("-A -u 10.1.0.100:7 -s rr");
	for (const i of [1, 2, 3]) {
		const server = lab.netns(`server${String(i)}`);
		const [port, end] = lab.veth({ ns: sw, name: `p${String(i)}` }, { ns: server, name: "eth0" });
		bridge.attach(port);
		for (const device of [port, end]) device.up();
		end.addAddress(`10.2.0.1${String(i)}/24`);
		server.routes.add("default", { via: "10.2.0.1" }); // replies go back by the load balancer
		const socket = server.udp({ port: 7 });
		socket.handler = (_frame, _at, _octets, address, from) => {
			socket.send(new TextEncoder().encode(`server ${String(i)}`), { address, port: from });
		};
		lb.ipvsadm(`-a -u 10.1.0.100:7 -r 10.2.0.1${String(i)}:7 -m`);
	}

	const capture = lab.capture();
	for (let i = 0; i < 4; i++) await ask(client, print);
	lb.ipvsadm("-e -u 10.1.0.100:7 -r 10.2.0.12:7 -m -w 0"); // no new connections for server 2
	print("\nserver 2 is taken out:");
	for (let i = 0; i < 3; i++) await ask(client, print);
	print(`\n${lb.ipvsadm("-Ln")}\n${lb.ipvsadm("-Lcn")}`);
	save(capture);
}

/** Asks from a new port, which is a new connection. */
async function ask(client: Netns, print: (text: string) => void): Promise<void> {
	const socket = client.udp();
	socket.send(new TextEncoder().encode("who?"), { address: "10.1.0.100", port: 7 });
	const { data, address } = await socket.receive();
	print(`${address} answers: ${new TextDecoder().decode(data)}`);
}
