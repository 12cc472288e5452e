import { Lab, NetError } from "../../src/index.ts";
import type { Host } from "../../src/lab/index.ts";
import type { Kernel } from "../../src/stack/index.ts";
import {
	type EncryptionKey,
	type Executor,
	type ClusterLogicFactory,
	ControlApi,
	controlCalls,
	type NetworkObject,
	type NodeObject,
	type Store,
	SwarmNode,
	type TaskController,
	type TaskExit,
	type TaskObject,
} from "../../src/swarm/index.ts";

/** An engine that runs nothing and notes what it was asked to. */
export class FakeEngine implements Executor {
	readonly hostname: string;
	readonly said: string[] = [];
	keys: readonly EncryptionKey[] = [];
	node: NodeObject | undefined;
	readonly exits = new Map<string, (exit: TaskExit) => void>();
	/** What `prepare` fails with. */
	refuses: string | undefined;

	constructor(hostname: string) {
		this.hostname = hostname;
	}

	describe() {
		return {
			hostname: this.hostname,
			platform: { architecture: "x86_64", os: "linux" },
			engineVersion: "20.10.24+dfsg1",
			engineLabels: {},
		};
	}

	configure(node: NodeObject): void {
		this.node = node;
	}

	setNetworkKeys(keys: readonly EncryptionKey[]): void {
		this.keys = keys;
	}

	controller(task: TaskObject, networks: readonly NetworkObject[]): TaskController {
		const name = task.serviceName;
		this.said.push(`${name} on ${networks.map(({ spec }) => spec.name).join()}`);
		return {
			prepare: (done) => {
				this.said.push(`${name} prepare`);
				done(this.refuses);
			},
			start: (done) => {
				this.said.push(`${name} start`);
				done();
			},
			onExit: (listener) => void this.exits.set(task.id, listener),
			shutdown: (done) => {
				this.said.push(`${name} shutdown`);
				done();
			},
			remove: () => void this.said.push(`${name} remove`),
			containerId: "c".repeat(64),
			ports: [],
		};
	}
}

/** A machine with a swarm's node on it. */
export interface Member {
	readonly host: Host;
	readonly node: SwarmNode;
	readonly engine: FakeEngine;
	/** What its leader's logic did. */
	readonly reigns: string[];
}

/** Gives attachments their addresses, on networks that are allocated, as the allocator and the scheduler do. */
const allocating =
	(
		reigns: string[],
		kernel: Kernel,
		statusOf: (id: string) => NodeObject["managerStatus"],
	): ClusterLogicFactory =>
	(store: Store) => {
		const rng = kernel.rng.fork("control api");
		const api = new ControlApi({ store, kernel, rng, managerStatus: statusOf });
		let stop = (): unknown => undefined;
		return {
			start: () => {
				reigns.push("start");
				stop = store.watch((events) => {
					for (const { op, object } of events) {
						if (op !== "create" || object.kind !== "task" || object.status.state !== "new") continue;
						const [wanted] = object.spec.networks;
						if (store.get("network", wanted?.target ?? "")?.allocated === undefined) continue;
						store.update((tx) => {
							const count = tx.all("task").length;
							const networks = [
								{
									networkId: wanted?.target ?? "",
									addresses: [`10.0.1.${String(count + 1)}/24`],
									aliases: [],
								},
							];
							tx.update({ ...object, networks, status: { ...object.status, state: "assigned" } });
						});
					}
				});
			},
			stop: () => {
				reigns.push("stop");
				stop();
			},
			call: controlCalls(api),
		};
	};

/** So many machines at one switch, 172.31.1.5 and up, none of them in a swarm. */
export function machines(
	count: number,
	seed = 1,
): { readonly lab: Lab; readonly members: readonly Member[] } {
	const lab = new Lab({ seed });
	const lan = lab.switch("lan");
	const members = Array.from({ length: count }, (_, i) => {
		const name = `node${String(i + 1)}`;
		const mac = `52:54:00:00:0${String(i + 1)}:00`;
		const nics = { eth0: { address: `172.31.1.${String(5 + i)}/24`, attach: lan, mac } };
		const host = lab.host(name, { nics });
		const engine = new FakeEngine(name);
		const reigns: string[] = [];
		const node: SwarmNode = new SwarmNode({
			ns: host.netns,
			rng: host.rng.fork("swarm"),
			executor: engine,
			logic: allocating(reigns, host.netns.kernel, (id) => node.managerStatus(id)),
		});
		return { host, node, engine, reigns };
	});
	return { lab, members };
}

/** Lets the lab run until a command has called back, no longer than so many seconds; gives what it said. */
export async function told<T>(
	lab: Lab,
	command: (done: (result: T) => void) => void,
	patience = 30,
): Promise<T> {
	const answers: T[] = [];
	command((result) => answers.push(result));
	for (let i = 0; i < patience * 10 && answers.length === 0; i++) await lab.advance("100ms");
	const [answer] = answers;
	if (answers.length === 0) throw new Error(`no answer within ${String(patience)} s`);
	return answer as T;
}

/** What it said when it worked; throws what it refused with. */
export async function done<T>(lab: Lab, command: (done: (result: T | NetError) => void) => void): Promise<T> {
	const answer = await told(lab, command);
	if (answer instanceof NetError) throw answer;
	return answer;
}

/** A swarm of these machines: the first makes it, so many more are managers, the others are workers. */
export async function swarm(count: number, managers = 1, seed = 1) {
	const { lab, members } = machines(count, seed);
	const [first] = members;
	if (first === undefined) throw new Error("a swarm has a node");
	await done<string>(lab, (end) => {
		first.node.init({ advertiseAddr: "172.31.1.5" }, end);
	});
	const tokenOf = (role: "worker" | "manager"): Promise<string> =>
		done<string>(lab, (end) => {
			first.node.joinToken(role, {}, end);
		});
	const tokens = { worker: await tokenOf("worker"), manager: await tokenOf("manager") };
	for (const [index, { node, host }] of members.entries()) {
		if (index === 0) continue;
		const token = index < managers ? tokens.manager : tokens.worker;
		const advertiseAddr = `172.31.1.${String(5 + index)}`;
		await done<undefined>(lab, (end) => {
			node.join({ token, advertiseAddr, remoteAddrs: ["172.31.1.5:2377"] }, (error) => {
				end(error);
			});
		});
		void host;
	}
	return { lab, members, first, tokens };
}
