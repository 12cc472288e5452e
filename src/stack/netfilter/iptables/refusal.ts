import { NetError } from "../../../errors.ts";

/** The version whose words and formats these are. */
export const VERSION = "v1.8.9 (nf_tables)";

/** What iptables adds to a `PARAMETER_PROBLEM`. */
const HELP = "\nTry `iptables -h' or 'iptables --help' for more information.";

/** A command that iptables cannot make sense of (`xtables_error` with `PARAMETER_PROBLEM`). */
export const badParameter = (text: string): NetError =>
	new NetError("EINVAL", `iptables ${VERSION}: ${text}${HELP}`);

/** A rule that leads to a chain that is not there: no mistake in the command, for the chain may come and go. */
export const unknownChain = (name: string): NetError =>
	new NetError("ENOENT", `iptables ${VERSION}: Chain '${name}' does not exist${HELP}`);

/** A table or such that no kernel has (`VERSION_PROBLEM`). */
export const unknownTable = (name: string): NetError =>
	new NetError(
		"ENOENT",
		`iptables ${VERSION}: table '${name}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.`,
		{ remedy: "The tables are raw, mangle, nat, filter and security." },
	);

/** A command that was understood and did not work (`nft_strerror`). */
export const failed = (code: string, text: string): NetError => new NetError(code, `iptables: ${text}.`);

/** What the kernel refused (`mnl_err_msg`). */
export const kernelRefused = (step: string, code: string, text: string, where: string): NetError =>
	new NetError(code, `iptables ${VERSION}:  ${step} failed (${text}): ${where}`);
