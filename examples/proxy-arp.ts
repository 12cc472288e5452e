/**
 * A host that believes everything to be on its link, and a router that answers ARP for what is behind it. The answers
 * come after a random delay, as Linux's do, so that a real owner would be first.
 */
import { arping, Lab } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function proxyArp({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 4 });
	const [a, router, b] = [lab.netns("a"), lab.netns("router"), lab.netns("b")];
	const [aEth, left] = lab.veth({ ns: a, name: "eth0" }, { ns: router, name: "eth0" });
	const [right, bEth] = lab.veth({ ns: router, name: "eth1" }, { ns: b, name: "eth0" });
	for (const device of [aEth, left, right, bEth]) device.up();
	aEth.addAddress("10.4.0.10/16"); // a thinks that 10.4.1.0/24 is on its link
	left.addAddress("10.4.0.1/24");
	right.addAddress("10.4.1.1/24");
	bEth.addAddress("10.4.1.20/24");
	b.routes.add("default", { via: "10.4.1.1" });
	router.sysctl.set("net.ipv4.ip_forward", 1);

	const capture = lab.capture();
	const before = await a.ping("10.4.1.20", { count: 1, timeout: "4s" });
	print(`Without proxy ARP:\n${before.text()}\n`);

	router.sysctl.set("net.ipv4.conf.eth0.proxy_arp", 1);
	const after = await a.ping("10.4.1.20", { count: 2 });
	print(`With it:\n${after.text()}\n`);

	for (const address of ["10.4.1.20", "10.4.1.99", "10.4.0.77"]) {
		const { answers } = await arping(a, aEth, address, { deadline: "2s" });
		const [first] = answers;
		const told = first === undefined ? "nobody answers" : `${first.mac} after ${first.time.toFixed(0)} ms`;
		print(`who has ${address}? ${told}`);
	}
	print(
		`\na's neighbours:\n${a.neigh
			.show()
			.map((line) => line.text)
			.join("\n")}`,
	);
	save(capture);
}
