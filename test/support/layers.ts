import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** Source files by their path below src/. */
export type Tree = ReadonlyMap<string, string>;

/** Folders from the bottom up: imports point to the left. */
export const ORDER = [
	["addr", "sim"],
	["wire"],
	["link"],
	["stack"],
	["apps"],
	["cnm"],
	["swarm"],
	["observe"],
	["lab"],
	["compose", "testing"],
	["node"],
	["cli"],
] as const;
/** Below everything. */
const FOUNDATION = new Set(["assert.ts", "errors.ts", "drop.ts", "layered-map.ts"]);
/** May use the host program. */
const HOSTED = new Set(["node", "cli"]);
const REAL_WORLD = /(?<![#.\w])(Buffer|process|Date|performance|setTimeout|setInterval)\b|Math\.random/;

/** All of src/. */
export function sourceTree(root: URL): Tree {
	const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
		file.endsWith(".ts"),
	);
	return new Map(files.map((file) => [file, readFileSync(new URL(file, root), "utf8")]));
}

/** What breaks the order of layers, as sentences. */
export function violations(tree: Tree): string[] {
	const found: string[] = [];
	const graph = new Map<string, string[]>();
	for (const [file, text] of tree) {
		const code = withoutComments(text);
		const folder = folderOf(file);
		const hosted = HOSTED.has(folder);
		const targets: string[] = [];
		const typesOnly = new Set(
			[...code.matchAll(/import type [^;]*? from "([^"]+)"/g)].map((match) => match[1] ?? ""),
		);
		for (const specifier of imports(code)) {
			if (specifier.startsWith("node:") && !hosted)
				found.push(`${file} imports ${specifier}: only src/node and src/cli may`);
			if (!specifier.startsWith(".")) continue;
			const target = normalize(join(dirname(file), specifier));
			if (!typesOnly.has(specifier)) targets.push(target);
			found.push(...direction(file, folder, target));
		}
		graph.set(file, targets);
		const real = hosted ? null : REAL_WORLD.exec(code);
		if (real !== null) found.push(`${file} uses ${real[0]}: time and chance come from the lab`);
	}
	const cycle = findCycle(graph);
	if (cycle !== undefined) found.push(`${cycle.join(" → ")} is a circle`);
	return found;
}

function direction(file: string, folder: string, target: string): string[] {
	const to = folderOf(target);
	if (to === folder || FOUNDATION.has(target)) return [];
	if (file === "index.ts" || FOUNDATION.has(file)) return [];
	const [from, below] = [rank(folder), rank(to)];
	if (from < 0) return [`${file} is in no layer`];
	if (below < 0 || below >= from)
		return [`${file} imports ${target}: imports point down, and ${to} is not below ${folder}`];
	if (!target.endsWith("/index.ts"))
		return [`${file} imports ${target}: a folder is entered by its index.ts`];
	return [];
}

const folderOf = (file: string): string => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "");
const rank = (folder: string): number =>
	ORDER.findIndex((layer) => (layer as readonly string[]).includes(folder));

function* imports(code: string): Generator<string> {
	for (const match of code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g))
		if (match[1] !== undefined) yield match[1];
}

const withoutComments = (text: string): string =>
	text.replace(/\/\*[\s\S]*?\*\/|\/\/.*|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`/g, (match) =>
		match.startsWith("/") ? " " : /^"(\.|node:|[a-z])/.test(match) ? match : '""',
	);

/** A circle of imports between files. What is imported as types alone is gone when the code runs and makes none. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
	const done = new Set<string>();
	const path: string[] = [];
	const visit = (file: string): string[] | undefined => {
		const at = path.indexOf(file);
		if (at >= 0) return [...path.slice(at), file];
		if (done.has(file)) return undefined;
		path.push(file);
		for (const target of graph.get(file) ?? []) {
			const cycle = visit(target);
			if (cycle !== undefined) return cycle;
		}
		path.pop();
		done.add(file);
		return undefined;
	};
	for (const file of graph.keys()) {
		const cycle = visit(file);
		if (cycle !== undefined) return cycle;
	}
	return undefined;
}
