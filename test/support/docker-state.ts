import { readFileSync } from "node:fs";
import type { Docker, Netns } from "../../src/index.ts";

/** What the recorded daemon drew at random in its texts, and what the swarm on those hosts added: the one list. */
const RANDOM: readonly (readonly [what: RegExp, name: string])[] = [
	[/\bbr-[0-9a-f]{12}\b/g, "br"],
	[/\bveth[0-9a-f]{7}\b/g, "veth"],
	[/\b[0-9a-f]{64}\b/g, "id"],
	[/(?<=")[0-9a-f]{12}(?=")/g, "short"],
	[/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "time"],
];

/** Random names become `br1`, `br2` … in the order in which they first stand there. */
export function named(text: string): string {
	let result = text;
	for (const [what, name] of RANDOM) {
		const seen = new Map<string, string>();
		result = result.replace(what, (found) => {
			const known = seen.get(found) ?? `${name}${String(seen.size + 1)}`;
			seen.set(found, known);
			return known;
		});
	}
	return result;
}

const golden = (path: string): string => readFileSync(new URL(`../golden/${path}`, import.meta.url), "utf8");

/** A recorded text of the scenario's folder. */
export const recordedJson = (name: string): unknown => JSON.parse(named(golden(`docker-state/${name}.json`)));

/** The rules of one text of `iptables-save`, without counters, comments, and what swarm mode adds. */
export const rules = (text: string): string[] =>
	named(text)
		.split("\n")
		.map((line) => line.replace(/^\[\d+:\d+\] /, ""))
		.filter((line) => line.startsWith("-A") || /^:DOCKER|^:FORWARD|^\*/.test(line))
		.map((line) => line.replace(/ \[\d+:\d+\]$/, ""))
		.filter((line) => !line.includes("DOCKER-INGRESS") && !/gwbridge -m addrtype/.test(line));

/** The recorded host's filter and nat tables: the first text with Docker's chains. */
export function recordedRules(scenario: string): string[] {
	const texts = golden(`iptables-save/${scenario}.txt`).split("\n\n");
	return rules(texts.find((text) => text.includes(":DOCKER-USER") && text.includes("*nat")) ?? "");
}

/** `ip addr show` and `ip route show` of one recorded namespace. */
export function recordedState(scenario: string, title: string): { links: string[]; routes: string[] } {
	const section = golden(`docker-state/${scenario}.txt`)
		.split(/^##### /m)
		.find((each) => each.startsWith(`${title}\n`));
	if (section === undefined) throw new Error(`${scenario} has no state of ${title}`);
	const [head = "", routes = ""] = section.split("### ip route show\n");
	return { links: links(head), routes: lines(routes) };
}

/** The same of a namespace of ours. */
export const stateOf = (ns: Netns): { links: string[]; routes: string[] } => ({
	links: links(ns.links.show().replaceAll("mode DEFAULT ", "")),
	routes: lines(ns.routes.show()),
});

const lines = (text: string): string[] =>
	named(text)
		.split("\n")
		.map((line) => line.trimEnd())
		.filter((line) => line !== "" && !/gwbridge|mgmt|eth1\b.*192/.test(line))
		.sort();

/** One line per device that Docker made: random addresses, and numbers of devices and namespaces, left out. */
function links(text: string): string[] {
	const pairs = [...text.matchAll(/^\d+: (\S+): (<.*)\n +(link\/\S+) (\S+)/gm)].map(
		([, name = "", about = "", kind = "", mac = ""]) => ({ name: name.replace(/@.*/, ""), about, kind, mac }),
	);
	const docker = pairs.filter(
		({ name, about }) => /^(docker0|br-|veth|eth\d|dm-)/.test(name) && !about.includes("gwbridge"),
	);
	const told = docker.map(
		({ name, about, kind, mac }) => `${name} ${about.trimEnd()} ${kind} ${/^eth/.test(name) ? mac : ""}`,
	);
	return named(told.join("\n")).split("\n");
}

/** `docker network create docker_gwbridge …`, as a swarm's node does. */
export const gwbridge = (docker: Docker<Netns>): void =>
	void docker.networks.create("docker_gwbridge", {
		options: {
			"com.docker.network.bridge.name": "docker_gwbridge",
			"com.docker.network.bridge.enable_icc": "false",
		},
	});
