import type { Chain } from "./chain.ts";
import { type AddressTest, formatAddress, type Rule } from "./rule.ts";
import type { Table } from "./table.ts";
import { formatProtocol } from "./values.ts";

/** Switches of `iptables -L`. */
export interface ListOptions {
	/** `-n`. */
	readonly numeric: boolean;
	/** `-v`: counters and devices. */
	readonly verbose: boolean;
	/** `-x`: counters in full. */
	readonly exact: boolean;
	/** `--line-numbers`. */
	readonly numbered: boolean;
}

/** A counter in five places, with K, M, G or T when it is longer (`xtables_print_num`). */
function formatCount(count: number, exact: boolean): string {
	if (exact) return `${String(count).padStart(8)} `;
	if (count <= 99_999) return `${String(count).padStart(5)} `;
	let rest = count;
	for (const unit of ["K", "M", "G"]) {
		rest = Math.floor((rest + 500) / 1000);
		if (rest <= 9999) return `${String(rest).padStart(4)}${unit} `;
	}
	return `${String(Math.floor((rest + 500) / 1000)).padStart(4)}T `;
}

/** One chain as `iptables -L` prints it (`print_header`, `print_rule_details`). */
export function listChain(table: Table, chain: Chain, options: ListOptions, only?: number): string {
	const { verbose, exact, numbered } = options;
	const counts = verbose
		? ` ${formatCount(0, exact).trim()} packets, ${formatCount(0, exact).trim()} bytes`
		: "";
	const kind =
		chain.point === null
			? `(${String(table.references(chain))} references)`
			: `(policy ${chain.policy}${counts})`;
	const columns = [
		numbered ? "num  " : "",
		verbose ? (exact ? "    pkts      bytes " : " pkts bytes ") : "",
		"target     prot opt",
		verbose ? " in     out    " : "",
		" source               destination         ",
	];
	const head = `Chain ${chain.name} ${kind}\n${columns.join("")}\n`;
	return (
		head +
		chain.rules
			.map((rule, index) => (only === undefined || only === index + 1 ? line(rule, index + 1, options) : ""))
			.join("")
	);
}

function line(rule: Rule, number: number, { numeric, verbose, exact, numbered }: ListOptions): string {
	const { source, destination, inDevice, outDevice, protocol, protocolInverted, fragment } = rule.head;
	let text = numbered ? `${String(number).padEnd(4)} ` : "";
	if (verbose) {
		text += formatCount(rule.packets, exact);
		text += exact ? `${String(rule.octets).padStart(10)} ` : formatCount(rule.octets, false);
	}
	text += `${(rule.jump?.name ?? rule.target?.name ?? "").padEnd(9)} `;
	text += protocolInverted ? "!" : " ";
	text += `${(numeric ? String(protocol) : formatProtocol(protocol)).padEnd(4)} `;
	text += `${fragment === "first" ? "!" : "-"}${fragment === null ? "-" : "f"} `;
	if (verbose) {
		const device = (test: typeof inDevice): string =>
			(test === null ? (numeric ? "*" : "any") : `${test.inverted ? "!" : ""}${test.text}`).padEnd(6);
		text += ` ${device(inDevice)} ${device(outDevice)} `;
	}
	const address = (test: AddressTest | null): string => {
		const shown = test === null ? (numeric ? "0.0.0.0/0" : "anywhere") : formatAddress(test, true);
		return `${test?.inverted === true ? "!" : " "}${shown.padEnd(19)} `;
	};
	text += address(source) + address(destination);
	for (const match of rule.matches) text += match.show();
	if (rule.goto) text += " [goto] ";
	return `${text}${rule.target?.show() ?? ""}\n`;
}
