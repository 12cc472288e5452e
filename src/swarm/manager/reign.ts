import { NetError } from "../../errors.ts";
import type { ClusterLogic } from "../cluster-logic.ts";
import { type Channel, type Exchange, RpcError, rpcErrorOf, RpcServer } from "../control/index.ts";
import {
	Attachments,
	CertificateAuthority,
	ClusterControl,
	type ControlDone,
	Dispatcher,
	KeyManager,
	type Leadership,
	RoleManager,
} from "../dispatcher/index.ts";
import { control, CONTROL_PATH } from "../methods.ts";
import { Membership } from "./membership.ts";

/** All that decides and answers for the cluster, while the node leads (swarmkit manager/manager.go, `becomeLeader`). */
export class Reign {
	readonly #leadership: Leadership;
	readonly #rpc = new RpcServer();
	readonly #logic: ClusterLogic;
	readonly #dispatcher: Dispatcher;
	readonly #membership: Membership;
	readonly #clusterCalls: ClusterControl;

	/** `channel` is the way to another manager. */
	constructor(leadership: Leadership, logic: ClusterLogic, channel: (addr: string) => Channel) {
		this.#leadership = leadership;
		this.#logic = logic;
		this.#dispatcher = new Dispatcher(leadership);
		this.#membership = new Membership(leadership, channel);
		this.#clusterCalls = new ClusterControl(leadership);
		new CertificateAuthority(leadership).serve(this.#rpc);
		new Attachments(leadership).serve(this.#rpc);
		this.#dispatcher.serve(this.#rpc);
		this.#membership.serve(this.#rpc);
	}

	/** Nodes are waited for, keys and roles seen to, services and networks decided upon. */
	begin(): void {
		this.#dispatcher.start();
		new KeyManager(this.#leadership).start();
		new RoleManager(this.#leadership).start();
		this.#logic.start();
	}

	/** The raft group, or what is known of its members, is another one. */
	membersChanged(): void {
		this.#membership.changed();
		this.#dispatcher.managersChanged();
	}

	/** A call that is a leader's to answer. What it throws ends the call. */
	answer(path: string, request: Uint8Array, exchange: Exchange<Uint8Array>): void {
		if (path.startsWith(CONTROL_PATH)) this.#control(path.slice(CONTROL_PATH.length), request, exchange);
		else
			exchange.onCancel = this.#rpc.serve(path, request, exchange.caller, {
				reply: (message) => {
					exchange.reply(message);
				},
				end: (error) => {
					exchange.end(error);
				},
			});
	}

	#control(name: string, request: Uint8Array, exchange: Exchange<Uint8Array>): void {
		if (exchange.caller.identity?.role !== "manager")
			throw new RpcError("PermissionDenied", "Permission denied: not a manager");
		const method = control(name);
		if (method === undefined) throw new RpcError("Unimplemented", `unknown method ${name}`);
		const asked = method.request.read(request);
		if (asked === undefined) throw new RpcError("Internal", "grpc: failed to unmarshal the received message");
		const done: ControlDone = (result) => {
			if (result instanceof NetError) exchange.end(rpcErrorOf(result));
			else {
				exchange.reply(method.reply.write(result));
				exchange.end();
			}
		};
		if (
			!this.#clusterCalls.call(name, asked.body, done) &&
			this.#logic.call?.(name, asked.body, done) !== true
		)
			throw new RpcError("Unimplemented", `unknown method ${name}`);
	}

	/** Another node may lead. */
	end(): void {
		this.#logic.stop();
		this.#leadership.end();
		this.#rpc.abort(new RpcError("Aborted", "dispatcher is stopped"));
	}
}
