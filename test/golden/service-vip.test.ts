import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatIp4, type Ip4, parseIp4 } from "../../src/addr/index.ts";
import type { NetworkJson, ServiceOfTask } from "../../src/cnm/index.ts";
import type { Netns } from "../../src/index.ts";
import { dissect, dns, type Layer } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";
import { type Exchange, HttpReplay } from "../support/http-replay.ts";
import { INGRESS, TASKS } from "../support/ingress-mesh.ts";
import { mesh, type MeshNetwork, type MeshTask, three } from "../support/mesh.ts";
import { atInstants, emulated } from "../support/scenario.ts";
import { allRoutes, dumps, flows, lines, links, recordedRoutes, savedRules } from "../support/state-dump.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 08-service-vip: svc by its VIP and rr by DNS round robin on svc-net, q1 on node1 asks. Of the GETs no frame is here:
// their counters say how many segments each of them took, and the programs take their time accordingly.
const golden = (name: string): string =>
	readFileSync(new URL(`08-service-vip/${name}`, import.meta.url), "utf8");
const LOG = golden("commands.log");

const NETWORK: MeshNetwork = {
	id: "dkg5cghpotybh0grzfjgjal2n",
	name: "svc-net",
	subnet: "10.8.8.0/24",
	gateway: "10.8.8.1",
	vni: 4099,
};
const SVC: ServiceOfTask = {
	id: "7jvjnc86032dczwm27k0ixy9f",
	name: "svc",
	virtualIp: parseIp4("10.8.8.2"),
	aliases: [],
	ingressPorts: [],
};
const RR: ServiceOfTask = { ...SVC, id: "pxbxhgudke0aoep2ddmfy8w7g", name: "rr", virtualIp: undefined };
const task = (name: string, ip: string, service: ServiceOfTask): MeshTask => ({
	name,
	on: { "svc-net": { ip, service } },
});

const NODES = ["node1", "node2", "node3"] as const;
const BALANCERS = { node1: "10.8.8.8", node2: "10.8.8.7", node3: "10.8.8.6" } as const;

function build() {
	const swarm = mesh({ cable: "1ms" });
	const [node1, node2, node3] = three(swarm);
	// The service that took the first mark.
	for (const [i, node] of [node1, node2, node3].entries())
		node.addNetwork(INGRESS, `10.0.0.${String(2 + i)}`);
	const before = node2.run(TASKS.web1);
	node2.activate(before);
	node2.stop(before);
	for (const node of [node1, node2, node3])
		node.addNetwork(NETWORK, BALANCERS[node.host.name as keyof typeof BALANCERS]);
	// What else was on docker_gwbridge of node1: 172.18.0.3 and .4.
	for (const name of ["c1", "c2"]) node1.docker.run({ name, network: "docker_gwbridge" });
	const rr = [
		[node2, node2.run(task("rr.1.v7if3uu4el02ir63h715d1ccm", "10.8.8.9", RR))],
		[node3, node3.run(task("rr.3.8lhl1z2joi7obowcg1emm4hjd", "10.8.8.11", RR))],
	] as const;
	for (const [node, container] of rr) node.activate(container);
	const svc1 = node2.run(task("svc.1.03s8099roes0mdf6u5jbhgro9", "10.8.8.3", SVC));
	const svc2 = node1.run(task("svc.2.ojky57tlp00fj3707oeqdcnvc", "10.8.8.4", SVC));
	const svc3 = node3.run(task("svc.3.bes8qtyoutk1jd3pm200l8rgq", "10.8.8.5", SVC));
	const q1 = node1.attach("q1", NETWORK, "10.8.8.12");
	const rr2 = node1.run(task("rr.2.ue8sxq7zf5jkpz9tnrwcplfg8", "10.8.8.10", RR));
	node1.activate(rr2);
	node2.activate(svc1);
	node1.activate(svc2);
	node3.activate(svc3);
	return { ...swarm, node1, node2, node3, svc1, svc2, svc3, q1 };
}

type Swarm = ReturnType<typeof build>;

describe("a service of a recorded swarm", () => {
	test.each(NODES)("%s balances it in a sandbox of its own, to the letter", (name) => {
		const swarm = build();
		const ns = swarm[name].balancer("svc-net");
		const recorded = dumps(`08-service-vip/state-${name}.txt`).get("sandbox lb_dkg5cghpo");
		expect(savedRules(ns.iptablesTool.save())).toEqual(savedRules(recorded?.get("iptables-save -c") ?? ""));
		expect(lines(ns.ipvsadm("-Ln"))).toEqual(lines(recorded?.get("ipvsadm -Ln") ?? ""));
		expect(allRoutes(ns)).toEqual(recordedRoutes(recorded?.get("ip route show table all") ?? ""));
		expect(links(ns.links.show())).toEqual(links(recorded?.get("ip addr show") ?? ""));
	});

	test.each([
		["q1", "q1"],
		["svc2", "37b45b552835"],
	] as const)("%s: containers know nothing of it", (key, title) => {
		const swarm = build();
		const { netns } = swarm[key];
		const recorded = dumps("08-service-vip/state-node1.txt").get(`container ${title}`);
		expect(savedRules(netns.iptablesTool.save())).toEqual(
			savedRules(recorded?.get("iptables-save -c") ?? ""),
		);
		expect(allRoutes(netns)).toEqual(recordedRoutes(recorded?.get("ip route show table all") ?? ""));
		expect(links(netns.links.show())).toEqual(links(recorded?.get("ip addr show") ?? ""));
		const hosts = lines(netns.files.get("/etc/hosts") ?? "").map((line) =>
			line.replace(swarm.svc2.shortId, title),
		);
		expect(hosts).toEqual(lines(recorded?.get("/etc/hosts") ?? ""));
		expect(lines(netns.files.get("/etc/resolv.conf") ?? "")).toEqual(
			lines(recorded?.get("/etc/resolv.conf") ?? ""),
		);
	});

	test("docker network inspect --verbose names services, marks and tasks", () => {
		const { node1 } = build();
		const recorded = LOG.slice(LOG.indexOf('[\n    {\n        "Name": "svc-net"'));
		const [theirs] = JSON.parse(recorded.slice(0, recorded.indexOf("\n]") + 2)) as [{ Services: Services }];
		const inspected = node1.docker.networks.inspect("svc-net", { verbose: true });
		expect(told(inspected.Services)).toEqual(told(theirs.Services));
	});
});

type Services = NonNullable<NetworkJson["Services"]>;

/** Tasks in the order of their names: the daemon goes through a map. */
const told = (services: Services = {}): unknown =>
	Object.entries(services)
		.sort(([a], [b]) => (a < b ? -1 : 1))
		.map(([name, service]) => [
			name,
			{
				...service,
				Tasks: service.Tasks.map((each) => ({ ...each, EndpointID: "" })).sort((a, b) =>
					a.Name < b.Name ? -1 : 1,
				),
			},
		]);

// ── names ─────────────────────────────────────────────────────────────────────────────────────────

/** What dig printed: question, status, flags, answers in the order of their texts, octets. */
interface Digged {
	readonly question: string;
	readonly status: string;
	readonly flags: string;
	readonly answers: readonly string[];
	readonly octets: number;
}

/** The recorded ones. */
function digged(log: string): Digged[] {
	const of = (text: string, what: RegExp): string => what.exec(text)?.[1] ?? "";
	return log
		.split("; <<>> DiG")
		.slice(1)
		.map((text) => ({
			question: of(text, /^;(\S.*?\tIN\t\w+)$/m).replace(/\t+/g, " "),
			status: of(text, /status: (\w+)/),
			flags: of(text, /flags: ([\w ]+);/),
			answers: [...(/;; ANSWER SECTION:\n([\s\S]*?)\n\n/.exec(text)?.[1]?.split("\n") ?? [])]
				.map((line) => line.replace(/\t+/g, " "))
				.sort(),
			octets: Number(of(text, /MSG SIZE {2}rcvd: (\d+)/)),
		}));
}

/** A name in a record's data, as text. */
function nameIn(data: Uint8Array): string {
	let text = "";
	for (let at = 0; (data[at] ?? 0) > 0; at += (data[at] ?? 0) + 1)
		text += `${new TextDecoder().decode(data.subarray(at + 1, at + 1 + (data[at] ?? 0)))}.`;
	return text;
}

/** `dig +noedns` in a container. */
async function dig({ lab }: Swarm, ns: Netns, question: string): Promise<Digged> {
	const [name = "", , type = ""] = question.split(" ");
	const socket = ns.udp();
	socket.connect("127.0.0.11", dns.PORT);
	const query: dns.Message = {
		id: 4711,
		flags: dns.FLAG.RD | dns.FLAG.AD,
		questions: [{ name, type: dns.TYPE[type as "A"], class: dns.CLASS_IN }],
		answers: [],
		authorities: [],
		additional: [],
	};
	socket.send(dns.write(query));
	const heard = socket.receive();
	await lab.advance("1s");
	const { data } = await heard;
	socket.close();
	const reply = dns.read(data);
	if (typeof reply === "string") throw new Error(reply);
	const flag = (bit: number, text: string): string => ((reply.flags & bit) === 0 ? "" : text);
	return {
		question,
		status: Object.entries(dns.RCODE).find(([, code]) => code === (reply.flags & 15))?.[0] ?? "",
		flags: [
			flag(dns.FLAG.QR, "qr"),
			flag(dns.FLAG.AA, "aa"),
			flag(dns.FLAG.RD, "rd"),
			flag(dns.FLAG.RA, "ra"),
		]
			.filter((text) => text !== "")
			.join(" "),
		answers: reply.answers
			.map(({ name: owner, ttl, data: octets }) => {
				const value =
					type === "PTR"
						? nameIn(octets)
						: formatIp4(new DataView(octets.buffer, octets.byteOffset).getUint32(0) as Ip4);
				return `${owner} ${String(ttl)} IN ${type} ${value}`;
			})
			.sort(),
		octets: data.length,
	};
}

/** Upstream refuses what it is asked. */
function upstream({ lab, lan }: Swarm): void {
	const { netns } = lab.host("outside", { nics: { eth0: { address: "172.31.1.1/24", attach: lan } } });
	const server = netns.udp({ port: dns.PORT });
	server.handler = (frame, at, octets, source, port) => {
		const query = dns.read(frame.bytes.slice(at, at + octets));
		if (typeof query === "string") return;
		const flags = dns.FLAG.QR | dns.FLAG.RA | (query.flags & dns.FLAG.RD) | dns.RCODE.REFUSED;
		server.send(dns.write({ ...query, flags }), { address: source, port });
	};
}

describe("names of services, as q1 was told them", () => {
	const recorded = digged(LOG);
	const scaled = recorded.at(-1);

	test("svc is its VIP, tasks.svc and rr are all tasks, PTR of a VIP is unknown: flags, TTL and octets", async () => {
		const swarm = build();
		upstream(swarm);
		const questions = recorded.slice(0, -1);
		expect(questions).toHaveLength(11);
		for (const each of questions) expect(await dig(swarm, swarm.q1.netns, each.question)).toEqual(each);
	});

	test("answers with several addresses come in any order", async () => {
		const swarm = build();
		const orders = new Set<string>();
		for (let i = 0; i < 12; i++) {
			const { addresses } = await swarm.q1.resolve("tasks.svc");
			orders.add(addresses.join(" "));
		}
		expect(orders.size).toBeGreaterThan(2);
	});

	test("scaled to one task, tasks.svc is that one and svc still the VIP; the others left the load balancer", async () => {
		const swarm = build();
		const { node1, node3, svc2, svc3, q1 } = swarm;
		for (const [node, container] of [
			[node1, svc2],
			[node3, svc3],
		] as const) {
			node.deactivate(container);
			await swarm.lab.advance("2s");
			node.stop(container);
		}
		expect(scaled?.question).toBe("tasks.svc. IN A");
		expect(await dig(swarm, q1.netns, "tasks.svc. IN A")).toEqual(scaled);
		expect((await q1.resolve("svc")).addresses).toEqual(["10.8.8.2"]);
		const table = lines(node1.balancer("svc-net").ipvsadm("-Ln"));
		expect(table.map((line) => line.replace(/ +0 +0$/, ""))).toEqual(
			lines(golden("scaled-down-lb.txt")).map((line) => line.replace(/ +0 +2$/, "")),
		);
	});

	test("a task is known by its own name and its container's short id, on every node", async () => {
		const { q1, svc3 } = build();
		for (const name of ["svc.3.bes8qtyoutk1jd3pm200l8rgq", svc3.shortId])
			expect((await q1.resolve(name)).addresses).toEqual(["10.8.8.5"]);
		expect((await svc3.resolve("q1")).addresses).toEqual(["10.8.8.12"]);
	});
});

// ── the load balancer ─────────────────────────────────────────────────────────────────────────────

/** The first field of a name, as text. */
const text = (layers: readonly Layer[], name: string): string | undefined =>
	layers.flatMap(({ fields }) => fields).find((field) => field.name === name)?.text;

const ASCII = new TextEncoder();
const REQUEST = ASCII.encode("GET / HTTP/1.1\r\nHost: svc\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n");

/** How an exchange ended, by what that cost in segments of the client and of the server. */
const ENDS = {
	/** The server ended with its last octets, and the client at once. */
	"5 and 5": { end: undefined, close: 0.0601 },
	/** The client took longer than it may delay an acknowledgment. */
	"6 and 5": { end: undefined, close: 0.15 },
	/** The server ended behind its answer, then the client. */
	"6 and 6": { end: 0.08, close: 0.0802 },
	/** Both at once. */
	"7 and 6": { end: 0.08, close: 0.07998 },
} as const;

function exchange(connect: number, how: keyof typeof ENDS): Exchange {
	const { end, close } = ENDS[how];
	const at = {
		connect,
		request: connect + 0.02,
		answer: [connect + 0.04, connect + (end === undefined ? 0.04002 : 0.06)],
		end: end === undefined ? undefined : connect + end,
		close: connect + close - (end === undefined && how === "5 and 5" ? 0.0197 : 0),
	};
	const answer = [new Uint8Array(208).fill(0x2e), ASCII.encode("0123456789ab\n")];
	return { client: "10.8.8.12", server: "10.8.8.2", port: 80, request: REQUEST, answer, at };
}

describe("a service's VIP", () => {
	test("six GETs, a ping and a closed port: newest task first, and the counters of the recorded load balancer", async () => {
		const swarm = build();
		const { lab, q1, svc1, svc2, svc3, node1 } = swarm;
		const capture = lab.capture();
		const web = new HttpReplay(lab);
		for (const { netns } of [svc1, svc2, svc3]) web.listen(netns, 80);
		const START = 1000;
		const hows = ["6 and 5", "7 and 6", "5 and 5", "6 and 6", "6 and 5", "6 and 6"] as const;
		for (const [i, how] of hows.entries()) {
			// The task on node1 itself is reached without a cable.
			const ahead = i % 3 === 1 ? 0.00003 : 0.00204;
			web.add(q1.netns, exchange(START + i, how), ahead);
		}
		await atInstants(lab, START, web.commands, START + 7);
		expect(web.servers).toEqual(
			[svc3, svc2, svc1, svc3, svc2, svc1].map(({ name }) => expect.stringContaining(name) as string),
		);

		const pinged = await q1.ping("10.8.8.2", { count: 2 });
		expect(pinged.replies.map(({ ttl }) => ttl)).toEqual([64, 64]);
		await expect(q1.netns.connect({ hostname: "10.8.8.2", port: 81 })).rejects.toMatchObject({
			code: "ECONNREFUSED",
		});
		await lab.advance("24s");

		// The VIP is at the load balancer's address, and a task's reset comes from the VIP, one hop away.
		const seen = emulated(capture, "node1/q1:eth0").map(({ data }) => dissect(data));
		const answers = seen.filter((layers) => value(layers, "arp.senderIp") === parseIp4("10.8.8.2"));
		expect(answers.map((layers) => text(layers, "arp.senderMac"))).toEqual(["02:42:0a:08:08:08"]);
		const resets = seen.filter((layers) => text(layers, "tcp.flags") === "RST ACK");
		expect(resets.map((layers) => [text(layers, "ipv4.source"), value(layers, "ipv4.ttl")])).toEqual([
			["10.8.8.2", 63],
		]);

		const lb = node1.balancer("svc-net");
		const recorded = dumps("08-service-vip/after-node1.txt").get("sandbox lb_dkg5cghpo");
		expect(lines(lb.ipvsadm("-Ln --stats"))).toEqual(lines(recorded?.get("ipvsadm -Ln --stats") ?? ""));
		expect(flows(lb.ipvsadm("-Lcn"))).toEqual(flows(recorded?.get("ipvsadm -Lcn") ?? ""));
		expect(flows(lb.conntrack.list())).toEqual(flows(recorded?.get("conntrack -L") ?? ""));
		const counted = { counters: true };
		expect(savedRules(lb.iptablesTool.save(counted), counted)).toEqual(
			savedRules(recorded?.get("iptables-save -c") ?? "", counted),
		);
		await expectCleanInWireshark(capture.toPcapng());
	});
});
