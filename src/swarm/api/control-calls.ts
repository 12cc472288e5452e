import { NetError } from "../../errors.ts";
import type { ClusterLogic } from "../cluster-logic.ts";
import { RpcError } from "../control/index.ts";
import type { ControlApi } from "./control-api.ts";
import type { ControlRequest } from "./requests.ts";
import { ManagerRefusal } from "./rpc-error.ts";

const METHODS: ReadonlySet<string> = new Set<ControlRequest["method"]>([
	"createService",
	"updateService",
	"rollbackService",
	"removeService",
	"updateNode",
	"removeNode",
	"createNetwork",
	"removeNetwork",
]);

/** A refusal as another manager is told it, whose daemon puts its own words around it. */
const told = (error: NetError): NetError =>
	error instanceof ManagerRefusal ? new RpcError(error.rpcCode, error.description) : error;

/** The calls of the control API as a leader answers them for all managers. */
export const controlCalls =
	(api: ControlApi): NonNullable<ClusterLogic["call"]> =>
	(name, request, done) => {
		if (!METHODS.has(name)) return false;
		try {
			api.call(request as ControlRequest, (result) => {
				done(result instanceof NetError ? told(result) : { body: result });
			});
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			done(told(error));
		}
		return true;
	};
