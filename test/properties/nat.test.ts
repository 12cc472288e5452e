import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { ipv4, udp } from "../../src/wire/index.ts";

const HOSTS = 4;
/** Few ports and destinations, so that flows meet. */
const anyFlow = fc.record({
	host: fc.integer({ min: 0, max: HOSTS - 1 }),
	port: fc.constantFrom(80, 700, 4000, 4001, 5353),
	server: fc.integer({ min: 0, max: 1 }),
	serverPort: fc.constantFrom(53, 80),
});
/** What may stand in nat POSTROUTING. */
const anyRule = fc.constantFrom(
	"-j MASQUERADE",
	"-j MASQUERADE --random",
	"-j SNAT --to-source 192.168.1.30-192.168.1.31",
	"-p udp -j SNAT --to-source 192.168.1.30:2000-2009",
	"-p udp -j MASQUERADE --to-ports 3000-3020",
);

/** Hosts behind one router that translates their addresses, and servers that answer with what they heard. */
async function network(rule: string) {
	const lab = new Lab({ seed: 7 });
	const router = lab.netns("router");
	const lan = router.addBridge("lan");
	lan.addAddress("10.0.0.1/24");
	lan.up();
	const outside = lab.netns("outside");
	const [eth1, o0] = lab.veth({ ns: router, name: "eth1" }, { ns: outside, name: "eth0" });
	for (const address of ["192.168.1.10/24", "192.168.1.30/24", "192.168.1.31/24"]) eth1.addAddress(address);
	for (const address of ["192.168.1.20/24", "192.168.1.21/24"]) o0.addAddress(address);
	const hosts = Array.from({ length: HOSTS }, (_, i) => {
		const ns = lab.netns(`h${String(i)}`);
		const [port, eth0] = lab.veth({ ns: router, name: `v${String(i)}` }, { ns, name: "eth0" });
		lan.attach(port);
		eth0.addAddress(`10.0.0.${String(i + 2)}/24`);
		for (const device of [port, eth0]) device.up();
		ns.routes.add("default", { via: "10.0.0.1" });
		return ns;
	});
	for (const device of [eth1, o0]) device.up();
	// The bridge has told which groups it is in before anything is tracked.
	await lab.advance("2s");
	router.sysctl.set("net.ipv4.ip_forward", 1);
	router.iptables(`-t nat -A POSTROUTING -s 10.0.0.0/24 -o eth1 ${rule}`);
	return { lab, router, outside, hosts };
}

describe("address translation", () => {
	test("is reversible, never makes two flows one, spoils no checksum, and leaves nothing behind", async () => {
		await fc.assert(
			fc.asyncProperty(anyRule, fc.array(anyFlow, { minLength: 1, maxLength: 12 }), async (rule, flows) => {
				const { lab, router, outside, hosts } = await network(rule);
				const distinct = [...new Map(flows.map((flow) => [JSON.stringify(flow), flow])).values()];
				const heard: string[] = [];
				let spoilt = 0;
				outside.packetSocket().onFrame = (bytes) => {
					const view = new DataView(bytes.buffer);
					if (bytes[23] !== ipv4.PROTOCOL_UDP) return;
					const [source, destination] = [ipv4.source(view, 14), ipv4.destination(view, 14)];
					const good =
						ipv4.isChecksumGood(view, 14) &&
						udp.isChecksumGood(view, 34, udp.length(view, 34), source, destination);
					if (!good) spoilt++;
				};
				for (const server of [0, 1]) {
					for (const port of [53, 80]) {
						const socket = outside.udp({ address: `192.168.1.2${String(server)}`, port });
						socket.handler = (frame, at, octets, source, from) => {
							heard.push(`${String(source)}:${String(from)} ${String(server)}:${String(port)}`);
							socket.send(frame.bytes.slice(at, at + octets), { address: source, port: from });
						};
					}
				}
				const answers: string[] = [];
				const sockets = new Map<string, ReturnType<(typeof hosts)[0]["udp"]>>();
				for (const [index, { host, port, server, serverPort }] of distinct.entries()) {
					const key = `${String(host)} ${String(port)}`;
					const socket = sockets.get(key) ?? hosts[host]!.udp({ port });
					sockets.set(key, socket);
					socket.handler = (frame, at, _octets, source, from) => {
						answers.push(`${key} ${String(frame.view.getUint8(at))} ${String(source & 1)}:${String(from)}`);
					};
					socket.send(Uint8Array.of(index), { address: `192.168.1.2${String(server)}`, port: serverPort });
				}
				await lab.advance("3s");
				// Each answer came to the socket that asked, from whom it had asked.
				const wanted = distinct.map(
					({ host, port, server, serverPort }, index) =>
						`${String(host)} ${String(port)} ${String(index)} ${String(server)}:${String(serverPort)}`,
				);
				expect(answers.toSorted()).toEqual(wanted.toSorted());
				// The servers could tell all flows apart, and nobody spoke with an inside address.
				expect(new Set(heard).size).toBe(distinct.length);
				expect(heard.filter((line) => line.startsWith(String(0x0a00_0002)))).toEqual([]);
				expect(spoilt).toBe(0);
				expect(router.conntrack.count()).toBe(distinct.length);
				await lab.advance("300s");
				expect(router.netfilter.conntrack.count).toBe(0);
				expect(lab.world.frames.taken).toBe(0);
			}),
			{ numRuns: 60 },
		);
	});
});
