/**
 * Two Docker networks on one host: containers of one do not reach those of the other, a container on both reaches
 * each, and all reach the outside by the host's address. Isolation is silent: nobody says why nothing comes back.
 */
import { Lab } from "vethwork";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function twoNetworks({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 2 });
	const lan = lab.switch("lan");
	const { docker, netns } = lab.host("node1", {
		nics: { eth0: { address: "192.0.2.5/24", gateway: "192.0.2.1", attach: lan } },
	});
	lab.host("outside", { nics: { eth0: { address: "192.0.2.1/24", attach: lan } } });

	docker.networks.create("front");
	docker.networks.create("back", { subnet: "10.5.0.0/24", internal: true });
	const web = docker.run({ name: "web", network: "front" });
	const db = docker.run({ name: "db", network: "back" });
	const api = docker.run({ name: "api", network: "front" });
	docker.networks.connect("back", api);

	const capture = lab.capture();
	const ask = async (from: typeof web, name: string, address: string): Promise<void> => {
		const { received } = await from.ping(address, { count: 1, timeout: "1s" });
		print(`${from.name} > ${name} ${address}: ${received === 1 ? "answered" : "silence"}`);
	};
	await ask(web, "api", api.ip("front"));
	await ask(web, "db", db.ip());
	await ask(api, "db", db.ip());
	await ask(web, "outside", "192.0.2.1");
	await ask(db, "outside", "192.0.2.1");

	const [silent, masked] = [db.ip(), "192.0.2.1"].map((to) =>
		findPacket(capture, (layers) =>
			layers.some(({ protocol, fields }) => protocol === "ipv4" && fields.some(({ text }) => text === to)),
		),
	);
	print(`\nweb > db, dropped in FORWARD:\n${hopTable(trace(capture, silent ?? 0))}`);
	print(`\nweb > outside, masqueraded:\n${hopTable(trace(capture, masked ?? 0))}\n`);

	// Which rule it was: the packets it counted.
	const isolation = netns.iptables("-L DOCKER-ISOLATION-STAGE-1 -v -n");
	print(isolation.split("\n").slice(0, 4).join("\n"));

	docker.networks.disconnect("front", api);
	print(`api without front: ${api.netns.routes.show().split("\n")[0] ?? ""}`);
	try {
		docker.networks.rm("back");
	} catch (error) {
		print((error as Error).message.replace(/[0-9a-f]{64}/, "…"));
	}
	save(capture);
}
