/**
 * Two hosts and a switch, a fifth of all frames lost on one cable. Each lost packet says where and why it ended.
 */
import { Lab } from "vethwork";
import type { ExampleContext } from "../scripts/example-context.ts";

export default async function faultyCable({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 7 });
	const lan = lab.switch("lan");
	const nic = (address: string) => ({ nics: { eth0: { address, attach: lan } } });
	const left = lab.host("left", nic("192.0.2.1/24"));
	const right = lab.host("right", {});
	const card = right.addNic("eth0", { address: "192.0.2.2/24" });
	const cable = lab.cable(card, lan, {
		netem: { delay: "2ms", jitter: "500us", loss: "20%", rate: "10mbit" },
	});

	const capture = lab.capture();
	const drops: string[] = [];
	lab.onDrop((drop) => drops.push(`packet ${String(drop.frame)} ended at ${drop.place}: ${drop.text}`));
	const faulty = await left.netns.ping("192.0.2.2", { count: 10, timeout: "1s" });
	print(`${faulty.text()}\n\n${drops.join("\n")}\n`);

	cable.impair(undefined);
	const healed = await left.netns.ping("192.0.2.2", { count: 3 });
	print(`The cable is whole again: ${String(healed.received)} of ${String(healed.sent)} answered.\n`);
	print(`The way of the last request:\n${lab.explain(healed.packets.at(-1) ?? 0).text()}`);
	save(capture);
}
