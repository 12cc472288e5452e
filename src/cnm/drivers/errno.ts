import type { NetError } from "../../errors.ts";

/** The last words of iproute2's text, as Go prints an errno. */
export const errno = (error: NetError): string =>
	(error.message.split(": ").at(-1) ?? error.message).replace(/\.$/, "").toLowerCase();
