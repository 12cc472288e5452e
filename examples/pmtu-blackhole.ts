/**
 * A path with a short hop. While its router says "fragmentation needed", TCP sends shorter segments; once that message
 * is lost on the way, large answers hang while pings and handshakes work: a path MTU black hole.
 */
import { Lab } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function pmtuBlackhole({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const [client, router, server] = [lab.netns("client"), lab.netns("router"), lab.netns("server")];
	const [a, west] = lab.veth({ ns: client, name: "eth0" }, { ns: router, name: "west" });
	const [east, b] = lab.veth({ ns: router, name: "east" }, { ns: server, name: "eth0" });
	for (const device of [a, west, east, b]) device.up();
	a.addAddress("10.1.0.1/24");
	west.addAddress("10.1.0.254/24");
	east.addAddress("10.2.0.254/24");
	b.addAddress("10.2.0.1/24");
	client.routes.add("default", { via: "10.1.0.254" });
	server.routes.add("default", { via: "10.2.0.254" });
	router.sysctl.set("net.ipv4.ip_forward", 1);
	// The client's side of the router is the short hop, and the client itself does not know.
	west.setMtu(1400);

	const capture = lab.capture();
	const drops = new Map<string, number>();
	lab.onDrop(({ reason, place, detail }) => {
		const text = `    dropped at ${place}: ${reason}${detail === undefined ? "" : ` (${detail})`}`;
		drops.set(text, (drops.get(text) ?? 0) + 1);
	});
	const listener = server.listen({ port: 80 });
	const fetch = async (): Promise<string> => {
		const stream = await client.connect({ hostname: "10.2.0.1", port: 80 });
		const peer = await listener.accept();
		const began = lab.now;
		const said = peer.writable.getWriter().write(new Uint8Array(20_000));
		let heard = 0;
		const reading = (async () => {
			for await (const part of stream.readable) if ((heard += part.length) >= 20_000) break;
		})().catch(() => undefined);
		await lab.advance("10s");
		await said;
		const { mss, retransmitted } = peer.socket.info;
		peer.socket.abort();
		await reading;
		const lost = [...drops].map(([text, times]) => `\n${text}, ${String(times)} times`).join("");
		drops.clear();
		return `${String(heard)} octets, segments of ${String(mss)}, ${String(retransmitted)} sent again, ${((lab.now - began) / 1e9).toFixed(0)} s${lost}`;
	};
	print(`The router says so:   ${await fetch()}`);
	// Someone filters ICMP: the router's words reach the server no more.
	server.routes.flushCache();
	server.iptables("-A INPUT -p icmp --icmp-type fragmentation-needed -j DROP");
	print(`ICMP is filtered:     ${await fetch()}`);
	// What administrators do then: the route says what the path takes.
	server.routes.add("10.1.0.0/24", { via: "10.2.0.254", mtu: 1400 });
	print(`A route with mtu 1400: ${await fetch()}`);
	save(capture);
}
