/** The program that has a socket, as `ss -p` names it. */
export interface SocketProgram {
	readonly name: string;
	readonly pid: number;
	/** Its number of the socket (file descriptor). */
	readonly fd: number;
}
