import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DockerError, Lab, NetError } from "../../src/index.ts";

const NETWORKS = ["red", "blue", "green"] as const;
const CONTAINERS = ["w1", "w2", "w3", "w4"] as const;
const SUBNETS = { red: "10.1.0.0/29", blue: "10.2.0.0/24", green: "10.2.0.0/16" } as const;
const PORTS = ["5001:80", "5001-5002:80", "80", "127.0.0.1:5002:53/udp"] as const;

/** By then all that a stopped container had is gone. */
const RELEASED = "60ms";

type Name = (typeof NETWORKS)[number];
type Step =
	| { readonly do: "create" | "rm-network"; readonly network: Name }
	| {
			readonly do: "run";
			readonly container: string;
			readonly network: Name | "bridge";
			readonly ports: readonly string[];
	  }
	| { readonly do: "stop" | "start" | "rm" | "restart"; readonly container: string }
	| { readonly do: "connect" | "disconnect"; readonly container: string; readonly network: Name };

const network = fc.constantFrom(...NETWORKS);
const container = fc.constantFrom(...CONTAINERS);
const step: fc.Arbitrary<Step> = fc.oneof(
	fc.record({ do: fc.constantFrom("create", "create", "rm-network"), network }),
	fc.record({
		do: fc.constant("run" as const),
		container,
		network: fc.constantFrom(...NETWORKS, "bridge" as const),
		ports: fc.subarray([...PORTS], { maxLength: 2 }),
	}),
	fc.record({ do: fc.constantFrom("stop", "start", "rm", "restart"), container }),
	fc.record({ do: fc.constantFrom("connect", "connect", "disconnect"), container, network }),
);

/** What a person who knows Docker would keep on paper. */
interface Model {
	/** Something of stopped containers may still be taken away. */
	going: boolean;
	readonly networks: Set<string>;
	readonly containers: Map<string, { running: boolean; readonly networks: Set<string> }>;
}

type Engine = ReturnType<typeof engine>;

function engine() {
	const lab = new Lab({ seed: 1 });
	const { docker, netns } = lab.host("node", { nics: { eth0: { address: "192.0.2.1/24" } } });
	const rules = (): string[] =>
		netns.iptablesTool
			.save()
			.split("\n")
			.filter((line) => line.startsWith("-A"));
	/** Whether a program of the host could have a port of all addresses. */
	const isFree = (port: number, proto: "tcp" | "udp"): boolean => {
		try {
			(proto === "tcp" ? netns.tcp.listen({ port }) : netns.udp({ port })).close();
			return true;
		} catch {
			return false;
		}
	};
	/** All that a step could change. */
	const everything = (): unknown => ({
		rules: rules(),
		devices: netns.devices.map((device) => `${device.name} ${device.link?.owner.name ?? ""}`).sort(),
		namespaces: [...lab.namespaces.keys()].sort(),
		networks: docker.networks.ls().map(({ id }) => docker.networks.inspect(id)),
		containers: docker.containers.ls({ all: true }).map(({ id }) => docker.containers.inspect(id)),
		ports: [5001, 5002, ...Array.from({ length: 20 }, (_, i) => 32_768 + i)].map((port) =>
			[isFree(port, "tcp"), isFree(port, "udp")].join(),
		),
	});
	return { lab, docker, netns, rules, isFree, everything };
}

function perform({ docker }: Engine, model: Model, step: Step): void {
	switch (step.do) {
		case "create":
			docker.networks.create(step.network, { subnet: SUBNETS[step.network] });
			model.networks.add(step.network);
			return;
		case "rm-network":
			docker.networks.rm(step.network);
			model.networks.delete(step.network);
			// A container that does not run forgets nothing: it cannot start before the network is there again.
			return;
		case "run":
			docker.run({ name: step.container, network: step.network, publish: step.ports });
			model.containers.set(step.container, { running: true, networks: new Set([step.network]) });
			return;
		case "start":
		case "stop": {
			docker[step.do](step.container);
			const known = model.containers.get(step.container);
			if (known !== undefined) known.running = step.do === "start";
			return;
		}
		case "restart":
			docker.restart(step.container);
			model.containers.get(step.container)!.running = true;
			return;
		case "rm":
			docker.rm(step.container, { force: true });
			model.containers.delete(step.container);
			return;
		case "connect":
			docker.networks.connect(step.network, step.container);
			model.containers.get(step.container)!.networks.add(step.network);
			return;
		case "disconnect":
			docker.networks.disconnect(step.network, step.container);
			model.containers.get(step.container)!.networks.delete(step.network);
	}
}

const on = (model: Model, network: string): string[] =>
	[...model.containers]
		.filter(([, { running, networks }]) => running && networks.has(network))
		.map(([name]) => name);

/** What docker's commands say, whatever is still being taken away. */
function checkBooks({ docker }: Engine, model: Model): void {
	for (const network of ["bridge", ...model.networks]) {
		const { Containers, IPAM } = docker.networks.inspect(network);
		expect(
			Object.values(Containers ?? {})
				.map(({ Name }) => Name)
				.sort(),
		).toEqual(on(model, network).sort());
		const addresses = Object.values(Containers ?? {}).map(({ IPv4Address }) => IPv4Address);
		expect(new Set(addresses).size).toBe(addresses.length);
		expect(addresses).not.toContain(`${IPAM.Config[0]?.Gateway ?? ""}/`);
	}
	const running = [...model.containers].filter(([, each]) => each.running).map(([name]) => name);
	expect(
		docker.containers
			.ls()
			.map(({ name }) => name)
			.sort(),
	).toEqual(running.sort());
	// Whoever runs has one way out at most, and one if it is on a network at all.
	for (const name of running) {
		const routes = docker.containers.get(name).netns.routes.show();
		const mine = model.containers.get(name)!.networks;
		expect(routes.match(/^default/gm)?.length ?? 0).toBe(mine.size > 0 ? 1 : 0);
	}
}

/** What the kernel says when all is taken away that was to go. */
function checkKernel({ docker, netns, rules, isFree }: Engine, model: Model): void {
	// A bridge per network, a veth per container and network that runs, and nothing else.
	const endpoints = ["bridge", ...model.networks].reduce((sum, name) => sum + on(model, name).length, 0);
	const devices = netns.devices.map(({ name }) => name);
	expect(devices.filter((name) => name.startsWith("veth"))).toHaveLength(endpoints);
	expect(devices.filter((name) => name.startsWith("br-"))).toHaveLength(model.networks.size);
	// Every rule's bridge is there; every published port has its three rules.
	const bridges = new Set(devices);
	for (const rule of rules())
		for (const [name] of rule.matchAll(/br-[0-9a-f]{12}/g)) expect(bridges).toContain(name);
	const ports = docker.containers
		.ls()
		.flatMap(({ id }) => docker.port(id).filter((line) => !line.includes(":::")));
	expect(rules().filter((rule) => rule.includes("--to-destination"))).toHaveLength(ports.length);
	// Each is held on the host, so that no program has it.
	for (const line of ports) {
		const [, proto, port] = /\d+\/(tcp|udp) -> .*:(\d+)$/.exec(line) ?? [];
		expect(isFree(Number(port), proto === "udp" ? "udp" : "tcp")).toBe(false);
	}
}

/** Who runs finds by name whom it shares a network with, at an address there, and nobody else. */
async function checkNames({ docker }: Engine, model: Model): Promise<void> {
	for (const [asker, { running, networks }] of model.containers) {
		// On the default bridge nobody has a name.
		const mine = [...networks].filter((name) => name !== "bridge");
		if (!running || mine.length === 0) continue;
		for (const [name, other] of model.containers) {
			const shared = mine.filter((each) => other.running && other.networks.has(each));
			const found = await docker.containers
				.get(asker)
				.netns.resolve(name, "A")
				.then(
					({ addresses }) => addresses,
					() => [],
				);
			const there = shared.map(
				(each) => docker.containers.inspect(name).NetworkSettings.Networks[each]?.IPAddress,
			);
			expect(found).toHaveLength(shared.length > 0 ? 1 : 0);
			for (const address of found) expect(there).toContain(address);
		}
	}
}

/** One command line, as fast-check gives it to model and engine. */
class Typed implements fc.AsyncCommand<Model, Engine> {
	readonly #step: Step;
	/** The next one follows in no time: what this one stops is still there. */
	readonly #hasty: boolean;

	constructor(each: Step, hasty: boolean) {
		this.#step = each;
		this.#hasty = hasty;
	}

	check(): boolean {
		// Nonsense is typed, too: it is refused.
		return true;
	}

	async run(model: Model, real: Engine): Promise<void> {
		const before = real.everything();
		try {
			perform(real, model, this.#step);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			if (error instanceof DockerError)
				expect(error.message).toBe(`Error response from daemon: ${error.daemonMessage}`);
			// A restart that fails has stopped the container, as in Docker.
			if (this.#step.do === "restart") {
				const known = model.containers.get(this.#step.container);
				if (known !== undefined) known.running = false;
			} else if (!model.going) expect(real.everything()).toEqual(before);
		}
		checkBooks(real, model);
		model.going = this.#hasty;
		if (this.#hasty) return;
		await real.lab.advance(RELEASED);
		checkKernel(real, model);
		await checkNames(real, model);
	}

	toString(): string {
		return `${JSON.stringify(this.#step)}${this.#hasty ? " at once" : ""}`;
	}
}

describe("an engine keeps its books, whatever it is told", () => {
	test("addresses, names, devices, ports and rules are those of what runs; refusals change nothing; nothing is left over", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.commands([fc.tuple(step, fc.boolean()).map(([each, hasty]) => new Typed(each, hasty))], {
					maxCommands: 25,
					size: "max",
				}),
				async (commands) => {
					const here = engine();
					const fresh = here.everything();
					const model: Model = { going: false, networks: new Set(), containers: new Map() };
					await fc.asyncModelRun(() => ({ model, real: here }), commands);
					for (const name of model.containers.keys()) here.docker.rm(name, { force: true });
					for (const name of model.networks) here.docker.networks.rm(name);
					await here.lab.advance(RELEASED);
					expect(here.everything()).toEqual(fresh);
					await here.lab.advance("5m");
					expect(here.lab.world.frames.taken).toBe(0);
					expect(here.netns.tcp.count).toBe(0);
				},
			),
			{ numRuns: 60 },
		);
	}, 60_000);
});
