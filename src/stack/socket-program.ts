/** `AF_INET`, or `AF_INET6` without `IPV6_V6ONLY`. */
export type SocketFamily = "inet" | "inet6";

/** The program that has a socket, as `ss -p` names it. */
export interface SocketProgram {
	readonly name: string;
	readonly pid: number;
	/** Its number of the socket (file descriptor). */
	readonly fd: number;
}
