/**
 * A network of one's own has names: c1 and c2 on localnet ask 127.0.0.11, which knows who shares a network with them, by
 * name, alias and `name.network`, and nobody else. On the default bridge there are no names.
 */
import { Lab } from "vethwork";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function bridgeDns({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 2 });
	const node1 = lab.host("node1", { nics: { eth0: { address: "172.31.1.5/24" } } });
	const { docker } = node1;
	docker.networks.create("localnet");
	docker.networks.create("othernet");
	const c1 = docker.run({ name: "c1", network: "localnet" });
	const c2 = docker.run({ name: "c2", network: "localnet", aliases: ["web"] });
	docker.run({ name: "c3", network: "othernet" });
	const plain = docker.run({ name: "c4" });

	const capture = lab.capture();
	print(`c2 $ ping -c 2 c1\n${(await c2.ping("c1", { count: 2 })).text()}\n`);
	const way = (protocol: string): string => {
		const first = findPacket(capture, (layers) => layers.some((layer) => layer.protocol === protocol));
		return hopTable(trace(capture, first ?? 0));
	};
	print(`The first question, to 127.0.0.11:53, on its way to the server's own port:\n${way("udp")}\n`);
	print(`The first echo request, bridged:\n${way("icmp")}\n`);
	for (const name of ["c1", "c2", "web", "c2.localnet", c2.shortId, "c3"]) {
		const said = await c1.resolve(name).then(
			({ addresses }) => addresses.join(" "),
			(error: unknown) => (error instanceof Error ? error.message : ""),
		);
		print(`c1 $ getent hosts ${name.padEnd(12)}  ${said}`);
	}
	const nowhere = await plain.resolve("c1").catch((error: unknown) => error);
	print(`c4, on the default bridge: ${nowhere instanceof Error ? nowhere.message : "?"}\n`);

	docker.networks.connect("othernet", "c1");
	const { addresses } = await c1.resolve("c3");
	print(`Connected to othernet, too, c1 knows c3: ${addresses.join(" ")}\n`);
	print(`c1's /etc/resolv.conf:\n${String(c1.netns.files.get("/etc/resolv.conf"))}`);
	print(`and the rules that lead to the server:\n${c1.netns.iptables("-t nat -S DOCKER_OUTPUT")}`);
	save(capture);
}
