import { seconds, Timer } from "../../sim/index.ts";
import type { Clock } from "../clock.ts";
import { type Channel, type ReplySink, RpcError, unary } from "../control/index.ts";
import type { Described } from "../description.ts";
import {
	assignments,
	type AssignmentsMessage,
	heartbeat,
	listenSubscriptions,
	session,
	type SessionMessage,
	updateTaskStatus,
} from "../methods.ts";
import type { TaskStatus } from "../objects.ts";

/** How long a manager may take for what has one answer (swarmkit `dispatcherRPCTimeout`). */
const TIMEOUT = seconds(5);

/** What a session tells its agent. */
export interface SessionEvents {
	message(message: SessionMessage): void;
	assigned(message: AssignmentsMessage): void;
	/** It is over, by nobody's wish. Called once. */
	failed(error: RpcError): void;
}

/** One registration of a node at a manager: any failure ends all of it (swarmkit agent/session.go). */
export class AgentSession {
	readonly #channel: Channel;
	readonly #clock: Clock;
	readonly #events: SessionEvents;
	readonly #calls: (() => void)[] = [];
	readonly #beating = new Timer(() => {
		this.#beat();
	});
	readonly #initiating = new Timer(() => {
		this.#fail(new RpcError("DeadlineExceeded", "session initiation timed out"));
	});
	#id = "";
	#over = false;

	constructor(
		channel: Channel,
		clock: Clock,
		description: Described,
		sessionId: string,
		events: SessionEvents,
	) {
		this.#channel = channel;
		this.#clock = clock;
		this.#events = events;
		const sink = this.#sink((message: SessionMessage) => {
			const first = this.#id === "";
			this.#id = message.sessionId;
			this.#initiating.cancel();
			this.#events.message(message);
			if (first && !this.#isOver()) this.#registered();
		});
		clock.after(TIMEOUT, this.#initiating);
		this.#calls.push(channel.call(session, { description, sessionId }, sink));
	}

	/** The manager's name for it; "" before it is registered. */
	get id(): string {
		return this.#id;
	}

	/** Asked of a method, since who was told may have ended it. */
	#isOver(): boolean {
		return this.#over;
	}

	#sink<R>(heard: (message: R) => void): ReplySink<R> {
		return {
			reply: (message) => {
				if (!this.#over) heard(message);
			},
			end: (error) => {
				this.#fail(error ?? new RpcError("Unavailable", "EOF"));
			},
		};
	}

	#registered(): void {
		this.#beat();
		const channel = this.#channel;
		const request = { sessionId: this.#id };
		this.#calls.push(
			channel.call(
				assignments,
				request,
				this.#sink((message) => {
					this.#events.assigned(message);
				}),
			),
			channel.call(
				listenSubscriptions,
				{},
				this.#sink(() => undefined),
			),
		);
	}

	#beat(): void {
		const cancel = unary(
			this.#channel,
			heartbeat,
			{ sessionId: this.#id },
			(reply) => {
				if (this.#over) return;
				if (reply instanceof RpcError) this.#fail(reply);
				else {
					const { seconds: whole, nanos } = reply.period ?? { seconds: 5, nanos: 0 };
					this.#clock.after(whole * 1e9 + nanos, this.#beating);
				}
			},
			{ timeout: TIMEOUT },
		);
		this.#calls[1] = cancel;
	}

	/** Tells the manager where a task is, for as long as it takes; `done` says whether it knows (swarmkit `sendTaskStatus`). */
	report(taskId: string, status: TaskStatus, done: (heard: boolean) => void): void {
		const request = { sessionId: this.#id, updates: [{ taskId, status }] };
		unary(this.#channel, updateTaskStatus, request, (reply) => {
			done(!(reply instanceof RpcError));
		});
	}

	#fail(error: RpcError): void {
		if (this.#over) return;
		this.close();
		this.#events.failed(error);
	}

	/** Ends it: the manager sees the calls given up. */
	close(): void {
		if (this.#over) return;
		this.#over = true;
		this.#beating.cancel();
		this.#initiating.cancel();
		for (const cancel of this.#calls.splice(0)) cancel();
	}
}
