import { expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";

const SERVER = "10.1.0.2";

/** A client with two ways to a router, 10.0.0.0/24 and 10.9.0.0/24, and a server behind it. */
function world() {
	const lab = new Lab({ seed: 1 });
	const [client, router, server] = [lab.netns("client"), lab.netns("router"), lab.netns("server")];
	const link = (a: [Netns, string, string], b: [Netns, string, string]): void => {
		const ends = lab.veth({ ns: a[0], name: a[1] }, { ns: b[0], name: b[1] });
		for (const [i, [, , address]] of [a, b].entries()) {
			ends[i]?.addAddress(`${address}/24`);
			ends[i]?.up();
		}
	};
	link([client, "eth0", "10.0.0.2"], [router, "eth0", "10.0.0.1"]);
	link([client, "eth1", "10.9.0.2"], [router, "eth1", "10.9.0.1"]);
	link([router, "eth2", "10.1.0.1"], [server, "eth0", SERVER]);
	client.routes.add("default", { via: "10.0.0.1" });
	server.routes.add("default", { via: "10.1.0.1" });
	router.sysctl.set("net.ipv4.ip_forward", 1);
	const socket = client.udp({ address: "10.0.0.2", port: 5000 });
	const received: number[] = [];
	server.udp({ port: 80 }).handler = (_frame, _at, octets) => {
		received.push(octets);
	};
	const send = async (octets: number): Promise<void> => {
		socket.send(new Uint8Array(octets), { address: SERVER, port: 80 });
		await lab.advance("10ms");
	};
	return { client, router, socket, received, send };
}

/** `packets octets` of each rule of a chain. */
const counted = (router: Netns, chain: string): string[] =>
	router
		.iptables(`-nvxL ${chain}`)
		.split("\n")
		.slice(2)
		.filter((line) => line !== "")
		.map((line) => line.trim().split(/\s+/).slice(0, 2).join(" "));

test("a flow that is known and comes by another device is asked of all rules again", async () => {
	const { client, router, received, send } = world();
	router.iptables("-A FORWARD -i eth0 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT");
	router.iptables("-A FORWARD -i eth1 -j DROP");
	for (let i = 0; i < 10; i++) await send(100);
	expect(received).toHaveLength(10);
	client.routes.replace("default", { via: "10.9.0.1" });
	for (let i = 0; i < 3; i++) await send(100);
	expect(received).toHaveLength(10);
	expect(counted(router, "FORWARD")).toEqual(["10 1280", "3 384"]);
	client.routes.replace("default", { via: "10.0.0.1" });
	await send(100);
	expect(received).toHaveLength(11);
	expect(counted(router, "FORWARD")).toEqual(["11 1408", "3 384"]);
});

test("fragments of a flow that is known are put together first: rules count the packet", async () => {
	const { router, received, send } = world();
	router.iptables("-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT");
	for (let i = 0; i < 10; i++) await send(100);
	await send(3000);
	await send(100);
	expect(received).toEqual([...new Array<number>(10).fill(100), 3000, 100]);
	expect(counted(router, "FORWARD")).toEqual([`12 ${String(11 * 128 + 3028)}`]);
});

test("packets of a known flow with another mark are asked of all rules again", async () => {
	const { client, socket, received, send } = world();
	client.iptables("-A OUTPUT -m mark --mark 5 -j DROP");
	client.iptables("-A OUTPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT");
	for (let i = 0; i < 10; i++) await send(100);
	socket.mark = 5;
	for (let i = 0; i < 3; i++) await expect(send(100)).rejects.toThrow("Operation not permitted");
	expect(received).toHaveLength(10);
	expect(counted(client, "OUTPUT")).toEqual(["3 384", "10 1280"]);
});
