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

/** A manager's refusal: `rpc error: code = InvalidArgument desc = …`, as the daemon hands it on. */
export const rpcError = (code: keyof typeof STATUSES, text: string, details?: NetErrorDetails): DockerError =>
	new DockerError(STATUSES[code], `rpc error: code = ${code} desc = ${text}`, details);
