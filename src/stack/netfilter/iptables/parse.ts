import { parseIp4 } from "../../../addr/index.ts";
import type { Chain } from "./chain.ts";
import type { Extension, Match, TableName, Target } from "./extension.ts";
import { MATCHES } from "./matches/index.ts";
import { badParameter, unknownChain } from "./refusal.ts";
import { type AddressTest, DeviceTest, Rule } from "./rule.ts";
import { TARGETS } from "./targets/index.ts";
import { VerdictTarget } from "./targets/verdict.ts";
import { formatProtocol, parseNumber, parseProtocol } from "./values.ts";

/** Options every rule may have, by all their spellings. */
const HEAD_OPTIONS: Readonly<Record<string, string>> = {
	"-s": "s",
	"--source": "s",
	"--src": "s",
	"-d": "d",
	"--destination": "d",
	"--dst": "d",
	"-i": "i",
	"--in-interface": "i",
	"-o": "o",
	"--out-interface": "o",
	"-p": "p",
	"--protocol": "p",
	"--proto": "p",
	"-f": "f",
	"--fragment": "f",
	"-m": "m",
	"--match": "m",
	"-j": "j",
	"--jump": "j",
	"-g": "g",
	"--goto": "g",
	"-c": "c",
	"--set-counters": "c",
};
const LONGEST_DEVICE = 15;

/** A rule as it is read, one word after the other. */
export class RuleParser {
	readonly #table: TableName;
	readonly #chain: string;
	readonly #chainNamed: (name: string) => Chain | undefined;
	#sources: AddressTest[] = [];
	#destinations: AddressTest[] = [];
	#inDevice: DeviceTest | null = null;
	#outDevice: DeviceTest | null = null;
	#protocol = 0;
	#protocolInverted = false;
	#fragment: "later" | "first" | null = null;
	readonly #matches: Match[] = [];
	#target: Target | null = null;
	#jump: Chain | null = null;
	#goto = false;
	#packets = 0;
	#octets = 0;

	constructor(table: TableName, chain: string, chainNamed: (name: string) => Chain | undefined) {
		this.#table = table;
		this.#chain = chain;
		this.#chainNamed = chainNamed;
	}

	/** Reads all words; one rule for each pair of addresses. Throws `NetError` in iptables' words. */
	parse(words: readonly string[]): Rule[] {
		let inverted = false;
		for (let i = 0; i < words.length;) {
			const word = words[i++]!;
			if (word === "!") {
				if (inverted) throw badParameter("multiple consecutive ! not allowed");
				inverted = true;
				continue;
			}
			const [option, ...attached] = split(word);
			const take = (count: number): string[] => {
				const given = [...attached, ...words.slice(i, i + count - attached.length)];
				if (given.length < count) throw badParameter(`option "${word}" requires an argument`);
				i += count - attached.length;
				return given;
			};
			const head = HEAD_OPTIONS[option];
			if (head !== undefined) this.#head(head, inverted, take);
			else if (option.startsWith("--")) this.#extension(option.slice(2), inverted, take);
			else if (option.startsWith("-")) throw badParameter(`unknown option "${word}"`);
			else throw badParameter(`Bad argument \`${word}'`);
			inverted = false;
		}
		if (inverted) throw badParameter("Bad argument `!'");
		return this.#finish();
	}

	#head(option: string, inverted: boolean, take: (count: number) => string[]): void {
		const word = (): string => take(1)[0]!;
		switch (option) {
			case "s":
				this.#sources = parseAddresses(word(), inverted);
				return;
			case "d":
				this.#destinations = parseAddresses(word(), inverted);
				return;
			case "i":
				this.#inDevice = parseDevice(word(), inverted);
				return;
			case "o":
				this.#outDevice = parseDevice(word(), inverted);
				return;
			case "p":
				this.#protocol = parseProtocol(word());
				this.#protocolInverted = inverted;
				if (this.#protocol === 0 && inverted) throw badParameter("rule would never match protocol");
				return;
			case "f":
				this.#fragment = inverted ? "first" : "later";
				return;
			case "c": {
				const [packets, octets] = take(2).map(parseNumber);
				if (packets === undefined || octets === undefined)
					throw badParameter("-c packet counter not numeric");
				this.#packets = packets;
				this.#octets = octets;
				return;
			}
		}
		if (inverted) throw badParameter(`unexpected ! flag before -${option}`);
		if (option === "m") this.#match(word());
		else this.#to(word(), option === "g");
	}

	#match(name: string): void {
		const make = MATCHES.get(name);
		if (make === undefined) throw badParameter(`Couldn't load match \`${name}':No such file or directory\n`);
		this.#matches.push(make());
	}

	#to(name: string, goto: boolean): void {
		if (this.#target !== null || this.#jump !== null) throw badParameter("multiple -j flags not allowed");
		const make = goto ? undefined : TARGETS.get(name);
		if (make !== undefined) {
			this.#target = make();
			return;
		}
		const chain = this.#chainNamed(name);
		if (chain === undefined || chain.point !== null) throw unknownChain(name);
		this.#jump = chain;
		this.#goto = goto;
	}

	/** An option of the target or of a match, the last one named first; `-p tcp` brings its match along. */
	#extension(option: string, inverted: boolean, take: (count: number) => string[]): void {
		const has = (each: Extension): boolean => Object.hasOwn(each.options, option);
		let extension: Extension | undefined =
			this.#target !== null && has(this.#target) ? this.#target : this.#matches.findLast(has);
		if (extension === undefined && this.#protocol !== 0 && !this.#protocolInverted) {
			const name = formatProtocol(this.#protocol);
			const own = MATCHES.get(name)?.();
			if (own !== undefined && has(own) && !this.#matches.some((each) => each.name === name)) {
				this.#matches.push(own);
				extension = own;
			}
		}
		if (extension === undefined) throw badParameter(`unknown option "--${option}"`);
		extension.set(option, inverted, take(extension.options[option] ?? 0));
	}

	#finish(): Rule[] {
		for (const match of this.#matches) {
			if ((match.name === "tcp" || match.name === "udp" || match.name === "icmp") && !this.#isFor(match.name))
				throw badParameter(`RULE_APPEND failed (Invalid argument): rule in chain ${this.#chain}`);
			match.finish(this.#protocolInverted ? 0 : this.#protocol);
		}
		const target = this.#target ?? (this.#jump === null ? new VerdictTarget("") : null);
		target?.finish(this.#protocolInverted ? 0 : this.#protocol);
		this.#checkPlace(target);
		const sources = this.#sources.length > 0 ? this.#sources : [null];
		const destinations = this.#destinations.length > 0 ? this.#destinations : [null];
		return sources.flatMap((source) =>
			destinations.map((destination) => {
				const head = {
					source,
					destination,
					inDevice: this.#inDevice,
					outDevice: this.#outDevice,
					protocol: this.#protocol,
					protocolInverted: this.#protocolInverted,
					fragment: this.#fragment,
				};
				return new Rule(
					head,
					[...this.#matches],
					target,
					this.#jump,
					this.#goto,
					this.#packets,
					this.#octets,
				);
			}),
		);
	}

	#isFor(name: string): boolean {
		return !this.#protocolInverted && formatProtocol(this.#protocol) === name;
	}

	/** Some options and targets make no sense in some chains. */
	#checkPlace(target: Target | null): void {
		const chain = this.#chain;
		if (this.#outDevice !== null && (chain === "PREROUTING" || chain === "INPUT"))
			throw badParameter(`Can't use -o with ${chain}\n`);
		if (this.#inDevice !== null && (chain === "POSTROUTING" || chain === "OUTPUT"))
			throw badParameter(`Can't use -i with ${chain}\n`);
		const point = this.#chainNamed(chain)?.point ?? null;
		const wrongTable = target?.tables?.includes(this.#table) === false;
		const wrongHook = point !== null && target?.points?.includes(point) === false;
		if (wrongTable || wrongHook)
			throw badParameter(`RULE_APPEND failed (Invalid argument): rule in chain ${chain}`);
	}
}

/** `--option=value` in its parts. */
function split(word: string): [string, ...string[]] {
	const equals = word.startsWith("--") ? word.indexOf("=") : -1;
	return equals < 0 ? [word] : [word.slice(0, equals), word.slice(equals + 1)];
}

function parseAddresses(text: string, inverted: boolean): AddressTest[] {
	const listed = text.split(",");
	if (inverted && listed.length > 1)
		throw badParameter("! not allowed with multiple source or destination IP addresses");
	return listed.flatMap((each) => {
		const [word = "", length, ...more] = each.split("/");
		const mask = length === undefined ? -1 : parseMask(length);
		// Of all addresses it does not matter which: any/0.
		const address = mask === 0 ? 0 : parseIp4(padded(word));
		if (address === undefined || more.length > 0) throw badParameter(`host/network \`${word}' not found`);
		if (mask === undefined) throw badParameter(`invalid mask \`${length ?? ""}' specified`);
		// All addresses: nothing is asked, unless none is meant.
		if (mask === 0 && !inverted) return [];
		return [{ address: address & mask, mask, inverted }];
	});
}

/** `10.1` is 10.1.0.0. */
const padded = (text: string): string =>
	/^\d+(\.\d+){0,2}$/.test(text) ? text + ".0".repeat(4 - text.split(".").length) : text;

function parseMask(text: string): number | undefined {
	const dotted = parseIp4(text);
	if (dotted !== undefined) return dotted;
	const length = /^\d+$/.test(text) ? Number(text) : -1;
	if (length < 0 || length > 32) return undefined;
	return length === 0 ? 0 : -1 << (32 - length);
}

function parseDevice(text: string, inverted: boolean): DeviceTest | null {
	if (text === "") throw badParameter("Empty interface is likely to be undesired");
	if (text.length > LONGEST_DEVICE)
		throw badParameter(`interface name \`${text}' must be shorter than IFNAMSIZ (15)`);
	return text === "+" && !inverted ? null : new DeviceTest(text, inverted);
}
