/**
 * A published port as Docker makes it: rules by the text that dockerd passes to iptables, DNAT on the way in, MASQUERADE
 * on the way out. The container sees the true client, the client only the host.
 */
import { Lab, type Netns } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

const RULES = `
	-t nat -N DOCKER
	-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
	-t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
	-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
	-t nat -A DOCKER -i docker0 -j RETURN
	-t nat -A DOCKER ! -i docker0 -p udp -m udp --dport 5003 -j DNAT --to-destination 172.17.0.2:7000
	-P FORWARD DROP
	-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	-A FORWARD -d 172.17.0.2/32 ! -i docker0 -o docker0 -p udp -m udp --dport 7000 -j ACCEPT
	-A FORWARD -i docker0 ! -o docker0 -j ACCEPT`;

export default async function portMapping({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const host = lab.host("node2", { nics: { eth0: { address: "172.31.1.6/24", attach: lan } } });
	const outside = lab.host("outside", { nics: { eth0: { address: "172.31.1.1/24", attach: lan } } });
	const container: Netns = host.addNetns("pub2");
	const docker0 = host.netns.addBridge("docker0");
	docker0.addAddress("172.17.0.1/16");
	const [port, eth0] = lab.veth({ ns: host.netns, name: "veth10aac67" }, { ns: container, name: "eth0" });
	docker0.attach(port);
	eth0.addAddress("172.17.0.2/16");
	for (const device of [docker0, port, eth0]) device.up();
	container.routes.add("default", { via: "172.17.0.1" });
	host.netns.sysctl.set("net.ipv4.ip_forward", 1);
	for (const rule of RULES.trim().split("\n")) host.netns.iptables(rule);

	const capture = lab.capture();
	const server = container.udp({ port: 7000 });
	const client = outside.netns.udp();
	client.send(new TextEncoder().encode("ping"), { address: "172.31.1.6", port: 5003 });
	const asked = await server.receive();
	print(`The container was asked by ${asked.address}:${String(asked.port)}, at ${asked.to}:7000.`);
	server.send(new TextEncoder().encode("pong"), { address: asked.address, port: asked.port });
	const answer = await client.receive();
	print(`The client was answered by ${answer.address}:${String(answer.port)}.`);
	print(`\n${(await container.ping("172.31.1.1", { count: 1 })).text()}`);

	print(`\n# iptables-save -c\n${host.netns.iptablesTool.save({ counters: true })}`);
	print(`# conntrack -L\n${host.netns.conntrack.list()}`);
	save(capture);
}
