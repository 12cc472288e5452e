import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
	CONTROL,
	encryptionKey,
	node,
	nodeTold,
	raftMessages,
	task,
	taskNamed,
	taskStatus,
	taskTold,
} from "../../src/swarm/messages/index.ts";
import type { protobuf } from "../../src/wire/index.ts";
import { Store } from "../../src/swarm/index.ts";
import type { TaskStatus } from "../../src/swarm/index.ts";
import {
	clusters,
	networks,
	nodes,
	raftMessage,
	services,
	taskStatuses,
	tasks,
} from "../support/swarm-objects.ts";

const hex = (octets: Uint8Array): string =>
	[...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("");
const store = new Store();
const raft = raftMessages(store);

describe("swarmkit's messages, octet for octet", () => {
	// Made by hand from field numbers and the encoding of protocol buffers.
	test("a task's report: timestamp 1, state 2, message 3", () => {
		const status: TaskStatus = {
			timestamp: "2026-11-23T18:08:49.5Z",
			state: "running",
			message: "started",
			err: "",
		};
		// 1795457329 s are the varint b1 82 92 d8 06, 500,000,000 ns 80 ca b5 ee 01; running is 512.
		expect(hex(taskStatus.write(status))).toBe(
			`0a0c08b18292d8061080cab5ee01` + "108004" + `1a0773746172746564`,
		);
	});

	test("from its start on the report has the container 5 and its ports 6", () => {
		const status: TaskStatus = { timestamp: "", state: "starting", message: "", err: "", containerId: "c1" };
		expect(hex(taskStatus.write(status))).toBe("10c003" + "2a040a026331" + "3200");
		expect(hex(taskStatus.write({ ...status, state: "ready" }))).toBe("108003");
		expect(hex(taskStatus.write({ ...status, state: "failed", exitCode: -1 }))).toBe(
			"10c005" + "2a0f0a02633118ffffffffffffffffff01" + "3200",
		);
	});

	test("a key: subsystem 1, octets 3, Lamport time 4", () => {
		const key = { subsystem: "networking:gossip", key: "00ff".repeat(8), lamportTime: 300 } as const;
		expect(hex(encryptionKey.write(key))).toBe(
			"0a11" + hex(new TextEncoder().encode("networking:gossip")) + "1a10" + "00ff".repeat(8) + "20ac02",
		);
	});

	test("a task that goes is its id, and the messages that are always there", () => {
		expect(hex(task.write(taskNamed("t")))).toBe(
			// id, meta with its version, spec annotations, service's, status.
			"0a0174" + "12020a00" + "1a00" + "3a00" + "4200" + "4a00",
		);
	});

	test("a heartbeat of raft's has all fields that proto2 requires", () => {
		const beat = { kind: "heartbeat", from: 1, to: 2, term: 3, commit: 4 } as const;
		expect(hex(raft.write(beat))).toBe(
			"0808" + "1002" + "1801" + "2003" + "2800" + "3000" + "4004" + "4a0812060a0010001800" + "5000" + "5800",
		);
	});
});

describe("what is sent is what is read", () => {
	const same = <Meaning extends object>(
		codec: protobuf.Codec<Meaning>,
		arbitrary: fc.Arbitrary<Meaning>,
	): void => {
		fc.assert(
			fc.property(arbitrary, (value) => {
				expect(codec.read(codec.write(value))).toEqual(value);
			}),
		);
	};

	test("any report", () => {
		same(taskStatus, taskStatuses);
	});

	test("any task, with its networks", () => {
		fc.assert(
			fc.property(tasks, fc.array(networks, { maxLength: 2 }), (object, known) => {
				const told = taskTold(object, (id) => known.find((each) => each.id === id));
				expect(task.read(task.write(told))).toMatchObject({ task: object });
			}),
		);
	});

	test("any node; its certificate is as its role is", () => {
		fc.assert(
			fc.property(nodes, (object) => {
				const read = node.read(node.write(nodeTold(object, "cluster", () => undefined)));
				expect(typeof read === "string" ? read : read.node).toEqual(object);
			}),
		);
	});

	test("any message between managers, with whatever objects are written or kept", () => {
		same(raft, raftMessage);
	});

	test("any service and network that is asked for by another manager", () => {
		fc.assert(
			fc.property(services, networks, (service, network) => {
				const bodies = [
					["createService", { method: "createService", spec: service.spec }],
					["updateService", { method: "updateService", id: service.id, spec: service.spec, specVersion: 7 }],
					["createNetwork", { method: "createNetwork", spec: network.spec }],
					["updateNode", { method: "updateNode", id: "n", changes: { role: "worker", labelRm: ["a"] } }],
					["updateNode", { method: "updateNode", id: "n", changes: { labelAdd: { a: "b" } } }],
					["removeNode", { method: "removeNode", id: "n", force: true }],
					["RotateToken", { role: "manager" }],
					["removeNetwork", { method: "removeNetwork", id: "x" }],
				] as const;
				for (const [name, body] of bodies) {
					const codec = CONTROL[name]?.request;
					expect(codec?.read(codec.write({ body }))).toEqual({ body });
				}
			}),
			{ numRuns: 50 },
		);
	});

	test("a cluster", () => {
		const reply = CONTROL["GetCluster"]?.reply;
		fc.assert(
			fc.property(clusters, (body) => {
				expect(reply?.read(reply.write({ body }))).toEqual({ body });
			}),
		);
	});
});

describe("what strangers send", () => {
	const codecs: readonly protobuf.Codec<object>[] = [
		task,
		node,
		taskStatus,
		encryptionKey,
		raft,
		...Object.values(CONTROL).flatMap(({ request, reply }) => [request, reply]),
	] as readonly protobuf.Codec<object>[];

	test("is a message or none, whatever octets it has; never an exception", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
				for (const codec of codecs) codec.read(octets);
			}),
			{ numRuns: 500 },
		);
	});

	test("is a message or none where one octet of a real one is another, or its end is missing", () => {
		fc.assert(
			fc.property(raftMessage, fc.nat(), fc.nat(255), fc.nat(), (message, at, octet, end) => {
				const octets = raft.write(message);
				octets[at % octets.length] = octet;
				raft.read(octets.slice(0, end % (octets.length + 1)));
			}),
			{ numRuns: 500 },
		);
	});

	test("fields nobody knows are passed over", () => {
		const status = taskStatus.write({ timestamp: "", state: "ready", message: "prepared", err: "" });
		const unknown = Uint8Array.of(...status, 0xaa, 0x06, 0x02, 1, 2, 0xb5, 0x06, 1, 2, 3, 4);
		expect(taskStatus.read(unknown)).toEqual(taskStatus.read(status));
	});

	test.each([
		["nanoseconds beyond a second", "0a06108094ebdc03"],
		["an instant after the year 9999", "0a07088083d1ffaf07"],
		["text that is no UTF-8", "1a01ff"],
		["a length beyond the end", "1a7f61"],
		["a number where text is", "1801"],
	])("%s is malformed", (_, octets) => {
		const bytes = Uint8Array.from(octets.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
		expect(taskStatus.read(bytes)).toBe("protobuf-malformed");
	});
});
