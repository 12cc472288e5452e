import { DockerError } from "../../cnm/index.ts";
import type { NetErrorDetails } from "../../errors.ts";

/** Codes of gRPC that managers refuse with, and the API's statuses for them (moby errdefs/http_helpers.go). */
const STATUSES = {
	Unknown: 500,
	Internal: 500,
	InvalidArgument: 400,
	FailedPrecondition: 400,
	PermissionDenied: 403,
	NotFound: 404,
	AlreadyExists: 409,
	Unimplemented: 501,
	Unavailable: 503,
} as const;

type Code = keyof typeof STATUSES;

/** A manager's refusal as the daemon hands it on; another manager is told its code and text. */
export class ManagerRefusal extends DockerError {
	readonly rpcCode: Code;
	readonly description: string;

	constructor(rpcCode: Code, description: string, details?: NetErrorDetails) {
		super(STATUSES[rpcCode], `rpc error: code = ${rpcCode} desc = ${description}`, details);
		this.rpcCode = rpcCode;
		this.description = description;
	}
}

/** A manager's refusal: `rpc error: code = InvalidArgument desc = …`. */
export const rpcError = (code: Code, text: string, details?: NetErrorDetails): DockerError =>
	new ManagerRefusal(code, text, details);
