/** A manager in the raft group. */
export interface Member {
	/** Its number in the group, never given twice. */
	readonly raftId: number;
	readonly nodeId: string;
	/** Where its control port is: `172.31.1.5:2377`. */
	readonly addr: string;
}

/** What an entry of the log is about. */
export type Payload<D> =
	/** What a new leader begins its term with. */
	{ readonly kind: "empty" } | { readonly kind: "data"; readonly data: D } | MemberChange;

/** An entry that changes the group. */
export interface MemberChange {
	readonly kind: "member";
	readonly op: "add" | "update" | "remove";
	readonly member: Member;
}

/** One entry of the log. */
export interface Entry<D> {
	readonly index: number;
	readonly term: number;
	readonly payload: Payload<D>;
}

/** The state after the entries up to an index, in their place. */
export interface Snapshot<S> {
	readonly index: number;
	readonly term: number;
	readonly members: readonly Member[];
	/** The numbers of members that were removed: they may not come back. */
	readonly removed: readonly number[];
	readonly state: S;
}

/** What members say to each other (etcd raft, `raftpb.Message`). */
export type RaftMessage<D, S> = {
	readonly from: number;
	readonly to: number;
	readonly term: number;
} & (
	| {
			readonly kind: "vote";
			readonly lastIndex: number;
			readonly lastTerm: number;
			readonly transfer: boolean;
	  }
	| { readonly kind: "vote-reply"; readonly granted: boolean }
	| {
			readonly kind: "append";
			readonly prevIndex: number;
			readonly prevTerm: number;
			readonly entries: readonly Entry<D>[];
			readonly commit: number;
	  }
	/** `index` is the last entry that is the leader's too, or, when it did not fit, where to try next. */
	| { readonly kind: "append-reply"; readonly index: number; readonly rejected: boolean }
	| { readonly kind: "heartbeat"; readonly commit: number }
	| { readonly kind: "heartbeat-reply" }
	| { readonly kind: "snapshot"; readonly snapshot: Snapshot<S> }
	/** Campaign now: the leader wants to go. */
	| { readonly kind: "timeout-now" }
);

/** A message but for who sends it, and in which term. */
export type MessageBody<D, S> =
	RaftMessage<D, S> extends infer M ? (M extends unknown ? Omit<M, "from" | "term"> : never) : never;

/** What a member keeps on its disk. */
export interface RaftDisk<D, S> {
	readonly term: number;
	/** Who it voted for in this term; 0 for nobody. */
	readonly vote: number;
	readonly commit: number;
	readonly snapshot: Snapshot<S> | undefined;
	/** Behind the snapshot. */
	readonly entries: readonly Entry<D>[];
}
