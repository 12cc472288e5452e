/**
 * Three bridges in a ring, a host at each. Without STP one broadcast is a storm, and the lab says where it went round.
 * With STP one port blocks, and when a link is cut the ring heals the other way, at 802.1D's own pace.
 */
import { type Bridge, Lab, NetError } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

function ring(stp: boolean) {
	const lab = new Lab({ seed: 1 });
	const sites = ["s1", "s2", "s3"].map((name, i) => {
		const ns = lab.netns(name);
		const bridge = ns.addBridge("br0", { stp, priority: i === 0 ? 4096 : 32_768 });
		const host = lab.netns(`h${String(i + 1)}`);
		const [eth0, port] = lab.veth({ ns: host, name: "eth0" }, { ns, name: "host" });
		bridge.attach(port);
		for (const device of [bridge, eth0, port]) device.up();
		eth0.addAddress(`10.0.0.${String(i + 1)}/24`);
		return { ns, bridge, host };
	});
	for (const [i, { ns, bridge }] of sites.entries()) {
		const next = sites[(i + 1) % sites.length]!;
		const [right, left] = lab.veth({ ns, name: "right" }, { ns: next.ns, name: "left" });
		bridge.attach(right);
		next.bridge.attach(left);
		for (const end of [right, left]) end.up();
	}
	return { lab, sites, bridges: sites.map(({ bridge }) => bridge) };
}

const states = (bridges: readonly Bridge[]): string =>
	bridges
		.map(({ place, ports }) => `${place}  ${ports.map((p) => `${p.device.name} ${p.state}`).join(", ")}`)
		.join("\n");

export default async function bridgeLoopStp({ print, save }: ExampleContext): Promise<void> {
	const storm = await ring(false)
		.sites[0]!.host.ping("10.0.0.2", { count: 1 })
		.catch((error: unknown) => error);
	print(`Without STP: ${storm instanceof NetError ? storm.message : "no storm"}\n`);

	const { lab, sites, bridges } = ring(true);
	const [s1, s2] = sites as [(typeof sites)[0], (typeof sites)[0]];
	const capture = lab.capture("s2:*");
	await lab.advance("60s");
	print(`With STP, after a minute:\n${states(bridges)}\n\n${s2.ns.brctl.showStp("br0")}`);
	const before = await s1.host.ping("10.0.0.2", { count: 2 });
	s1.ns.device("right").down();
	const { sent, received } = await s1.host.ping("10.0.0.2", { count: 60, timeout: "1s" });
	print(
		`Before the cut of s1:right: ${String(before.received)} of ${String(before.sent)} pings answered; after`,
	);
	print(`it: ${String(received)} of ${String(sent)}. The old root must be forgotten (20 s), then ports`);
	print("listen and learn (15 s each). The other way round it is now:\n");
	print(states(bridges));
	save(capture);
	lab.close();
}
