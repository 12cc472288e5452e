import { readFileSync } from "node:fs";
import type { Netns } from "../../src/index.ts";

/** What one place of a recorded machine said, by command. */
export type Dump = ReadonlyMap<string, string>;

/** A file of dumps in test/golden, by place: `sandbox ingress_sbox`, `host node3`. */
export function dumps(path: string): ReadonlyMap<string, Dump> {
	const text = readFileSync(new URL(`../golden/${path}`, import.meta.url), "utf8");
	return new Map(
		text
			.split(/^##### /m)
			.slice(1)
			.map((section) => {
				const [title = "", ...rest] = section.split("\n");
				const commands = rest
					.join("\n")
					.split(/^### /m)
					.slice(1)
					.map((each) => {
						const [command = "", ...lines] = each.split("\n");
						return [command, lines.join("\n")] as const;
					});
				return [title, new Map(commands)] as const;
			}),
	);
}

/** Lines that say something, without blanks at their ends. */
export const lines = (text: string): string[] =>
	text
		.split("\n")
		.map((line) => line.trimEnd())
		.filter((line) => line !== "");

/** `iptables-save` without its clock, and without the ports that the kernel chose for the name server. */
export const savedRules = (text: string, { counters = false } = {}): string[] =>
	lines(text)
		.filter((line) => !line.startsWith("#"))
		.map((line) =>
			line.replace(/127\.0\.0\.11:\d+/, "127.0.0.11:PORT").replace(/--sport \d{5}\b/, "--sport PORT"),
		)
		.map((line) => (counters ? line : line.replace(/^\[\d+:\d+\] /, "").replace(/ \[\d+:\d+\]$/, "")));

/** `ip route show table all` as recorded. */
export const recordedRoutes = (text: string): string[] => lines(text);

/** `ip route show table all` of a namespace of ours, IPv4. */
export const allRoutes = (ns: Netns): string[] => [
	...lines(ns.routes.show()),
	...lines(ns.routes.show({ table: "local" })).map((line) => line.replace(/( dev \S+)/, "$1 table local")),
];

/** Devices and their link addresses: names without their peers, numbers and namespaces left out. */
export const links = (text: string): string[] =>
	[...text.matchAll(/^\d+: (\S+): (<.*)\n +(link\/\S+ \S+)/gm)].map(
		([, name = "", about = "", link = ""]) => {
			const shown = about.replace("mode DEFAULT ", "").trimEnd();
			return `${name.replace(/@.*/, "")} ${shown} ${link}`;
		},
	);

/** Flows or connections without their timers and the ports of clients, in the order of their texts. */
export const flows = (text: string): string[] =>
	lines(text)
		.filter((line) => /^(tcp|TCP|icmp)\b/.test(line))
		.map((line) =>
			line
				.replace(/^(tcp +6|icmp +1) \d+/, "$1")
				.replace(/\bid=\d+/g, "id=ID")
				.replace(/^TCP \d\d:\d\d/, "TCP")
				.replace(/\b(sport|dport)=\d{5}\b/g, "$1=PORT")
				.replace(/(\d+\.\d+):\d{5}\b/g, "$1:PORT"),
		)
		.sort();
