import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DissectSession, EmscriptenFileSystem, ProtoTree, Vector } from "@goodtools/wiregasm";

/** Something Wireshark holds against a frame. */
export interface Finding {
	/** Number of the frame in the capture, from 1. */
	readonly frame: number;
	/** The protocol it is in: `ip`, `udp`, `vxlan` … */
	readonly protocol: string;
	/** Wireshark's own words: `Checksum Status: Bad`, `Expert Info (Error/Malformed): …`. */
	readonly text: string;
	/** The frame's summary line. */
	readonly info: string;
}

/** A finding that says nothing about the frame, and why: a payload taken for a protocol by its port, for example. */
export interface Harmless {
	/** Protocol of the finding, as Wireshark names it. */
	readonly protocol: string;
	/** Part of the finding's text; any finding of the protocol unless said. */
	readonly text?: string;
	readonly why: string;
}

export interface JudgeOptions {
	/** Only frames that pass this display filter are judged. */
	readonly filter?: string;
	readonly harmless?: readonly Harmless[];
}

/** One line of Wireshark's packet list. */
export interface Summary {
	readonly number: number;
	readonly time: string;
	readonly source: string;
	readonly destination: string;
	readonly protocol: string;
	readonly length: number;
	readonly info: string;
}

/** The part of the package that is used here: Wireshark 4.4.5, compiled to WebAssembly. */
interface Wireshark {
	readonly FS: EmscriptenFileSystem;
	readonly DissectSession: new (path: string) => DissectSession;
	init(): boolean;
	setPref(module: string, name: string, value: string): { readonly code: number };
	applyPreferences(): void;
	checkFilter(filter: string): { readonly ok: boolean; readonly error: string };
}

/** Protocols whose checksum status is judged, in tunnels as well. */
const CHECKED = ["ip", "udp", "tcp", "icmp", "icmpv6", "igmp"];
const BAD_CHECKSUM = new RegExp(`^(${CHECKED.join("|")})\\.checksum\\.status == "Bad"$`);
const ERROR = /^Expert Info \((Error\/|[^)]*\/Malformed)/;
const SUSPECT = [
	"_ws.expert.severity == error",
	"_ws.malformed",
	...CHECKED.map((protocol) => `${protocol}.checksum.status == bad`),
].join(" || ");

/**
 * What Wireshark holds against the frames of a capture: malformed packets, expert items of severity error, bad
 * checksums, in tunnels and fragments too. Empty if the capture is good. Warnings do not count: a capture of one
 * interface often sees half of a conversation.
 *
 * A packet quoted by an ICMP error is cut short, and Wireshark judges its TCP and UDP checksum over what is left:
 * those findings do not count either.
 */
export async function judge(capture: Uint8Array, options: JudgeOptions = {}): Promise<Finding[]> {
	const { filter, harmless = [] } = options;
	return withCapture(capture, (session, wireshark) => {
		const wanted = filter === undefined ? SUSPECT : `(${filter}) && (${SUSPECT})`;
		return list(session, wireshark, wanted).flatMap(({ number, info }) => {
			const found = findings(items(session.getFrame(number).tree), { protocol: "frame", quoted: false });
			return [...new Map(found.map((finding) => [`${finding.protocol} ${finding.text}`, finding])).values()]
				.map((finding) => ({ frame: number, info, ...finding }))
				.filter((finding) => !harmless.some((known) => isHarmless(finding, known)));
		});
	});
}

/** The packet list of a capture, of frames that pass a display filter if there is one. */
export async function dissectColumns(capture: Uint8Array, filter = ""): Promise<Summary[]> {
	return withCapture(capture, (session, wireshark) => list(session, wireshark, filter));
}

/** Fails with a table of what Wireshark holds against a capture, if anything. */
export async function expectCleanInWireshark(capture: Uint8Array, options: JudgeOptions = {}): Promise<void> {
	const found = await judge(capture, options);
	if (found.length === 0) return;
	const rows = found.map(({ frame, protocol, text, info }) => [String(frame), protocol, text, info]);
	throw new Error(
		`Wireshark finds fault with the capture:\n${table([["frame", "in", "finding", "info"], ...rows])}`,
	);
}

/** Where `tshark` is, if it is installed. */
export const tshark: string | undefined = ["/usr/bin/tshark", "/usr/local/bin/tshark", "tshark"].find(
	(path) => {
		try {
			execFileSync(path, ["--version"], { stdio: "ignore" });
			return true;
		} catch {
			return false;
		}
	},
);

/**
 * Fields of each frame as tshark prints them, one row a frame; a field that occurs several times, in a tunnel, is
 * separated by commas. Throws if tshark is not installed (see `tshark`) or refuses a name.
 */
export function tsharkFields(capture: Uint8Array, fields: readonly string[], filter = ""): string[][] {
	if (tshark === undefined) throw new Error("tshark is not installed");
	const folder = mkdtempSync(join(tmpdir(), "vethwork-"));
	try {
		const path = join(folder, "capture");
		writeFileSync(path, capture);
		const checks = ["ip", "udp", "tcp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);
		const wanted = fields.flatMap((field) => ["-e", field]);
		const filtered = filter === "" ? [] : ["-Y", filter];
		const arguments_ = ["-n", "-r", path, ...checks, ...filtered, "-T", "fields", ...wanted];
		const text = execFileSync(tshark, arguments_, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
		return text
			.split("\n")
			.slice(0, -1)
			.map((line) => line.split("\t"));
	} finally {
		rmSync(folder, { recursive: true });
	}
}

/** What Wireshark needs to open the packets of an IPsec state: rfc4106(gcm(aes)), key and salt as `ip xfrm` writes them. */
export interface EspKey {
	readonly src: string;
	readonly dst: string;
	readonly spi: number;
	readonly key: string;
	readonly icvOctets: 8 | 12 | 16;
}

let espTable = "";

/** Lets Wireshark open ESP and judge its tags (`esp.icv_good`). It reads the keys when it starts, so they come first. */
export function openEspWith(keys: readonly EspKey[]): void {
	openEspTable(keys.map((key) => `${espLine(key)}\n`).join(""));
}

/** The same by the text of the file `esp_sa`. */
export function openEspTable(table: string): void {
	if (instance !== undefined) throw new Error("Wireshark reads its keys when it starts: name them before");
	espTable = table;
}

/** A line of Wireshark's table of security associations. */
const espLine = ({ src, dst, spi, key, icvOctets }: EspKey): string =>
	[
		"IPv4",
		src,
		dst,
		`0x${spi.toString(16).padStart(8, "0")}`,
		`AES-GCM with ${String(icvOctets)} octet ICV [RFC4106]`,
		key,
		"NULL",
		"",
	]
		.map((field) => `"${field}"`)
		.join(",");

let instance: Promise<Wireshark> | undefined;

/** Loading takes a second: once for a worker process, and only if somebody asks. */
function wireshark(): Promise<Wireshark> {
	instance ??= load();
	return instance;
}

async function load(): Promise<Wireshark> {
	const require = createRequire(import.meta.url);
	const glue = require.resolve("@goodtools/wiregasm/dist/wiregasm.js");
	const start: unknown = require(glue);
	if (!isLoader(start)) throw new Error("the Wireshark package is not what it was");
	const quiet = (): void => undefined;
	const loaded = await start({
		locateFile: (name) => glue.replace("wiregasm.js", name),
		print: quiet,
		printErr: quiet,
		handleStatus: quiet,
	});
	if (espTable !== "") {
		loaded.FS.mkdirTree("/wireshark");
		loaded.FS.writeFile("/wireshark/esp_sa", espTable);
	}
	if (!loaded.init()) throw new Error("Wireshark does not start");
	for (const protocol of ["ip", "udp", "tcp"]) {
		const { code } = loaded.setPref(protocol, "check_checksum", "TRUE");
		if (code !== 0) throw new Error(`Wireshark has no preference ${protocol}.check_checksum`);
	}
	if (espTable !== "") {
		loaded.setPref("esp", "enable_encryption_decode", "TRUE");
		loaded.setPref("esp", "enable_authentication_check", "TRUE");
	}
	loaded.applyPreferences();
	return loaded;
}

type Loader = (overrides: {
	locateFile(name: string): string;
	print(): void;
	printErr(): void;
	handleStatus(): void;
}) => Promise<Wireshark>;

const isLoader = (value: unknown): value is Loader => typeof value === "function";

async function withCapture<T>(
	capture: Uint8Array,
	use: (session: DissectSession, loaded: Wireshark) => T,
): Promise<T> {
	const loaded = await wireshark();
	const path = "/uploads/capture";
	loaded.FS.writeFile(path, capture);
	const session = new loaded.DissectSession(path);
	try {
		const { code, error } = session.load();
		if (code !== 0) throw new Error(`Wireshark does not read the capture: ${error}`);
		return use(session, loaded);
	} finally {
		// What the sessions hold is outside the garbage collector's reach.
		session.delete();
	}
}

function list(session: DissectSession, loaded: Wireshark, filter: string): Summary[] {
	const { ok, error } = loaded.checkFilter(filter);
	if (!ok) throw new RangeError(`filter is ${JSON.stringify(filter)}: ${error}`);
	return items(session.getFrames(filter, 0, 0).frames).map((frame) => {
		const [, time = "", source = "", destination = "", protocol = "", length = "", info = ""] = items(
			frame.columns,
		);
		return { number: frame.number, time, source, destination, protocol, length: Number(length), info };
	});
}

interface Place {
	readonly protocol: string;
	/** Inside a packet that an ICMP error quotes. */
	readonly quoted: boolean;
}

function findings(tree: readonly ProtoTree[], place: Place): { protocol: string; text: string }[] {
	return tree.flatMap((node) => {
		const { protocol, quoted } = place;
		if (node.filter === "_ws.malformed")
			return [{ protocol: /: (.*)\]$/.exec(node.label)?.[1] ?? protocol, text: node.label }];
		const inside =
			node.type === "proto" && !node.filter.startsWith("_ws.") ? enter(node.filter, place) : place;
		const unjudged = quoted && (protocol === "tcp" || protocol === "udp");
		const bad = BAD_CHECKSUM.test(node.filter) || ERROR.test(node.label);
		const here = bad && !(unjudged && /checksum/i.test(node.label)) ? [{ protocol, text: node.label }] : [];
		return [...here, ...findings(items(node.tree), inside)];
	});
}

const enter = (protocol: string, { protocol: outer, quoted }: Place): Place => ({
	protocol,
	quoted: quoted || outer === "icmp" || outer === "icmpv6",
});

const isHarmless = (finding: Finding, known: Harmless): boolean =>
	finding.protocol.toLowerCase() === known.protocol.toLowerCase() && finding.text.includes(known.text ?? "");

const items = <T>(vector: Vector<T>): T[] => Array.from({ length: vector.size() }, (_, i) => vector.get(i));

function table(rows: readonly (readonly string[])[]): string {
	const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
	return rows
		.map((row) =>
			row
				.map((cell, column) => cell.padEnd(widths[column] ?? 0))
				.join("  ")
				.trimEnd(),
		)
		.join("\n");
}
