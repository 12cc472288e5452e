/**
 * A network driver of one's own (drivers/routed.ts is the whole of it): every container is a host route away, no bridge between them. The host answers ARP
 * for everybody and routes, so that each packet between two containers loses one TTL.
 */
import { Lab } from "vethwork";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";
import { RoutedDriver } from "./drivers/routed.ts";

export default async function ownDriver({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 6 });
	const driver = new RoutedDriver(lab);
	const host = lab.host("node", {
		nics: { eth0: { address: "192.0.2.5/24" } },
		docker: { drivers: [driver] },
	});
	driver.ns = host.netns;
	const { docker } = host;
	docker.networks.create("flat", { driver: "routed", subnet: "10.9.0.0/24" });
	const [c1, c2] = ["c1", "c2"].map((name) => docker.run({ name, network: "flat" }));
	const capture = lab.capture();
	await lab.advance("1s");
	const ping = await c1!.ping("c2", { count: 1 });
	print(`c1 $ ping -c 1 c2\n${ping.text()}\n`);
	const request = findPacket(capture, "icmp") ?? 0;
	print(`Its request, routed by the host:\n${hopTable(trace(capture, request))}\n`);
	print(`node $ ip route\n${host.netns.routes.show()}`);
	for (const each of [c1!, c2!]) docker.rm(each, { force: true });
	docker.networks.rm("flat");
	print(`left over: ${host.netns.devices.map(({ name }) => name).join(" ")}`);
	save(capture);
}
