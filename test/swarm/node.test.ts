import { describe, expect, test } from "vitest";
import { type Lab, NetError } from "../../src/index.ts";
import type { NodeChanges, NodeObject, Store, TaskObject, TaskState } from "../../src/swarm/index.ts";
import { done, machines, type Member, swarm, told } from "../support/swarm.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

const REMOTE = { remoteAddrs: ["172.31.1.5:2377"] };
const FALSE_SECRET = "SWMTKN-1-".concat("0".repeat(50), "-", "1".repeat(25));

/** What a command refuses with, at once or later. */
async function refusal(lab: Lab, command: (end: (result: unknown) => void) => void): Promise<string> {
	try {
		const answer = await told(lab, command, 40);
		return answer instanceof NetError ? answer.message : "done";
	} catch (error) {
		return error instanceof Error ? error.message : String(error);
	}
}

/** The nodes as a manager sees them. */
const nodesOf = (asked: Member): readonly NodeObject[] =>
	storeOf(asked)
		.all("node")
		.map((node) => ({ ...node, managerStatus: asked.node.managerStatus(node.id) }));

const stateOf = (asked: Member, about: Member): string | undefined =>
	nodesOf(asked).find(({ id }) => id === about.node.nodeId)?.status.state;

const updateNode = (by: Member, id: string, changes: NodeChanges, end: (result: unknown) => void): void => {
	by.node.control("updateNode", { method: "updateNode", id, changes }, end);
};

const removeNode = (by: Member, id: string, force: boolean, end: (result: unknown) => void): void => {
	by.node.control("removeNode", { method: "removeNode", id, force }, end);
};

function storeOf({ node }: Member): Store {
	if (node.store === undefined) throw new Error("no manager");
	return node.store;
}

/** The cable of a machine's card is pulled, or plugged in. */
const cut = ({ host }: Member): void => {
	host.netns.devices.find(({ name }) => name === "eth0")?.down();
};
const mend = ({ host }: Member): void => {
	host.netns.devices.find(({ name }) => name === "eth0")?.up();
};

/** Power off, all of it; and on again. */
const crash = ({ host, node }: Member): void => {
	node.crash();
	host.crash();
};
const boot = ({ host, node }: Member): void => {
	host.restart();
	node.restart();
};

const task = (id: string, nodeId: string, desiredState: TaskState = "running"): TaskObject => ({
	kind: "task",
	id,
	meta: { version: 0, createdAt: "", updatedAt: "" },
	serviceId: "service",
	serviceName: "web",
	slot: 1,
	nodeId,
	spec: {
		runtime: "container",
		container: { image: "box", args: [], labels: {}, stopGracePeriod: 0 },
		networks: [],
		placement: { constraints: [], preferences: [], maxReplicas: 0 },
		restart: { condition: "any", delay: 0, maxAttempts: 0, window: 0 },
		forceUpdate: 0,
	},
	specVersion: undefined,
	status: { state: "assigned", timestamp: "", message: "", err: "" },
	desiredState,
	networks: [],
	endpoint: undefined,
});

const network = (id: string, name: string, attachable: boolean) =>
	({
		kind: "network",
		id,
		meta: { version: 0, createdAt: "2026-01-01T00:00:00Z", updatedAt: "" },
		spec: {
			name,
			labels: {},
			driver: "overlay",
			options: {},
			internal: false,
			attachable,
			ingress: false,
			ipam: { options: null, configs: [] },
		},
		allocated: { options: {}, configs: [{ subnet: "10.0.1.0/24", gateway: "10.0.1.1" }] },
		predefined: false,
	}) as const;

describe("a machine that makes or joins a swarm", () => {
	test("init gives it an id, tokens with the root's digest, and six keys of consecutive Lamport times", async () => {
		const { first, tokens } = await swarm(1);
		expect(first.node.nodeId).toMatch(/^[0-9a-z]{25}$/);
		expect(tokens.worker).toMatch(/^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/);
		expect(tokens.worker.slice(0, 60)).toBe(tokens.manager.slice(0, 60));
		expect(tokens.worker).not.toBe(tokens.manager);
		expect(first.node.info()).toMatchObject({ localNodeState: "active", controlAvailable: true, error: "" });
		const [cluster] = storeOf(first).all("cluster");
		const times = cluster?.keys.map(({ lamportTime }) => lamportTime) ?? [];
		expect(times).toEqual(Array.from({ length: 6 }, (_, i) => (times[0] ?? 0) + i));
		expect(first.engine.keys.map(({ subsystem }) => subsystem)).toEqual([
			...Array.from({ length: 3 }, () => "networking:gossip"),
			...Array.from({ length: 3 }, () => "networking:ipsec"),
		]);
		expect(nodesOf(first)).toMatchObject([
			{ status: { state: "ready" }, managerStatus: { leader: true, addr: "172.31.1.5:2377" } },
		]);
	});

	test("workers hear of the managers, of the keys, and are ready", async () => {
		const { members, first } = await swarm(3);
		expect(nodesOf(first).map(({ status }) => status)).toEqual(
			["172.31.1.5", "172.31.1.6", "172.31.1.7"].map((addr) => ({ state: "ready", message: "", addr })),
		);
		for (const { node, engine } of members) {
			expect(node.info().remoteManagers).toEqual([{ nodeId: first.node.nodeId, addr: "172.31.1.5:2377" }]);
			expect(engine.keys).toEqual(first.engine.keys);
		}
	});

	test("init and join refuse what the daemon refuses", async () => {
		const { lab, members, tokens } = await swarm(2);
		const [a, b] = members as [Member, Member];
		const already =
			'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';
		expect(
			await refusal(lab, (end) => {
				a.node.init({}, end);
			}),
		).toContain(already);
		expect(
			await refusal(lab, (end) => {
				b.node.join({ token: tokens.worker, ...REMOTE }, end);
			}),
		).toContain(already);
		b.node.leave();
		const init = (options: Parameters<typeof b.node.init>[0]): Promise<string> =>
			refusal(lab, (end) => {
				b.node.init(options, end);
			});
		expect(await init({ dataPathPort: 80 })).toContain(
			"Datapath port number is not in valid range (1024-49151) : 80",
		);
		expect(await init({ listenAddr: "nowhere" })).toContain(
			"listen address must be an IP address or network interface",
		);
		expect(await init({ advertiseAddr: "0.0.0.0" })).toContain(
			"advertise address must be a non-zero IP address",
		);
		expect(await init({ defaultAddrPool: ["10.0.0.0/8"], defaultAddrPoolMaskLength: 30 })).toContain(
			"subnet size is out of range: 30",
		);
		expect(await init({ defaultAddrPool: ["10.20.0.0/28"] })).toContain(
			"Subnet size is too small for pool: 24",
		);
		expect(b.node.info().localNodeState).toBe("inactive");
	});

	test("a wrong token: by its shape, by its digest, by its secret", async () => {
		const { lab, members, tokens } = await swarm(2);
		const b = members[1] as Member;
		b.node.leave();
		const join = (token: string): Promise<string> =>
			refusal(lab, (end) => {
				b.node.join({ token, ...REMOTE }, (error) => {
					end(error);
				});
			});
		expect(await join("SWMTKN-1-short")).toBe("Error response from daemon: invalid join token");
		expect(await join(FALSE_SECRET)).toContain(
			`remote CA does not match fingerprint. Expected: ${"0".repeat(64)}`,
		);
		expect(await join(tokens.worker.slice(0, -4).concat("0000"))).toBe(
			"Error response from daemon: rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster",
		);
		expect(b.node.nodeId).toBe("");
	});

	test("a manager that is not there: refused in ten seconds, or the timeout's text after twenty", async () => {
		const { lab, members } = machines(2);
		const [, b] = members as [Member, Member];
		const join = (remote: string): Promise<string> =>
			refusal(lab, (end) => {
				b.node.join({ token: FALSE_SECRET, remoteAddrs: [remote] }, (error) => {
					end(error);
				});
			});
		expect(await join("172.31.1.5")).toBe(
			'Error response from daemon: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp 172.31.1.5:2377: connect: connection refused"',
		);
		expect(lab.now / 1e9).toBeLessThan(10);
		const before = lab.now;
		expect(await join("172.31.1.99:2377")).toContain(
			"Timeout was reached before node joined. The attempt to join the swarm will continue in the background.",
		);
		expect((lab.now - before) / 1e9).toBeCloseTo(20, 0);
		expect(b.node.info().localNodeState).toBe("pending");
	});

	test("a rotated token is the only good one", async () => {
		const { lab, members, first, tokens } = await swarm(2);
		const b = members[1] as Member;
		b.node.leave();
		const fresh = await done<string>(lab, (end) => {
			first.node.joinToken("worker", { rotate: true }, end);
		});
		expect(fresh).not.toBe(tokens.worker);
		const join = (token: string): Promise<string> =>
			refusal(lab, (end) => {
				b.node.join({ token, ...REMOTE }, (error) => {
					end(error);
				});
			});
		expect(await join(tokens.worker)).toContain("A valid join token is necessary");
		expect(await join(fresh)).toBe("done");
	});

	test("commands for managers are refused on workers and outside", async () => {
		const { lab, members } = await swarm(2);
		const b = members[1] as Member;
		expect(
			await refusal(lab, (end) => {
				b.node.joinToken("worker", {}, end);
			}),
		).toContain("Worker nodes can't be used to view or modify cluster state.");
		b.node.leave();
		expect(
			await refusal(lab, (end) => {
				b.node.joinToken("worker", {}, end);
			}),
		).toContain('Use "docker swarm init" or "docker swarm join"');
		expect(() => {
			b.node.leave();
		}).toThrow("This node is not part of a swarm");
	});

	test("a manager leaves by force alone; a worker that left is down after three heartbeats, and may be removed", async () => {
		const { lab, members, first } = await swarm(2);
		const b = members[1] as Member;
		expect(() => {
			first.node.leave();
		}).toThrow("Removing the last manager erases all current state of the swarm.");
		const { nodeId } = b.node;
		expect(
			await refusal(lab, (end) => {
				removeNode(first, nodeId, false, end);
			}),
		).toContain(`node ${nodeId} is not down and can't be removed`);
		b.node.leave();
		await lab.advance("16s");
		expect(nodesOf(first).map(({ status }) => status.state)).toEqual(["ready", "down"]);
		await done(lab, (end) => {
			removeNode(first, nodeId, false, end);
		});
		expect(nodesOf(first)).toHaveLength(1);
		expect(
			await refusal(lab, (end) => {
				removeNode(first, first.node.nodeId, true, end);
			}),
		).toContain("It must be demoted to worker before removal");
		first.node.leave({ force: true });
		expect(first.reigns).toEqual(["start", "stop"]);
	});
});

describe("managers", () => {
	test("three agree; when the leader's power goes another one leads, and the worker's session moves", async () => {
		const { lab, members } = await swarm(4, 3);
		const [a, b, c, worker] = members as [Member, Member, Member, Member];
		await lab.advance("5s");
		expect(storeOf(b).save()).toEqual(storeOf(a).save());
		crash(a);
		await lab.advance("60s");
		const leaders = [b, c].filter(({ node }) => node.isLeader);
		expect(leaders).toHaveLength(1);
		const leader = leaders[0] as Member;
		expect(leader.reigns).toEqual(["start"]);
		const nodes = nodesOf(leader);
		const states = nodes.map(({ description, status }) => `${description?.hostname ?? ""} ${status.state}`);
		expect(states).toEqual(["node1 down", "node2 ready", "node3 ready", "node4 ready"]);
		expect(nodes[0]?.managerStatus).toMatchObject({ leader: false, reachability: "unreachable" });
		expect(worker.node.info().error).toBe("");
		// The leader's connection to it sends again in ever longer intervals.
		boot(a);
		await lab.advance("2m");
		expect(storeOf(a).save()).toEqual(storeOf(leader).save());
		expect(nodesOf(a).map(({ status }) => status.state)).toEqual(["ready", "ready", "ready", "ready"]);
	});

	test("a follower's commands are the leader's to answer", async () => {
		const { lab, members } = await swarm(3, 3);
		const [a, b, c] = members as [Member, Member, Member];
		await lab.advance("3s");
		expect(nodesOf(b)).toEqual(nodesOf(a));
		await done(lab, (end) => {
			updateNode(b, c.node.nodeId, { availability: "drain" }, end);
		});
		expect(storeOf(a).get("node", c.node.nodeId)?.spec.availability).toBe("drain");
		expect(
			await refusal(lab, (end) => {
				updateNode(b, "nobody", {}, end);
			}),
		).toBe("Error response from daemon: rpc error: code = NotFound desc = node nobody not found");
	});

	test("of two managers one alone is no majority: there is no leader until the other is back", async () => {
		const { lab, members } = await swarm(2, 2);
		const [a, b] = members as [Member, Member];
		await lab.advance("3s");
		crash(b);
		await lab.advance("30s");
		expect(a.reigns).toEqual(["start", "stop"]);
		expect(
			await refusal(lab, (end) => {
				a.node.joinToken("worker", {}, end);
			}),
		).toContain(
			"The swarm does not have a leader. It's possible that too few managers are online. Make sure more than half of the managers are online.",
		);
		boot(b);
		await lab.advance("60s");
		expect(nodesOf(a).map(({ status }) => status.state)).toEqual(["ready", "ready"]);
	});

	test("a leader that is cut off from the majority leads no more, and follows when it is back", async () => {
		const { lab, members } = await swarm(3, 3);
		const [a, b, c] = members as [Member, Member, Member];
		await lab.advance("3s");
		cut(a);
		await lab.advance("60s");
		expect(a.node.isLeader).toBe(false);
		const leader = [b, c].find(({ node }) => node.isLeader) as Member;
		await done(lab, (end) => {
			updateNode(leader, a.node.nodeId, { labelAdd: { cut: "off" } }, end);
		});
		mend(a);
		await lab.advance("2m");
		expect(storeOf(a).get("node", a.node.nodeId)?.spec.labels).toEqual({ cut: "off" });
		expect([a, b, c].filter(({ node }) => node.isLeader)).toHaveLength(1);
	});

	test("a promoted worker becomes a manager, a demoted manager a worker; the last one stays", async () => {
		const { lab, members, first } = await swarm(2);
		const b = members[1] as Member;
		expect(
			await refusal(lab, (end) => {
				updateNode(first, first.node.nodeId, { role: "worker" }, end);
			}),
		).toContain("attempting to demote the last manager of the swarm");
		await done(lab, (end) => {
			updateNode(first, b.node.nodeId, { role: "manager" }, end);
		});
		await lab.advance("5s");
		expect(b.node.isManager).toBe(true);
		expect(nodesOf(b).map(({ managerStatus }) => managerStatus?.reachability)).toEqual([
			"reachable",
			"reachable",
		]);
		await done(lab, (end) => {
			updateNode(first, b.node.nodeId, { role: "worker" }, end);
		});
		await lab.advance("20s");
		expect(b.node.isManager).toBe(false);
		expect(nodesOf(first)).toMatchObject([
			{ role: "manager" },
			{ role: "worker", status: { state: "ready" } },
		]);
		expect(nodesOf(first)[1]?.managerStatus).toBeUndefined();
		expect(first.node.isLeader).toBe(true);
	});

	test("keys are new every twelve hours: three of each, the oldest gone", async () => {
		const { lab, first } = await swarm(1);
		const before = first.engine.keys;
		await lab.advance("12h");
		await lab.advance("5s");
		const after = first.engine.keys;
		expect(after).toHaveLength(6);
		expect(after.slice(0, 2)).toEqual(before.slice(1, 3));
		expect(after.slice(3, 5)).toEqual(before.slice(4, 6));
		expect(after[2]?.lamportTime).toBe((before[5]?.lamportTime ?? 0) + 1);
	}, 60_000);

	test("a manager alone comes back from a crash with all it knew", async () => {
		const { lab, first } = await swarm(1);
		const before = storeOf(first).all("cluster");
		crash(first);
		await lab.advance("5s");
		boot(first);
		await lab.advance("2s");
		expect(storeOf(first).all("cluster")).toEqual(before);
		expect(first.node.isLeader).toBe(true);
		expect(stateOf(first, first)).toBe("ready");
	});
});

describe("nodes", () => {
	test("one that is cut off is down 15 s after its last heartbeat, and ready again when it is back; its tasks go on", async () => {
		const { lab, members, first } = await swarm(2);
		const b = members[1] as Member;
		storeOf(first).update((tx) => {
			tx.create(task("t1", b.node.nodeId));
		});
		await lab.advance("2s");
		cut(b);
		await lab.advance("9s");
		expect(stateOf(first, b)).toBe("ready");
		await lab.advance("7s");
		expect(stateOf(first, b)).toBe("down");
		expect(b.engine.said).toEqual(["web on ", "web prepare", "web start"]);
		mend(b);
		await lab.advance("30s");
		expect(stateOf(first, b)).toBe("ready");
		expect(b.engine.said).toHaveLength(3);
		expect(storeOf(first).get("task", "t1")?.status.state).toBe("running");
	});

	test("a task is accepted, prepared, started; wanted down it is shut down; gone from the store it is removed", async () => {
		const { lab, members, first } = await swarm(2);
		const b = members[1] as Member;
		const store = storeOf(first);
		const seen: string[] = [];
		store.watch((events) => {
			for (const { object } of events) if (object.kind === "task") seen.push(object.status.state);
		});
		store.update((tx) => {
			tx.create(task("t1", b.node.nodeId));
		});
		await lab.advance("2s");
		expect(seen.at(-1)).toBe("running");
		expect(store.get("task", "t1")?.status).toMatchObject({
			message: "started",
			containerId: "c".repeat(64),
		});
		store.update((tx) => {
			const now = tx.get("task", "t1");
			if (now !== undefined) tx.update({ ...now, desiredState: "shutdown" });
		});
		await lab.advance("2s");
		expect(seen.at(-1)).toBe("shutdown");
		store.update((tx) => {
			tx.delete("task", "t1");
		});
		await lab.advance("2s");
		expect(b.engine.said).toEqual(["web on ", "web prepare", "web start", "web shutdown", "web remove"]);
	});

	test("a task that cannot be prepared is rejected; a program that ends is complete or failed; ready is as far as some go", async () => {
		const { lab, members, first } = await swarm(2);
		const b = members[1] as Member;
		const store = storeOf(first);
		const create = async (id: string, desired: TaskState = "running"): Promise<void> => {
			store.update((tx) => {
				tx.create(task(id, b.node.nodeId, desired));
			});
			await lab.advance("1s");
		};
		await create("ends");
		await create("fails");
		await create("waits", "ready");
		b.engine.exits.get("ends")?.({ exitCode: 0, err: "" });
		b.engine.exits.get("fails")?.({ exitCode: 3, err: "" });
		b.engine.refuses = "No such image: box:latest";
		await create("refused");
		expect(["ends", "fails", "waits", "refused"].map((id) => store.get("task", id)?.status)).toMatchObject([
			{ state: "complete", message: "finished", exitCode: 0 },
			{ state: "failed", err: "task: non-zero exit (3)", exitCode: 3 },
			{ state: "ready", message: "prepared" },
			{ state: "rejected", err: "No such image: box:latest" },
		]);
	});

	test("a standalone container gets its place on an attachable network, and on no other", async () => {
		const { lab, members, first } = await swarm(2);
		const b = members[1] as Member;
		const store = storeOf(first);
		store.update((tx) => {
			tx.create(network("n1", "open-net", true));
			tx.create(network("n2", "shut-net", false));
			tx.create({ ...network("n3", "late-net", true), allocated: undefined });
		});
		await lab.advance("1s");
		const attach =
			(name: string) =>
			(end: (result: unknown) => void): void => {
				b.node.attachNetwork(name, "c1", [], end);
			};
		expect(await told(lab, attach("open-net"))).toMatchObject({
			network: { id: "n1", name: "open-net", ipam: [{ Subnet: "10.0.1.0/24", Gateway: "10.0.1.1" }] },
			addresses: ["10.0.1.2/24"],
		});
		expect(b.node.networks().map(({ name }) => name)).toEqual(["open-net"]);
		expect(store.all("task")).toMatchObject([
			{ nodeId: b.node.nodeId, spec: { attachmentContainerId: "c1" } },
		]);
		expect(await refusal(lab, attach("shut-net"))).toBe(
			"Error response from daemon: Could not attach to network shut-net: rpc error: code = PermissionDenied desc = network shut-net not manually attachable",
		);
		expect(await refusal(lab, attach("no-net"))).toContain(
			"rpc error: code = NotFound desc = network no-net not found",
		);
		b.node.detachNetwork("open-net", "c1");
		await lab.advance("1s");
		expect(store.all("task")).toEqual([]);
		expect(await refusal(lab, attach("late-net"))).toContain(
			"attaching to network failed, make sure your network options are correct and check manager logs: context deadline exceeded",
		);
	});
});

test("the same seed gives the same octets, another one others, and Wireshark finds no error in any", async () => {
	const run = async (seed: number): Promise<Uint8Array> => {
		const { lab, members } = machines(3, seed);
		const capture = lab.capture();
		const [a, b, c] = members as [Member, Member, Member];
		await done<string>(lab, (end) => {
			a.node.init({ advertiseAddr: "eth0" }, end);
		});
		for (const [role, { node }] of [
			["manager", b],
			["worker", c],
		] as const) {
			const token = await done<string>(lab, (end) => {
				a.node.joinToken(role, {}, end);
			});
			await done(lab, (end) => {
				node.join({ token, ...REMOTE }, end);
			});
		}
		crash(a);
		await lab.advance("30s");
		return capture.toPcapng();
	};
	const first = await run(7);
	expect(await run(7)).toEqual(first);
	expect(await run(8)).not.toEqual(first);
	await expectCleanInWireshark(first);
});
