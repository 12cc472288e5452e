import { parseIp4, parseIp6 } from "../../addr/index.ts";
import { cliRefuses } from "../../cnm/index.ts";

const badFlag = (flag: string, value: string, why: string): Error =>
	cliRefuses(`invalid argument ${JSON.stringify(value)} for "--${flag}" flag: ${why}`);

/** A flag that is a count; `otherwise` when it was not given. Throws `NetError` in the words of Go's `strconv.ParseUint`. */
export function count(value: number | undefined, flag: string, otherwise: number): number {
	if (value === undefined) return otherwise;
	if (Number.isSafeInteger(value) && value >= 0) return value;
	const text = String(value);
	throw badFlag(flag, text, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** Addresses of name servers (docker's CLI, opts `ValidateIPAddress`). Throws `NetError`. */
export function servers(addresses: readonly string[]): readonly string[] {
	for (const address of addresses) {
		const text = address.trim();
		if (parseIp4(text) === undefined && parseIp6(text) === undefined)
			throw badFlag("dns", address, `${address} is not an ip address`);
	}
	return addresses;
}
