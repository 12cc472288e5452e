import type { IpNamespace } from "../../../stack/index.ts";
import { iptablesTakes } from "../../rules.ts";
import { REQID } from "./encryption.ts";

/**
 * The rules of one encrypted subnet on a host (`programMangle`, `programInput`): what leaves with its VNI is marked, so
 * that the policy takes it; what comes with its VNI and not by ESP is dropped.
 */
export class SubnetRules {
	readonly #ns: IpNamespace;
	readonly #rules: readonly (readonly [command: "A" | "I", chain: string, rule: string])[];

	constructor(ns: IpNamespace, vni: number, port: number) {
		this.#ns = ns;
		// The VNI lies in the UDP payload's second word: behind an IPv4 header of any length, eight octets of UDP and four.
		const ours = `-p udp --dport ${String(port)} -m u32 --u32 0>>22&0x3C@12&0xFFFFFF00=${String(vni * 256)}`;
		this.#rules = [
			["A", "-t mangle|OUTPUT", `${ours} -j MARK --set-mark ${String(REQID)}`],
			["A", "-t filter|INPUT", `-m policy --dir in --pol ipsec ${ours} -j ACCEPT`],
			["I", "-t filter|INPUT", `-m policy --dir in --pol none ${ours} -j DROP`],
		];
	}

	/** Puts in those that are not there. */
	add(): void {
		for (const [command, where, rule] of this.#rules) {
			const [table = "", chain = ""] = where.split("|");
			if (!this.#has(table, chain, rule)) this.#ns.iptables(`${table} -${command} ${chain} ${rule}`);
		}
	}

	/** Takes them out. */
	remove(): void {
		for (const [, where, rule] of this.#rules) {
			const [table = "", chain = ""] = where.split("|");
			if (this.#has(table, chain, rule)) this.#ns.iptables(`${table} -D ${chain} ${rule}`);
		}
	}

	#has(table: string, chain: string, rule: string): boolean {
		return iptablesTakes(this.#ns, `${table} -C ${chain} ${rule}`);
	}
}
