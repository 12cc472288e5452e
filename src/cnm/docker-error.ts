import { NetError, type NetErrorDetails } from "../errors.ts";

/** HTTP statuses that the daemon refuses with, as errno names. */
const CODES: Readonly<Record<number, string>> = {
	400: "EINVAL",
	403: "EPERM",
	404: "ENOENT",
	409: "EEXIST",
	500: "EIO",
	503: "EAGAIN",
};

/**
 * A refusal by the Docker daemon, nothing changed. `message` is what the docker CLI prints, with "Error response from
 * daemon: " in front; `daemonMessage` is what the API sends.
 */
export class DockerError extends NetError {
	/** HTTP status of the API's answer. */
	readonly status: number;
	/** The text of the API's answer. */
	readonly daemonMessage: string;

	constructor(status: number, daemonMessage: string, details: NetErrorDetails = {}) {
		super(CODES[status] ?? "EIO", `Error response from daemon: ${daemonMessage}`, details);
		this.status = status;
		this.daemonMessage = daemonMessage;
	}
}

/** The API's 400. */
export const invalid = (text: string, details?: NetErrorDetails): DockerError =>
	new DockerError(400, text, details);
/** The API's 403. */
export const forbidden = (text: string, details?: NetErrorDetails): DockerError =>
	new DockerError(403, text, details);
/** The API's 404. */
export const notFound = (text: string, details?: NetErrorDetails): DockerError =>
	new DockerError(404, text, details);
/** The API's 409. */
export const conflict = (text: string, details?: NetErrorDetails): DockerError =>
	new DockerError(409, text, details);
/** The API's 500: refused by the kernel, or by a driver that says no more. */
export const failed = (text: string, details?: NetErrorDetails): DockerError =>
	new DockerError(500, text, details);

/** The API's 503: there is no swarm, or this node cannot speak for it. */
export const unavailable = (text: string, details?: NetErrorDetails): DockerError =>
	new DockerError(503, text, details);

/** What the docker CLI refuses by itself, before the daemon hears of it. */
export const cliRefuses = (text: string, details?: NetErrorDetails): NetError =>
	new NetError("EINVAL", text, details);
