import { describe, expect, test } from "vitest";
import { ACCEPT, DROP, type HookPoint, STOLEN } from "../../src/stack/index.ts";
import { routed } from "../support/router.ts";

const POINTS = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"] as const;
const ping = new Uint8Array(8);

/** The hooks of the router that packets pass, with devices, as they pass them. */
function watched() {
	const net = routed();
	const seen: string[] = [];
	for (const point of POINTS) {
		net.router.hooks.register(point, 0, (_frame, inDevice, out) => {
			seen.push(`${point} ${inDevice?.device.name ?? "-"} ${out?.name ?? "-"}`);
			return ACCEPT;
		});
	}
	return { ...net, seen };
}

describe("netfilter's hooks", () => {
	test("a forwarded packet passes PREROUTING, FORWARD and POSTROUTING", async () => {
		const { lab, inside, seen } = watched();
		inside.udp().send(ping, { address: "192.168.1.20", port: 9 });
		await lab.advance("10ms");
		expect(seen.slice(0, 3)).toEqual(["PREROUTING eth0 -", "FORWARD eth0 eth1", "POSTROUTING eth0 eth1"]);
	});

	test("a packet for the host passes PREROUTING and INPUT, its answer OUTPUT and POSTROUTING", async () => {
		const { inside, seen } = watched();
		await inside.ping("10.0.0.1", { count: 1 });
		expect(seen).toEqual(["PREROUTING eth0 -", "INPUT eth0 -", "OUTPUT - eth0", "POSTROUTING - eth0"]);
	});

	test("what a host sends itself passes all hooks of both ways, by lo", async () => {
		const { router, seen } = watched();
		await router.ping("127.0.0.1", { count: 1 });
		expect(seen.slice(0, 4)).toEqual(["OUTPUT - lo", "POSTROUTING - lo", "PREROUTING lo -", "INPUT lo -"]);
	});

	test("the outer packets of a tunnel pass OUTPUT and POSTROUTING", async () => {
		const { lab, router, seen } = watched();
		const vxlan = router.addVxlan("vx0", { vni: 7, remote: "192.168.1.20" });
		vxlan.addAddress("10.9.0.1/24");
		vxlan.up();
		seen.length = 0;
		router.udp().send(ping, { address: "10.9.0.2", port: 9 });
		await lab.advance("10ms");
		// The inner datagram first; ARP for it goes through the tunnel.
		expect(seen).toContain("OUTPUT - eth1");
		expect(seen).toContain("POSTROUTING - eth1");
	});

	test("functions run by priority, of equal ones the newest first, and no more once taken away", async () => {
		const { router } = routed();
		const order: string[] = [];
		const add = (name: string, priority: number) =>
			router.hooks.register("OUTPUT", priority, () => {
				order.push(name);
				return ACCEPT;
			});
		add("late", 100);
		const remove = add("early", -100);
		add("first", 0);
		add("second", 0);
		await router.ping("10.0.0.2", { count: 1 });
		expect(order).toEqual(["early", "second", "first", "late"]);
		remove();
		order.length = 0;
		await router.ping("10.0.0.2", { count: 1 });
		expect(order).toEqual(["second", "first", "late"]);
	});

	test("without functions there is nothing to ask", () => {
		const { hooks } = routed().router;
		const remove = hooks.register("INPUT", 0, () => ACCEPT);
		expect(hooks.input).not.toBeNull();
		remove();
		expect([hooks.prerouting, hooks.input, hooks.forward, hooks.output, hooks.postrouting]).toEqual(
			new Array(5).fill(null),
		);
	});

	test.each(["OUTPUT", "POSTROUTING"] satisfies HookPoint[])(
		"a sender learns EPERM when its packet is dropped at %s, and nothing when it is stolen",
		(point) => {
			const { router } = routed();
			const socket = router.udp();
			const to = { address: "10.0.0.2", port: 9 };
			const remove = router.hooks.register(point, 0, (frame) => {
				frame.release();
				return STOLEN;
			});
			socket.send(ping, to);
			remove();
			router.hooks.register(point, 0, (frame) => {
				router.drop(frame, "iptables-drop");
				return DROP;
			});
			expect(() => {
				socket.send(ping, to);
			}).toThrow(expect.objectContaining({ code: "EPERM" }) as Error);
		},
	);

	test("fragments pass as one packet where connections are tracked, and leave as long as they came", async () => {
		const { lab, inside, outside, router, seen } = watched();
		void router.netfilter.conntrack;
		const received = outside.udp({ port: 9 });
		const lengths: number[] = [];
		outside.packetSocket().onFrame = (bytes) => lengths.push(bytes.length);
		inside.udp({ mtuDiscovery: "dont" }).send(new Uint8Array(3000), { address: "192.168.1.20", port: 9 });
		await lab.advance("10ms");
		expect(seen.slice(0, 3)).toEqual(["PREROUTING eth0 -", "FORWARD eth0 eth1", "POSTROUTING eth0 eth1"]);
		expect((await received.receive()).data).toHaveLength(3000);
		expect(lengths).toEqual([1514, 1514, 82]);
	});
});
