import { icmp } from "../wire/index.ts";
import type { IcmpError } from "./ipv4/icmp.ts";

/** What an ICMP error means to a socket. */
export interface SocketError {
	readonly code: string;
	/** `strerror` of the code. */
	readonly text: string;
	/** Whether a connected socket fails by it, or only those that ask for all errors. */
	readonly fatal: boolean;
}

/** `icmp_err_convert` in net/ipv4/icmp.c, by code of "destination unreachable". */
const UNREACHABLE: readonly SocketError[] = [
	{ code: "ENETUNREACH", text: "Network is unreachable", fatal: false },
	{ code: "EHOSTUNREACH", text: "No route to host", fatal: false },
	{ code: "ENOPROTOOPT", text: "Protocol not available", fatal: true },
	{ code: "ECONNREFUSED", text: "Connection refused", fatal: true },
	{ code: "EMSGSIZE", text: "Message too long", fatal: false },
	{ code: "EOPNOTSUPP", text: "Operation not supported", fatal: false },
	{ code: "ENETUNREACH", text: "Network is unreachable", fatal: true },
	{ code: "EHOSTDOWN", text: "Host is down", fatal: true },
	{ code: "ENONET", text: "Machine is not on the network", fatal: true },
	{ code: "ENETUNREACH", text: "Network is unreachable", fatal: true },
	{ code: "EHOSTUNREACH", text: "No route to host", fatal: true },
	{ code: "ENETUNREACH", text: "Network is unreachable", fatal: false },
	{ code: "EHOSTUNREACH", text: "No route to host", fatal: false },
	{ code: "EHOSTUNREACH", text: "No route to host", fatal: true },
	{ code: "EHOSTUNREACH", text: "No route to host", fatal: true },
	{ code: "EHOSTUNREACH", text: "No route to host", fatal: true },
];

/** What an ICMP error means to the socket it is about; undefined for advice that is no error. */
export function errorOf(error: IcmpError, discoversMtu: boolean): SocketError | undefined {
	switch (error.type) {
		case icmp.UNREACHABLE: {
			const meant = UNREACHABLE[error.code];
			// A socket that discovers path MTUs wants to know that its packet was too long.
			if (error.code === icmp.FRAG_NEEDED && meant !== undefined) return { ...meant, fatal: discoversMtu };
			return meant;
		}
		case icmp.TIME_EXCEEDED:
			return { code: "EHOSTUNREACH", text: "No route to host", fatal: false };
		case icmp.PARAMETER_PROBLEM:
			return { code: "EPROTO", text: "Protocol error", fatal: true };
		default:
			return undefined;
	}
}
