// What managers' raft members say to each other (etcd raft/raftpb, swarmkit api/raft.proto, snapshot.proto).
import { protobuf } from "../../wire/index.ts";
import type { Entry, Member, Payload, RaftMessage, Snapshot } from "../raft/message.ts";
import type { StoreSnapshot } from "../store/store.ts";
import type { Reader } from "../store/tables.ts";
import { empty } from "./common.ts";
import { type Proposal, proposals, storeSnapshot } from "./store.ts";

const { always, mapped, message, messages, octets, required, requiredBool, text, texts, uint, uints } =
	protobuf;

type Message = RaftMessage<Proposal, StoreSnapshot>;

interface MemberMessage extends Member {
	readonly status: object;
}
const memberMessage = message<MemberMessage>({
	raftId: uint(1),
	nodeId: text(2),
	addr: text(3),
	status: always(4, empty),
});
/** A manager in the raft group. */
export const member: protobuf.Codec<Member> = mapped<Member, MemberMessage>(
	memberMessage,
	(of) => ({ ...of, status: {} }),
	({ raftId, nodeId, addr }) => ({ raftId, nodeId, addr }),
);

const OPS = ["add", "remove", "update"] as const;
interface ConfChange {
	readonly id: number;
	readonly type: number;
	readonly raftId: number;
	readonly context: Uint8Array;
}
const confChange = message<ConfChange>({
	id: required(1),
	type: required(2),
	raftId: required(3),
	context: octets(4),
});

interface EntryMessage {
	readonly type: number;
	readonly term: number;
	readonly index: number;
	readonly data: Uint8Array;
}
const NORMAL = 0;
const CONF_CHANGE = 1;
const NOTHING = new Uint8Array(0);

interface SnapshotMessage {
	readonly data: Uint8Array;
	readonly metadata: {
		readonly state: { readonly nodes: readonly number[] };
		readonly index: number;
		readonly term: number;
	};
}
const NO_SNAPSHOT: SnapshotMessage = { data: NOTHING, metadata: { state: { nodes: [] }, index: 0, term: 0 } };

/** The fields that proto2 requires are there even where a kind of message has no use for them. */
interface Fields {
	readonly type: number;
	readonly to: number;
	readonly from: number;
	readonly term: number;
	readonly logTerm: number;
	readonly index: number;
	readonly entries: readonly EntryMessage[];
	readonly commit: number;
	readonly snapshot: SnapshotMessage;
	readonly reject: boolean;
	readonly rejectHint: number;
	/** Why it campaigns. */
	readonly context: readonly string[];
}
const fields = message<Fields>({
	type: required(1),
	to: required(2),
	from: required(3),
	term: required(4),
	logTerm: required(5),
	index: required(6),
	entries: messages(
		7,
		message<EntryMessage>({ type: required(1), term: required(2), index: required(3), data: octets(4) }),
	),
	commit: required(8),
	snapshot: always(
		9,
		message<SnapshotMessage>({
			data: octets(1),
			metadata: always(
				2,
				message<SnapshotMessage["metadata"]>({
					state: always(1, message<{ readonly nodes: readonly number[] }>({ nodes: uints(1) })),
					index: required(2),
					term: required(3),
				}),
			),
		}),
	),
	reject: requiredBool(10),
	rejectHint: required(11),
	context: texts(12),
});
const TYPES = {
	append: 3,
	"append-reply": 4,
	vote: 5,
	"vote-reply": 6,
	snapshot: 7,
	heartbeat: 8,
	"heartbeat-reply": 9,
	"timeout-now": 14,
} as const satisfies Record<Message["kind"], number>;
const KINDS: ReadonlyMap<number, Message["kind"]> = new Map(
	Object.entries(TYPES).map(([kind, type]) => [type, kind as Message["kind"]]),
);
const TRANSFER = "CampaignTransfer";

interface ClusterSnapshot {
	readonly membership: { readonly members: readonly Member[]; readonly removed: readonly number[] };
	readonly store: StoreSnapshot;
}
const clusterSnapshot = message<ClusterSnapshot>({
	membership: always(
		2,
		message<ClusterSnapshot["membership"]>({ members: messages(1, member), removed: uints(2) }),
	),
	store: always(3, storeSnapshot),
});

/** Messages of a member whose store has what they tell of. What an entry says is written once, whoever it goes to. */
export function raftMessages(reader: Reader): protobuf.Codec<Message> {
	const proposal = proposals(reader);
	const known = new WeakMap<Proposal, Uint8Array>();
	const proposalOctets = (data: Proposal): Uint8Array => {
		const octetsBefore = known.get(data) ?? proposal.write(data);
		known.set(data, octetsBefore);
		return octetsBefore;
	};
	const entry = ({ index, term, payload }: Entry<Proposal>): EntryMessage => {
		if (payload.kind === "member") return { type: CONF_CHANGE, term, index, data: changeOf(payload) };
		const data = payload.kind === "empty" ? NOTHING : proposalOctets(payload.data);
		return { type: NORMAL, term, index, data };
	};
	const payloadIn = ({ type, data }: EntryMessage): Payload<Proposal> | undefined => {
		if (type === CONF_CHANGE) return changeIn(data);
		if (type !== NORMAL) return undefined;
		if (data.length === 0) return { kind: "empty" };
		const said = proposal.read(data);
		return typeof said === "string" ? undefined : { kind: "data", data: said };
	};
	const entriesIn = (list: readonly EntryMessage[]): readonly Entry<Proposal>[] | undefined => {
		const entries: Entry<Proposal>[] = [];
		for (const each of list) {
			const payload = payloadIn(each);
			if (payload === undefined) return undefined;
			entries.push({ index: each.index, term: each.term, payload });
		}
		return entries;
	};
	return mapped<Message, Fields>(
		fields,
		(of) => ({
			...NO_FIELDS,
			to: of.to,
			from: of.from,
			term: of.term,
			type: TYPES[of.kind],
			...own(of, entry),
		}),
		(found) => {
			const kind = KINDS.get(found.type);
			const { to, from, term, index, logTerm, commit, reject } = found;
			const base = { to, from, term };
			switch (kind) {
				case undefined:
					return undefined;
				case "vote":
					return {
						...base,
						kind,
						lastIndex: index,
						lastTerm: logTerm,
						transfer: found.context.includes(TRANSFER),
					};
				case "vote-reply":
					return { ...base, kind, granted: !reject };
				case "append": {
					const entries = entriesIn(found.entries);
					return entries && { ...base, kind, prevIndex: index, prevTerm: logTerm, entries, commit };
				}
				case "append-reply":
					return { ...base, kind, index: reject ? found.rejectHint : index, rejected: reject };
				case "heartbeat":
					return { ...base, kind, commit };
				case "snapshot": {
					const snapshot = snapshotIn(found.snapshot);
					return snapshot && { ...base, kind, snapshot };
				}
				default:
					return { ...base, kind };
			}
		},
	);
}

const NO_FIELDS: Fields = {
	type: 0,
	to: 0,
	from: 0,
	term: 0,
	logTerm: 0,
	index: 0,
	entries: [],
	commit: 0,
	snapshot: NO_SNAPSHOT,
	reject: false,
	rejectHint: 0,
	context: [],
};

/** What a message of a kind has of its own. */
function own(of: Message, entry: (each: Entry<Proposal>) => EntryMessage): Partial<Fields> {
	switch (of.kind) {
		case "vote":
			return { index: of.lastIndex, logTerm: of.lastTerm, context: of.transfer ? [TRANSFER] : [] };
		case "vote-reply":
			return { reject: !of.granted };
		case "append":
			return { index: of.prevIndex, logTerm: of.prevTerm, entries: of.entries.map(entry), commit: of.commit };
		case "append-reply":
			return { index: of.index, reject: of.rejected, rejectHint: of.rejected ? of.index : 0 };
		case "heartbeat":
			return { commit: of.commit };
		case "snapshot":
			return { snapshot: snapshotOf(of.snapshot) };
		default:
			return {};
	}
}

const snapshotOf = ({ index, term, members, removed, state }: Snapshot<StoreSnapshot>): SnapshotMessage => ({
	data: clusterSnapshot.write({ membership: { members, removed }, store: state }),
	metadata: { state: { nodes: members.map(({ raftId }) => raftId) }, index, term },
});

function snapshotIn({
	data,
	metadata: { index, term },
}: SnapshotMessage): Snapshot<StoreSnapshot> | undefined {
	const found = clusterSnapshot.read(data);
	if (typeof found === "string") return undefined;
	const { membership, store } = found;
	return { index, term, members: membership.members, removed: membership.removed, state: store };
}

/** Of a member that goes only its number is told. */
const changeOf = ({ op, member: of }: Payload<Proposal> & { readonly kind: "member" }): Uint8Array =>
	confChange.write({
		id: 0,
		type: OPS.indexOf(op),
		raftId: of.raftId,
		context: op === "remove" ? NOTHING : member.write(of),
	});

function changeIn(data: Uint8Array): Payload<Proposal> | undefined {
	const found = confChange.read(data);
	if (typeof found === "string") return undefined;
	const op = OPS[found.type];
	const said = member.read(found.context);
	if (op === undefined || typeof said === "string") return undefined;
	return { kind: "member", op, member: { ...said, raftId: found.raftId } };
}
