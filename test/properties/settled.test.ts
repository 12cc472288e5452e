import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp4, type Ip4, parseIp4, toIp4, toMac } from "../../src/addr/index.ts";
import type { Container, ServiceOfTask } from "../../src/cnm/index.ts";
import { NetError, type Netns } from "../../src/index.ts";
import { recordOf } from "../../src/cnm/service/binding.ts";
import type { Entry } from "../../src/swarm/gossip/tables.ts";
import { libnetwork } from "../../src/wire/index.ts";
import { KnownTables } from "../support/known-tables.ts";
import { mesh, type MeshNetwork, MeshNode } from "../support/mesh.ts";
import { lines } from "../support/state-dump.ts";

const { endpoint: ENDPOINTS, overlayPeer: PEERS } = libnetwork.TABLE;
const APP: MeshNetwork = {
	id: "m768rftdak6t4f0v9jdr5z2ab",
	name: "app",
	subnet: "10.0.1.0/24",
	gateway: "10.0.1.1",
	vni: 4097,
};
const web: ServiceOfTask = {
	id: "7jvjnc86032dczwm27k0ixy9f",
	name: "web",
	virtualIp: parseIp4("10.0.1.2"),
	aliases: ["www"],
	ingressPorts: [],
};
const rr: ServiceOfTask = {
	...web,
	id: "pxbxhgudke0aoep2ddmfy8w7g",
	name: "rr",
	virtualIp: undefined,
	aliases: [],
};
const KINDS = { web, rr, alone: undefined } as const;
type Kind = keyof typeof KINDS;
/** Nodes that only tell. */
const OTHERS = ["other1", "other2", "other3"] as const;
const VTEPS = { other1: "172.31.1.21", other2: "172.31.1.22", other3: "172.31.1.23" } as const;
const ENDPOINTS_AT_MOST = 8;
const ipAt = (n: number): Ip4 => toIp4(`10.0.1.${String(20 + n)}`, "ip");
const SLOTS = Array.from({ length: ENDPOINTS_AT_MOST }, (_, n) => n);
const ADDRESSES = SLOTS.map((n) => ipAt(n));
const NAMES = ["web", "www", "rr", "tasks.web", "tasks.rr", ...SLOTS.map((n) => `ep${String(n)}`)];

const macOf = (ip: Ip4): string =>
	`02:42:${[24, 16, 8, 0].map((by) => ((ip >>> by) & 255).toString(16).padStart(2, "0")).join(":")}`;

/** One host that is told of everything by others, by this means or that. */
class Told {
	readonly tables = new KnownTables("me");
	readonly node: MeshNode;
	readonly #own = new Map<number, Container<Netns>>();

	constructor() {
		const { lab, lan } = mesh({ count: 0 });
		const eth0 = { address: "172.31.1.5/24", mac: "52:54:00:00:01:00", attach: lan };
		this.node = new MeshNode(lab.host("me", { nics: { eth0 } }), "172.31.1.5", this.tables);
		this.node.addNetwork(APP, "10.0.1.11");
		for (const other of OTHERS) this.tables.meet(APP.id, other);
	}

	/** A task of its own starts, or winds down and goes. */
	toggle(slot: number): void {
		const known = this.#own.get(slot);
		if (known !== undefined) {
			this.node.deactivate(known);
			this.node.stop(known);
			this.#own.delete(slot);
			return;
		}
		const ip = `10.0.1.${String(100 + slot)}`;
		const container = this.node.run({ name: `web.${String(slot)}.own`, on: { app: { ip, service: web } } });
		this.node.activate(container);
		this.#own.set(slot, container);
	}

	get #sandbox(): Netns {
		const ns = this.node.host.namespaces.get(`1-${APP.id}`.slice(0, 12));
		if (ns === undefined) throw new Error("the network has no sandbox");
		return ns;
	}

	/** Somebody asks where an address is, and a frame goes there. */
	ask(ip: Ip4): void {
		const vxlan = this.#sandbox.vxlan("vxlan0");
		const inDevice = this.#sandbox.inDevice(vxlan);
		if (inDevice !== undefined) this.#sandbox.neighbours(inDevice).get(ip);
		vxlan.fdb.use(toMac(macOf(ip), "mac"));
	}

	/** Somebody takes an address's entries away by hand, if they are there. */
	takeAway(ip: Ip4): void {
		const vxlan = this.#sandbox.vxlan("vxlan0");
		for (const work of [
			() => {
				this.#sandbox.neigh.del(ip, { dev: vxlan });
			},
			() => {
				vxlan.delFdb(macOf(ip));
			},
		]) {
			try {
				work();
			} catch (error) {
				if (!(error instanceof NetError && error.code === "ENOENT")) throw error;
			}
		}
	}

	/** Everything that somebody could look at. */
	look(): Record<string, unknown> {
		const balancer = this.node.balancer("app");
		const network = this.node.network("app");
		const { names } = network;
		const vxlan = this.#sandbox.vxlan("vxlan0");
		const services = Object.entries(this.node.docker.services.inspect(network));
		return {
			neighbours: this.#sandbox.neigh.show().map(({ text }) => text),
			fdb: vxlan.fdbShow().map(({ text }) => text),
			servers: lines(balancer.ipvsadm("-Ln")).sort(),
			addresses: balancer.inDevice(balancer.device("eth0"))?.addresses,
			rules: lines(balancer.iptables("-t mangle -S")),
			names: NAMES.map((name) => [name, (names?.addresses(name) ?? []).map((ip) => formatIp4(ip)).sort()]),
			// Two may have an address for a while: then it is either's.
			owners: ADDRESSES.map((ip) => {
				const name = names?.nameOf(ip);
				return name !== undefined && names?.addresses(name)?.includes(ip) === true;
			}),
			services: services
				.map(([name, { Tasks, ...rest }]) => [name, rest, Tasks.map(({ Name }) => Name).sort()])
				.sort(),
		};
	}
}

/** What happens in a cluster, from where one node is. */
const anyStep = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			kind: fc.constant("endpoint" as const),
			/** It is made on a node, at an address that another one may have, too; or goes when it is there. */
			n: fc.nat(ENDPOINTS_AT_MOST - 1),
			on: fc.constantFrom(...OTHERS),
			at: fc.nat(ENDPOINTS_AT_MOST - 1),
			of: fc.constantFrom<Kind>("web", "web", "rr", "alone"),
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({ kind: fc.constant("wind down" as const), n: fc.nat(ENDPOINTS_AT_MOST - 1) }),
	},
	{ weight: 2, arbitrary: fc.constant({ kind: "tell" } as const) },
	{ weight: 2, arbitrary: fc.constant({ kind: "settle" } as const) },
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant("own" as const), slot: fc.nat(2) }) },
	{
		weight: 2,
		arbitrary: fc.record({ kind: fc.constant("ask" as const), n: fc.nat(ENDPOINTS_AT_MOST - 1) }),
	},
	{ weight: 1, arbitrary: fc.constant({ kind: "look" } as const) },
	{
		weight: 1,
		arbitrary: fc.record({ kind: fc.constant("take away" as const), n: fc.nat(ENDPOINTS_AT_MOST - 1) }),
	},
);

/** Plays a history to a node that is told of each entry by itself, and to one that is settled with the others. */
function play(steps: readonly (typeof anyStep extends fc.Arbitrary<infer T> ? T : never)[]) {
	const [single, settled] = [new Told(), new Told()];
	const others = new Map(OTHERS.map((name) => [name, new KnownTables(name)]));
	for (const each of others.values()) {
		each.joinNetwork(APP.id);
		for (const name of [...OTHERS, "me"]) each.meet(APP.id, name);
	}
	const live = new Map<number, { on: KnownTables; key: string; value: (disabled: boolean) => Uint8Array }>();
	let pending: Entry[] = [];
	const said = (on: KnownTables, table: string, key: string): void => {
		const entry = on.said(table, APP.id, key);
		if (entry !== undefined) pending.push(entry);
	};
	let lives = 0;
	for (const step of steps) {
		switch (step.kind) {
			case "endpoint": {
				const known = live.get(step.n);
				if (known !== undefined) {
					for (const table of [ENDPOINTS, PEERS]) {
						known.on.delete(table, APP.id, known.key);
						said(known.on, table, known.key);
					}
					live.delete(step.n);
					break;
				}
				const on = others.get(step.on);
				if (on === undefined) break;
				const ip = ipAt(step.at);
				const key = `ep${String(step.n)}life${String(lives++)}`;
				const service = KINDS[step.of];
				const endpoint = {
					endpointId: key,
					ip,
					name: `ep${String(step.n)}`,
					aliases: [key],
					...(service === undefined ? {} : { service }),
				};
				const value = (disabled: boolean): Uint8Array => recordOf(endpoint, disabled);
				on.create(ENDPOINTS, APP.id, key, value(false));
				on.create(
					PEERS,
					APP.id,
					key,
					libnetwork.peerRecord.write({
						endpointIp: `${formatIp4(ip)}/24`,
						endpointMac: macOf(ip),
						tunnelEndpointIp: VTEPS[step.on],
					}),
				);
				for (const table of [ENDPOINTS, PEERS]) said(on, table, key);
				live.set(step.n, { on, key, value });
				break;
			}
			case "wind down": {
				const known = live.get(step.n);
				if (known === undefined) break;
				known.on.update(ENDPOINTS, APP.id, known.key, known.value(true));
				said(known.on, ENDPOINTS, known.key);
				break;
			}
			case "tell":
				for (const entry of pending) for (const { tables } of [single, settled]) tables.hear(entry);
				pending = [];
				break;
			case "settle": {
				pending = [];
				const all = [...others.values()].flatMap(({ nodeName, state }) =>
					state.tables.all(APP.id).filter(({ owner, deleting }) => owner === nodeName && !deleting),
				);
				for (const entry of all) single.tables.hear(entry);
				KnownTables.settle([settled.tables, ...others.values()]);
				break;
			}
			case "own":
				for (const each of [single, settled]) each.toggle(step.slot);
				break;
			case "ask":
				settled.ask(ipAt(step.n));
				break;
			case "take away":
				for (const each of [single, settled]) each.takeAway(ipAt(step.n));
				break;
			case "look":
				settled.look();
				break;
		}
	}
	return { single: single.look(), settled: settled.look() };
}

test("a node that was settled with others knows what one knows that heard of each entry by itself, whatever comes before and after, and whoever looks meanwhile", () => {
	fc.assert(
		fc.property(fc.array(anyStep, { minLength: 4, maxLength: 40 }), (steps) => {
			const { single, settled } = play(steps);
			expect(settled).toEqual(single);
		}),
		{ numRuns: 400 },
	);
});
