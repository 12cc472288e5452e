import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Netns } from "../src/index.ts";
import { dissect } from "../src/wire/index.ts";
import { hopTable, sights } from "./support/hops.ts";
import { get, recordedIngress, web } from "./support/ingress-mesh.ts";

const page = readFileSync(new URL("../docs/ingress.md", import.meta.url), "utf8");

/** What the page says under a marker: `<!-- printed: request -->` and a block of text. */
const printed = (name: string): string =>
	new RegExp(`<!-- printed: ${name} -->\\s*\`\`\`text\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? "";

/** Rules of a namespace that a packet met, with their counters: not policies, and no jumps. */
const met = (ns: Netns): string[] =>
	ns.iptablesTool
		.save({ counters: true })
		.split("\n")
		.filter((line) => /^\[[1-9]/.test(line) && !/-j (DOCKER|RETURN)/.test(line))
		.map((line) => line.replace(/^\[\d+:\d+\] -A /, ""));

/** One request from outside to the node without a task, and all that was seen of it. */
async function run() {
	const { lab, lan, node3, web1, web2 } = recordedIngress();
	for (const [{ netns }, body] of [
		[web1, "web.1"],
		[web2, "web.2"],
	] as const)
		web(netns, body);
	const client = lab.host("client", {
		nics: { eth0: { address: "172.31.1.1/24", mac: "02:00:00:00:01:01", attach: lan } },
	}).netns;
	// The switch and the neighbours know each other.
	await get(client, "172.31.1.7", 8080);
	await get(client, "172.31.1.7", 8080);
	const capture = lab.capture();
	const answer = await get(client, "172.31.1.7", 8080, { localPort: 50_000 });
	const flagged = (flags: string): number => {
		const found = capture.sightings().find((row) => {
			const fields = dissect(row.data).flatMap((layer) => layer.fields);
			return fields.some(({ name, text }) => name === "tcp.flags" && text === flags);
		});
		if (found === undefined) throw new Error(`no ${flags}`);
		return found.packet;
	};
	const sandbox = node3.balancer("ingress");
	const rules = [
		["node3", node3.host.netns],
		["node3/ingress_sbox", sandbox],
		[`node1/${web2.name.slice(0, 5)}`, web2.netns],
	] as const;
	return {
		answer: `${answer}\n`,
		request: `${hopTable(sights(capture, flagged("SYN")))}\n`,
		reply: `${hopTable(sights(capture, flagged("SYN ACK")))}\n`,
		rules: `${rules.flatMap(([name, ns]) => met(ns).map((rule) => `${name}: ${rule}`)).join("\n")}\n`,
		table: sandbox
			.ipvsadm("-Ln")
			.split("\n")
			.map((line) => `${line.trimEnd()}\n`)
			.join("")
			.trimEnd()
			.concat("\n"),
	};
}

describe("docs/ingress.md", () => {
	const made = run();

	test.each(["request", "reply", "rules", "table", "answer"] as const)(
		"the %s it shows is what a run prints",
		async (name) => {
			expect(printed(name)).toBe((await made)[name]);
		},
	);
});
