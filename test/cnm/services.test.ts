import { describe, expect, test } from "vitest";
import { formatIp4, parseIp4 } from "../../src/addr/index.ts";
import type { IngressPort, ServiceOfTask } from "../../src/cnm/index.ts";
import { libnetwork } from "../../src/wire/index.ts";
import { get, INGRESS, recordedIngress, TASKS, web, WEB } from "../support/ingress-mesh.ts";
import { mesh, type MeshNetwork, type MeshNode, three } from "../support/mesh.ts";
import { lines } from "../support/state-dump.ts";

const APP: MeshNetwork = {
	id: "m768rftdak6t4f0v9jdr5z2ab",
	name: "app",
	subnet: "10.0.1.0/24",
	gateway: "10.0.1.1",
	vni: 4097,
};
const API: ServiceOfTask = {
	id: "7jvjnc86032dczwm27k0ixy9f",
	name: "stack_api",
	virtualIp: parseIp4("10.0.1.2"),
	aliases: ["api"],
	ingressPorts: [{ name: "", protocol: "tcp", targetPort: 80, publishedPort: 8080 }],
};
const RR: ServiceOfTask = { ...API, id: "pxbxhgudke0aoep2ddmfy8w7g", name: "rr", virtualIp: undefined };

/** Three nodes on app, load balancers at .11, .12, .13. */
function onApp() {
	const swarm = mesh();
	const nodes = three(swarm);
	for (const [i, node] of nodes.entries()) node.addNetwork(APP, `10.0.1.${String(11 + i)}`);
	const task = (node: MeshNode, slot: number, ip: string, service = API) => {
		const name = `${service.name}.${String(slot)}.taskid${String(slot)}`;
		const container = node.run({ name, on: { app: { ip, service } } });
		node.activate(container);
		return container;
	};
	const [node1, node2, node3] = nodes;
	const table = () =>
		swarm.tables.entries("node3", libnetwork.TABLE.endpoint, APP.id).map(({ value }) => {
			const record = libnetwork.endpointRecord.read(value);
			if (typeof record === "string") throw new Error(record);
			return record;
		});
	return { ...swarm, node1, node2, node3, task, table };
}

/** Rules of a namespace that services made: no jumps of the name server's. */
const made = (text: string): string[] =>
	lines(text).filter((line) => line.startsWith("-A") && !/127\.0\.0\.11|DOCKER_/.test(line));

describe("what nodes tell each other of endpoints", () => {
	test("a task's record: its name, service, VIP, address and aliases; ports on ingress alone", async () => {
		const { node1, task, table } = onApp();
		const container = task(node1, 1, "10.0.1.5");
		expect(table()).toEqual([
			{
				name: "stack_api.1.taskid1",
				serviceName: "stack_api",
				serviceId: API.id,
				virtualIp: "10.0.1.2",
				endpointIp: "10.0.1.5",
				ingressPorts: [],
				aliases: ["api"],
				taskAliases: [container.shortId],
				serviceDisabled: false,
			},
		]);
		const { tables } = await recordedIngress();
		const records = tables
			.entries("node3", libnetwork.TABLE.endpoint, INGRESS.id)
			.map(({ value }) => libnetwork.endpointRecord.read(value));
		expect(records).toContainEqual(
			expect.objectContaining({
				name: "web.1.37zuant3qj3diewp3k8ek55vh",
				ingressPorts: [{ name: "", protocol: 0, targetPort: 80, publishedPort: 8080 }],
			}),
		);
		expect(records).toContainEqual(
			expect.objectContaining({ name: "ingress-endpoint", serviceId: "", virtualIp: "<nil>" }),
		);
	});

	test("it is disabled while the task winds down, and gone with the endpoint", () => {
		const { node1, task, table } = onApp();
		const container = task(node1, 1, "10.0.1.5");
		node1.deactivate(container);
		expect(table().map(({ serviceDisabled }) => serviceDisabled)).toEqual([true]);
		node1.stop(container);
		expect(table()).toEqual([]);
	});

	test("without a VIP it says <nil>: dnsrr, and a container that is no task, which tells by being there", () => {
		const { node1, node2, task, table } = onApp();
		task(node1, 1, "10.0.1.5", RR);
		const q = node2.attach("q1", APP, "10.0.1.9");
		expect(table().map(({ name, serviceId, virtualIp }) => [name, serviceId, virtualIp])).toEqual([
			["rr.1.taskid1", RR.id, "<nil>"],
			["q1", "", "<nil>"],
		]);
		node2.stop(q);
		expect(table().map(({ name }) => name)).toEqual(["rr.1.taskid1"]);
	});

	test("a task that is not healthy is nowhere told of", () => {
		const { node1, table } = onApp();
		node1.run({ name: "stack_api.1.x", on: { app: { ip: "10.0.1.5", service: API } } });
		expect(table()).toEqual([]);
	});

	test("entries that name no endpoint are passed over", async () => {
		const { node1, node2, node3, tables, task } = onApp();
		const { endpoint } = libnetwork.TABLE;
		const nameless = { ...nobody, name: "", endpointIp: "10.0.1.77" };
		const record = libnetwork.endpointRecord;
		for (const value of [Uint8Array.of(0x0a, 9, 1), record.write(nameless), record.write(nobody)])
			tables.of("node1").create(endpoint, APP.id, `junk${String(value.length)}`, value);
		task(node1, 1, "10.0.1.5");
		const q = node3.attach("q1", APP, "10.0.1.9");
		expect((await q.resolve("api")).addresses).toEqual(["10.0.1.2"]);
		expect(lines(node2.balancer("app").ipvsadm("-Ln")).length).toBe(5);
	});
});

const nobody: libnetwork.EndpointRecord = {
	name: "x",
	serviceName: "",
	serviceId: "",
	virtualIp: "<nil>",
	endpointIp: "no address",
	ingressPorts: [],
	aliases: [],
	taskAliases: [],
	serviceDisabled: false,
};

describe("names of services", () => {
	test("the service and its aliases are the VIP, with tasks. in front the tasks", async () => {
		const { node1, node2, node3, task } = onApp();
		task(node1, 1, "10.0.1.5");
		task(node2, 2, "10.0.1.6");
		const q = node3.attach("q1", APP, "10.0.1.9");
		for (const name of ["stack_api", "API", "api.app"])
			expect((await q.resolve(name)).addresses).toEqual(["10.0.1.2"]);
		for (const name of ["tasks.stack_api", "tasks.api", "tasks.api.app"])
			expect([...(await q.resolve(name)).addresses].sort()).toEqual(["10.0.1.5", "10.0.1.6"]);
	});

	test("names of tasks end when they wind down, when they leave, and when their node is not heard of", async () => {
		const { node1, node2, node3, task, tables } = onApp();
		const first = task(node1, 1, "10.0.1.5");
		const second = task(node1, 2, "10.0.1.6");
		task(node2, 3, "10.0.1.7");
		const q = node3.attach("q1", APP, "10.0.1.9");
		const left = async () => [...(await q.resolve("tasks.api")).addresses].sort();
		node1.deactivate(first);
		expect(await left()).toEqual(["10.0.1.6", "10.0.1.7"]);
		await expect(q.resolve(first.name)).rejects.toThrow();
		node1.stop(second);
		expect(await left()).toEqual(["10.0.1.7"]);
		expect((await q.resolve("api")).addresses).toEqual(["10.0.1.2"]);
		node1.stop(first);
		tables.fail("node2");
		await expect(q.resolve("tasks.api")).rejects.toThrow();
		await expect(q.resolve("api")).rejects.toThrow();
	});

	test("they are known on their network alone, and before names of the host's own networks", async () => {
		const { node1, task } = onApp();
		task(node1, 1, "10.0.1.5");
		const { docker } = node1;
		docker.networks.create("aaa");
		docker.run({ name: "other", network: "aaa", aliases: ["api"] });
		const stranger = docker.run({ name: "stranger", network: "aaa" });
		await expect(stranger.resolve("tasks.api")).rejects.toThrow();
		const q = node1.attach("q1", APP, "10.0.1.9");
		docker.networks.connect("aaa", q);
		expect((await q.resolve("api")).addresses).toEqual(["10.0.1.2"]);
		expect((await q.resolve("api.aaa")).addresses).toEqual(["172.19.0.2"]);
	});

	test("ingress has none", async () => {
		const { web2, node3 } = await recordedIngress();
		for (const name of ["web", "tasks.web", "ingress-endpoint", TASKS.web1.name])
			await expect(web2.resolve(name)).rejects.toThrow();
		expect(node3.network("ingress").names?.nameOf(parseIp4("10.0.0.6")!)).toBeUndefined();
	});

	test("a new task of the same service takes an address over without its names ending", async () => {
		const { node1, node2, node3, task, tables } = onApp();
		const old = task(node1, 1, "10.0.1.5");
		const q = node3.attach("q1", APP, "10.0.1.9");
		// node3 hears of the new endpoint before it hears that the old one went.
		const held = tables.hold("node3");
		node1.stop(old);
		held.drop();
		task(node2, 2, "10.0.1.5");
		tables.forget("node3", "node1");
		expect((await q.resolve("tasks.api")).addresses).toEqual(["10.0.1.5"]);
		expect(lines(node3.balancer("app").ipvsadm("-Ln")).at(-1)).toContain("10.0.1.5:0");
	});
});

describe("load balancers", () => {
	test("with the last task the service's mark, address and IPVS table go; the rule for sources stays", () => {
		const { node1, node3, task } = onApp();
		const ns = node3.balancer("app");
		const before = ns.routes.show({ table: "local" });
		const first = task(node1, 1, "10.0.1.5");
		const second = task(node3, 2, "10.0.1.6");
		expect(made(ns.iptablesTool.save())).toEqual([
			"-A INPUT -d 10.0.1.2/32 -j MARK --set-xmark 0x100/0xffffffff",
			"-A POSTROUTING -d 10.0.1.0/24 -m ipvs --ipvs -j SNAT --to-source 10.0.1.13",
		]);
		node1.stop(first);
		expect(lines(ns.ipvsadm("-Ln")).slice(3)).toEqual([
			"FWM  256 rr",
			"  -> 10.0.1.6:0                   Masq    1      0          0",
		]);
		node3.stop(second);
		expect(lines(ns.ipvsadm("-Ln")).slice(3)).toEqual([]);
		expect(made(ns.iptablesTool.save())).toEqual([
			"-A POSTROUTING -d 10.0.1.0/24 -m ipvs --ipvs -j SNAT --to-source 10.0.1.13",
		]);
		expect(ns.routes.show({ table: "local" })).toBe(before);
	});

	test("each service takes the next mark, dnsrr too, a service that comes again another", () => {
		const { node1, node3, task } = onApp();
		const first = task(node1, 1, "10.0.1.5");
		task(node1, 2, "10.0.1.6", RR);
		task(node1, 3, "10.0.1.7", { ...API, id: "third", name: "third", virtualIp: parseIp4("10.0.1.3") });
		node1.stop(first);
		task(node1, 4, "10.0.1.5");
		const marks = [
			...node3
				.balancer("app")
				.ipvsadm("-Ln")
				.matchAll(/FWM +(\d+)/g),
		].map(([, mark]) => mark);
		expect(marks).toEqual(["258", "259"]);
	});

	test("a task that winds down has weight 0 and keeps its connections", () => {
		const { node1, node3, task } = onApp();
		const container = task(node1, 1, "10.0.1.5");
		node1.deactivate(container);
		expect(lines(node3.balancer("app").ipvsadm("-Ln")).at(-1)).toBe(
			"  -> 10.0.1.5:0                   Masq    0      0          0",
		);
	});

	test("a node that comes late knows the same, but no task that winds down", () => {
		const swarm = mesh();
		const [node1, , node3] = three(swarm);
		node1.addNetwork(APP, "10.0.1.11");
		const run = (slot: number, ip: string) => {
			const container = node1.run({ name: `t.${String(slot)}`, on: { app: { ip, service: API } } });
			node1.activate(container);
			return container;
		};
		const first = run(1, "10.0.1.5");
		run(2, "10.0.1.6");
		node1.deactivate(first);
		node3.addNetwork(APP, "10.0.1.13");
		expect(lines(node3.balancer("app").ipvsadm("-Ln")).slice(3)).toEqual([
			"FWM  256 rr",
			"  -> 10.0.1.6:0                   Masq    1      0          0",
		]);
	});

	test("with direct server return the task sees its client, and answers from the VIP itself", async () => {
		const swarm = mesh();
		const nodes = three(swarm);
		const dsr = { ...APP, options: { dsr: "" } };
		for (const [i, node] of nodes.entries()) node.addNetwork(dsr, `10.0.1.${String(11 + i)}`);
		const [node1, node2, node3] = nodes;
		const seen: string[] = [];
		for (const [node, ip] of [
			[node1, "10.0.1.5"],
			[node2, "10.0.1.6"],
		] as const) {
			const container = node.run({ name: `t.${ip}`, on: { app: { ip, service: API } } });
			container.netns.tcp.listen({ port: 80 }).onConnection = (socket) => {
				seen.push(`${formatIp4(socket.remoteAddress)} > ${formatIp4(socket.localAddress)}`);
				socket.onReadable = () => {
					if (socket.read().length === 0) return;
					socket.write(new TextEncoder().encode(`\n${ip}\n`));
					socket.close();
				};
			};
			node.activate(container);
		}
		const ns = node3.balancer("app");
		expect(lines(ns.ipvsadm("-Ln")).slice(3)).toEqual([
			"FWM  256 rr",
			"  -> 10.0.1.5:0                   Route   1      0          0",
			"  -> 10.0.1.6:0                   Route   1      0          0",
		]);
		expect(made(ns.iptablesTool.save())).toEqual([
			"-A INPUT -d 10.0.1.2/32 -j MARK --set-xmark 0x100/0xffffffff",
		]);
		const q = node3.attach("q1", dsr, "10.0.1.9");
		expect([await get(q.netns, "10.0.1.2", 80), await get(q.netns, "10.0.1.2", 80)]).toEqual([
			"10.0.1.6",
			"10.0.1.5",
		]);
		expect(seen).toEqual(["10.0.1.9 > 10.0.1.2", "10.0.1.9 > 10.0.1.2"]);
	});

	test("it is an endpoint of the network, and goes with the network", () => {
		const { node3 } = onApp();
		const { docker, host } = node3;
		const containers = docker.networks.inspect("app").Containers ?? {};
		expect(
			Object.entries(containers).map(([key, { Name, IPv4Address }]) => [key, Name, IPv4Address]),
		).toEqual([["lb-app", "app-endpoint", "10.0.1.13/24"]]);
		docker.controller.deleteManagedNetwork(APP.id, "test");
		expect([...host.namespaces.keys()]).toEqual([]);
	});
});

describe("the ingress mesh on a host", () => {
	const port = (protocol: IngressPort["protocol"], publishedPort: number): IngressPort => ({
		name: "",
		protocol,
		targetPort: 53,
		publishedPort,
	});
	const publish = (ports: readonly IngressPort[], count = 2) => {
		const swarm = mesh({ count });
		for (const [i, node] of swarm.nodes.entries()) node.addNetwork(INGRESS, `10.0.0.${String(2 + i)}`);
		const [node1, node2] = swarm.nodes as [MeshNode, MeshNode];
		const service = { ...WEB, ingressPorts: ports };
		const container = node1.run({ name: "dns.1.x", on: { ingress: { ip: "10.0.0.6", service } } });
		node1.activate(container);
		return { ...swarm, node1, node2, container };
	};

	test("the daemon holds the port, and lets it go with the last task", () => {
		const { node1, node2, container } = publish([port("tcp", 5300), port("udp", 5301)]);
		for (const { host } of [node1, node2]) {
			expect(() => host.netns.tcp.listen({ port: 5300 })).toThrow("Address already in use");
			expect(() => host.netns.udp({ port: 5301 })).toThrow("Address already in use");
		}
		node1.stop(container);
		for (const { host } of [node1, node2]) {
			host.netns.tcp.listen({ port: 5300 }).close();
			host.netns.udp({ port: 5301 }).close();
			expect(
				made(host.netns.iptablesTool.save()).filter((line) => line.includes("-A DOCKER-INGRESS")),
			).toEqual(["-A DOCKER-INGRESS -j RETURN", "-A DOCKER-INGRESS -j RETURN"]);
		}
	});

	test("a port that a program of the host has works all the same", async () => {
		const swarm = mesh();
		const [node1, node2] = three(swarm);
		node2.host.netns.tcp.listen({ port: 8080 });
		for (const [i, node] of [node1, node2].entries()) node.addNetwork(INGRESS, `10.0.0.${String(2 + i)}`);
		const container = node1.run(TASKS.web1);
		node1.activate(container);
		web(container.netns, "here");
		expect(await get(node1.host.netns, "172.31.1.6", 8080)).toBe("here");
	});

	test("datagrams come to a task on another node, and answers back", async () => {
		const { lab, node2, container } = publish([port("udp", 5300)]);
		const server = container.netns.udp({ port: 53 });
		server.handler = (frame, at, octets, source, from) => {
			server.send(frame.bytes.slice(at, at + octets).reverse(), { address: source, port: from });
		};
		const client = node2.host.netns.udp();
		client.connect("172.31.1.6", 5300);
		client.send(Uint8Array.of(1, 2, 3));
		const heard = client.receive();
		await lab.advance("1s");
		expect([...(await heard).data]).toEqual([3, 2, 1]);
	});

	test("SCTP has its rules as well", () => {
		const { node2, container } = publish([port("sctp", 5300)]);
		const rules = made(node2.host.netns.iptablesTool.save()).filter((line) => line.includes("5300"));
		expect(rules).toEqual([
			"-A DOCKER-INGRESS -p sctp -m sctp --dport 5300 -j ACCEPT",
			"-A DOCKER-INGRESS -p sctp -m state --state RELATED,ESTABLISHED -m sctp --sport 5300 -j ACCEPT",
			"-A DOCKER-INGRESS -p sctp -m sctp --dport 5300 -j DNAT --to-destination 172.18.0.2:5300",
		]);
		expect(made(container.netns.iptablesTool.save())[0]).toBe(
			"-A INPUT -d 10.0.0.6/32 -p sctp -m sctp --dport 53 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
		);
	});

	test("a port that goes from one service to another stays published", () => {
		const { node1, node2, container } = publish([port("tcp", 5300)]);
		const virtualIp = parseIp4("10.0.0.9");
		const service = { ...WEB, id: "other", virtualIp, ingressPorts: [port("tcp", 5300)] };
		const next = node1.run({ name: "other.1.y", on: { ingress: { ip: "10.0.0.7", service } } });
		const published = () =>
			made(node2.host.netns.iptablesTool.save()).filter((line) => line.includes("DNAT")).length;
		node1.activate(next);
		node1.stop(container);
		expect(published()).toBe(1);
		expect(lines(node2.balancer("ingress").ipvsadm("-Ln")).slice(3)).toEqual([
			"FWM  257 rr",
			"  -> 10.0.0.7:0                   Masq    1      0          0",
		]);
		node1.stop(next);
		expect(published()).toBe(0);
	});

	test("a service that gets other ports: its new tasks are balanced when the last of the old ones is gone", () => {
		const { node1, node2, container } = publish([port("tcp", 5300)]);
		const service = { ...WEB, ingressPorts: [port("tcp", 5300), port("tcp", 5302)] };
		const run = (slot: number, ip: string) => {
			const task = node1.run({ name: `dns.${String(slot)}.y`, on: { ingress: { ip, service } } });
			node1.activate(task);
			return task;
		};
		const balanced = () =>
			lines(node2.balancer("ingress").ipvsadm("-Ln"))
				.slice(3)
				.map((line) => line.slice(0, 18));
		const early = run(2, "10.0.0.7");
		expect(balanced()).toEqual(["FWM  256 rr", "  -> 10.0.0.6:0   "]);
		node1.stop(container);
		run(3, "10.0.0.8");
		expect(balanced()).toEqual(["FWM  257 rr", "  -> 10.0.0.8:0   "]);
		node1.deactivate(early);
		node1.stop(early);
		expect(balanced()).toEqual(["FWM  257 rr", "  -> 10.0.0.8:0   "]);
	});

	test("the users' rules stay in front, whatever networks are made", () => {
		const { node2 } = publish([port("tcp", 5300)]);
		node2.docker.networks.create("local");
		const forward = made(node2.host.netns.iptablesTool.save()).filter((line) =>
			line.startsWith("-A FORWARD"),
		);
		expect(forward.slice(0, 3)).toEqual([
			"-A FORWARD -j DOCKER-USER",
			"-A FORWARD -j DOCKER-INGRESS",
			"-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
		]);
	});

	test("a node that leaves its cluster publishes nothing and balances nothing", () => {
		const { node2 } = publish([port("tcp", 5300)]);
		node2.docker.controller.leaveCluster();
		expect([...node2.host.namespaces.keys()]).toEqual([]);
		expect(node2.host.netns.iptablesTool.save()).not.toContain("5300");
		node2.host.netns.tcp.listen({ port: 5300 }).close();
	});

	test("a task cannot be reached at its ingress address but by the published port, though it answers ping", async () => {
		const { node1, web1, web2 } = await recordedIngress();
		web(web1.netns, "here");
		web(web1.netns, "other", 81);
		// Nothing says so: the SYNs are dropped.
		await expect(web2.netns.connect({ hostname: "10.0.0.6", port: 81 })).rejects.toMatchObject({
			code: "ETIMEDOUT",
		});
		const sbox = node1.balancer("ingress");
		expect((await sbox.ping("10.0.0.6", { count: 1 })).received).toBe(1);
	});
});
