import { parseIp4 } from "../addr/index.ts";
import { assert } from "../assert.ts";
import { NetError } from "../errors.ts";
import { type Operation, seconds, Timer } from "../sim/index.ts";
import type { IpNamespace } from "../stack/index.ts";
import { dns } from "../wire/index.ts";

/** Types of records that can be asked for by name. */
export type RecordType = "A" | "AAAA" | "PTR" | "MX" | "TXT" | "CNAME" | "NS" | "SOA" | "SRV" | "ANY";

/** What came of a question. */
export interface Resolution {
	/** The name as it was found: with what the search list added. */
	readonly name: string;
	/** Addresses for A and AAAA, names for PTR, CNAME and NS. */
	readonly addresses: readonly string[];
	/** NOERROR, NXDOMAIN …; "hosts" for what /etc/hosts said. */
	readonly status: string;
	/** The whole message, unless /etc/hosts answered. */
	readonly message: dns.Message | undefined;
}

/** glibc's values unless resolv.conf says otherwise (resolv.h). */
const TIMEOUT = 5;
const ATTEMPTS = 2;
const NDOTS = 1;
const MOST_SERVERS = 3;

interface Conf {
	readonly servers: readonly string[];
	readonly search: readonly string[];
	readonly ndots: number;
	readonly timeout: number;
	readonly attempts: number;
}

/**
 * Resolves a name as glibc's stub resolver does: /etc/hosts, then the servers of /etc/resolv.conf, with its search list.
 * Both are files of the namespace (`ns.files`). Rejects with `NetError` EAI_NONAME for a name that nobody knows,
 * EAI_AGAIN when no server answered.
 */
export function resolve(ns: IpNamespace, name: string, type: RecordType = "A"): Operation<Resolution> {
	return ns.kernel.driver.operation<Resolution>(
		(settle) => {
			lookUp(
				ns,
				name,
				[type],
				([resolution]) => {
					assert(resolution !== undefined, "one question has one answer");
					settle.resolve(resolution);
				},
				(error) => settle.reject(error),
			);
		},
		{ what: `look up ${name} ${type} in ${ns.name}` },
	);
}

/** The addresses that programs get for a name (`getaddrinfo`): A and AAAA are asked at once, from one socket. */
export function addressesOf(
	ns: IpNamespace,
	name: string,
	found: (addresses: readonly string[]) => void,
	failed: (error: NetError) => void,
): void {
	lookUp(
		ns,
		name,
		["A", "AAAA"],
		(resolutions) => {
			found(resolutions.flatMap(({ addresses }) => addresses));
		},
		failed,
	);
}

/** The name of an address (`getnameinfo`), undefined for none. */
export function nameOf(ns: IpNamespace, address: string, done: (name: string | undefined) => void): void {
	const reversed = `${address.split(".").reverse().join(".")}.in-addr.arpa.`;
	lookUp(
		ns,
		reversed,
		["PTR"],
		([resolution]) => {
			done(resolution?.addresses[0]?.replace(/\.$/, ""));
		},
		() => {
			done(undefined);
		},
	);
}

function lookUp(
	ns: IpNamespace,
	name: string,
	types: readonly RecordType[],
	found: (resolutions: readonly Resolution[]) => void,
	failed: (error: NetError) => void,
): void {
	const hosts = types[0] === "A" ? inHosts(ns.files.get("/etc/hosts") ?? "", name) : [];
	if (hosts.length > 0) {
		found([{ name, addresses: hosts, status: "hosts", message: undefined }]);
		return;
	}
	const conf = readConf(ns.files.get("/etc/resolv.conf") ?? "");
	const names = candidates(name, conf);
	let last: Resolution | undefined;
	const next = (): void => {
		const candidate = names.shift();
		if (candidate === undefined) {
			failed(last === undefined ? again(name, conf) : unknown(name, types.join(" "), last));
			return;
		}
		query(ns, conf, candidate, types, (resolutions) => {
			if (resolutions === undefined) {
				failed(again(name, conf));
				return;
			}
			last = resolutions[0];
			const good = resolutions.filter(({ status }) => status === "NOERROR");
			const some = good.some(({ message }) => message !== undefined && message.answers.length > 0);
			if (some || (good.length > 0 && names.length === 0)) found(resolutions);
			else next();
		});
	};
	next();
}

const again = (name: string, conf: Conf): NetError =>
	new NetError("EAI_AGAIN", `${name}: Temporary failure in name resolution`, {
		remedy: conf.servers.length === 0 ? "Put a nameserver into /etc/resolv.conf." : "No server answered.",
		context: { name, servers: conf.servers },
	});

const unknown = (name: string, type: string, last: Resolution): NetError =>
	new NetError("EAI_NONAME", `${name}: Name or service not known`, {
		context: { name, type, status: last.status },
	});

/** One name, by all servers in turn, all that again; a question for each type, all from one socket. Undefined when none answered. */
function query(
	ns: IpNamespace,
	conf: Conf,
	name: string,
	types: readonly RecordType[],
	done: (resolutions: readonly Resolution[] | undefined) => void,
): void {
	const { rng } = ns.kernel;
	const turns = Array.from({ length: conf.attempts }, () => conf.servers).flat();
	const next = (): void => {
		const server = turns.shift();
		if (server === undefined) {
			done(undefined);
			return;
		}
		const questions = types.map((type) => ({ id: rng.below(0x1_0000), type }));
		const answers = new Map<number, Resolution>();
		const socket = ns.udp();
		let over = false;
		const end = (resolutions: readonly Resolution[] | undefined): void => {
			if (over) return;
			over = true;
			timer.cancel();
			socket.close();
			if (resolutions === undefined) next();
			else done(resolutions);
		};
		const timer = new Timer(() => {
			end(undefined);
		});
		ns.kernel.sleep(timer, seconds(conf.timeout));
		socket.handler = (frame, at, octets) => {
			const answer = dns.read(frame.bytes.slice(at, at + octets));
			if (typeof answer === "string" || (answer.flags & dns.FLAG.QR) === 0) return;
			// What answers another question is none (`res_queriesmatch`).
			const question = questions.find(
				({ id, type }) => id === answer.id && isAbout(answer, name, dns.TYPE[type]),
			);
			if (question === undefined) return;
			// SERVFAIL, NOTIMP and REFUSED: the next server may know better.
			if (UNHELPFUL.has(answer.flags & 0xf)) {
				end(undefined);
				return;
			}
			answers.set(question.id, resolutionOf(name, question.type, answer));
			if (answers.size < questions.length) return;
			end(questions.flatMap(({ id }) => answers.get(id) ?? []));
		};
		try {
			socket.connect(server, dns.PORT);
			for (const { id, type } of questions) {
				const question = { name, type: dns.TYPE[type], class: dns.CLASS_IN };
				const empty = { answers: [], authorities: [], additional: [] };
				socket.send(dns.write({ id, flags: dns.FLAG.RD, questions: [question], ...empty }));
			}
		} catch {
			end(undefined);
		}
	};
	next();
}

/** Whether a message repeats a question; names are the same in any case of their letters. */
function isAbout({ questions: [asked, more] }: dns.Message, name: string, type: number): boolean {
	if (asked === undefined || more !== undefined || asked.type !== type) return false;
	const plain = (text: string): string => text.toLowerCase().replace(/\.$/, "");
	return plain(asked.name) === plain(name);
}

const UNHELPFUL: ReadonlySet<number> = new Set([dns.RCODE.SERVFAIL, dns.RCODE.NOTIMP, dns.RCODE.REFUSED]);

function resolutionOf(name: string, type: RecordType, message: dns.Message): Resolution {
	const rcode = message.flags & 0xf;
	const status = Object.entries(dns.RCODE).find(([, code]) => code === rcode)?.[0] ?? `RCODE${String(rcode)}`;
	const addresses = message.answers.flatMap((record) => {
		if (type === "A" || type === "AAAA")
			return record.type === dns.TYPE[type] ? (dns.addressIn(record) ?? []) : [];
		return ["PTR", "CNAME", "NS"].includes(type) ? (dns.nameIn(record.data) ?? []) : [];
	});
	return { name, addresses, status, message };
}

/** The names to try: as it is first when it has enough dots (`ndots`), else the search list first. */
function candidates(name: string, { search, ndots }: Conf): string[] {
	if (name.endsWith(".")) return [name];
	const searched = search.map((domain) => `${name}.${domain}.`);
	const dots = name.split(".").length - 1;
	return dots >= ndots ? [`${name}.`, ...searched] : [...searched, `${name}.`];
}

function readConf(text: string): Conf {
	const servers: string[] = [];
	let search: readonly string[] = [];
	const options = new Map<string, number>();
	for (const line of text.split("\n")) {
		const [word, ...rest] = line
			.replace(/[#;].*/, "")
			.trim()
			.split(/\s+/);
		if (word === "nameserver" && rest[0] !== undefined && servers.length < MOST_SERVERS)
			servers.push(rest[0]);
		if (word === "search" || word === "domain") search = rest;
		if (word !== "options") continue;
		for (const option of rest) {
			const [key = "", value] = option.split(":");
			options.set(key, Number(value ?? 1));
		}
	}
	return {
		servers,
		search,
		ndots: options.get("ndots") ?? NDOTS,
		timeout: options.get("timeout") ?? TIMEOUT,
		attempts: options.get("attempts") ?? ATTEMPTS,
	};
}

/** The addresses that /etc/hosts has for a name. */
function inHosts(text: string, name: string): string[] {
	const wanted = name.replace(/\.$/, "").toLowerCase();
	return text.split("\n").flatMap((line) => {
		const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
		return parseIp4(address) !== undefined && names.some((each) => each.toLowerCase() === wanted)
			? [address]
			: [];
	});
}
