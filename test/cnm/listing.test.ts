import { describe, expect, test } from "vitest";
import { Listing, type ListingColumn } from "../../src/cnm/index.ts";
import { commandsLog, printed } from "../support/commands-log.ts";
import { ManagerCluster } from "../support/manager-cluster.ts";

/** A recorded table, to the end of its last line with cells. */
function recorded(scenario: string, command: string, title: string, lines: number): string {
	const all = printed(scenario, command).split("\n");
	const at = all.findIndex((line) => line.startsWith(title));
	return all.slice(at, at + 1 + lines).join("\n");
}

/** Its cells: columns begin where their titles do. */
function cells(table: string): { readonly titles: readonly string[]; readonly rows: string[][] } {
	const [head = "", ...rest] = table.split("\n");
	const titles = [...head.matchAll(/\S+(?: \S+)*/g)].map(({ 0: title, index }) => ({ title, index }));
	return {
		titles: titles.map(({ title }) => title),
		rows: rest.map((line) => titles.map(({ index }, i) => line.slice(index, titles[i + 1]?.index).trimEnd())),
	};
}

const columns = (titles: readonly string[]): ListingColumn<string[]>[] =>
	titles.map((title, i) => [title, (row) => row[i] ?? ""]);

describe("docker's lists are printed as the CLI prints them", () => {
	test.each([
		["05-overlay", "docker node ls", "ID ", 3],
		["05-overlay", "docker node ls", "NETWORK ID", 4],
		["08-service-vip", "docker service ps svc rr", "ID ", 6],
		["09-ingress", "docker service ps web", "ID ", 2],
		["10-publish-mode-host", "docker service ps hostmode", "ID ", 3],
		["12-node-failure", "docker service ps fs", "ID ", 2],
	] as const)("%s: %s, the table of %s", (scenario, command, title, lines) => {
		const table = recorded(scenario, command, title, lines);
		const { titles, rows } = cells(table);
		expect(new Listing(rows, columns(titles)).text()).toBe(table);
	});

	test("an earlier task of a slot stands below it, indented, and widens the column", () => {
		const { output = "" } =
			commandsLog("12-node-failure").find(({ output: text }) => text.includes("\\_")) ?? {};
		const table = output.split("\n").slice(0, 4).join("\n");
		const { titles, rows } = cells(table);
		expect(new Listing(rows, columns(titles)).text()).toBe(table);
	});

	test("docker node ls of the recorded cluster's managers, to the letter", () => {
		expect(new ManagerCluster().api.nodes.ls().text()).toBe(
			recorded("05-overlay", "docker node ls", "ID ", 3),
		);
	});

	test("an empty list is its headings, and lists are arrays: what is made of them is one, too", () => {
		const list = new ManagerCluster().api.services.ls();
		expect(list.text()).toBe("ID        NAME      MODE      REPLICAS   IMAGE     PORTS");
		expect(Array.isArray(list)).toBe(true);
		expect(list.map(({ name }) => name)).toStrictEqual([]);
	});
});
