import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Container, type Host, Lab, type Netns } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { value } from "../support/golden.ts";
import { FakeCluster, leftOvers } from "../support/cluster.ts";

const KEYS = [1, 2, 3].map((lamportTime) => ({
	subsystem: "networking:ipsec",
	key: String(lamportTime).padStart(32, "0"),
	lamportTime,
}));
const NETWORKS = [
	{ name: "plain", subnets: ["10.0.1.0/24"], secure: false },
	{ name: "secret", subnets: ["10.0.2.0/24"], secure: true },
	{ name: "wide", subnets: ["10.0.3.0/24", "10.0.4.0/24"], secure: false },
] as const;

type Step =
	| { readonly do: "run"; readonly node: number; readonly network: number }
	| { readonly do: "rm"; readonly which: number }
	| { readonly do: "ping"; readonly from: number; readonly to: number }
	| { readonly do: "shout"; readonly from: number; readonly octets: readonly number[] }
	| { readonly do: "wait"; readonly milliseconds: number };

const nat = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 3,
		arbitrary: fc.record({
			do: fc.constant("run" as const),
			node: fc.nat({ max: 2 }),
			network: fc.nat({ max: NETWORKS.length - 1 }),
		}),
	},
	fc.record({ do: fc.constant("rm" as const), which: nat }),
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("ping" as const), from: nat, to: nat }) },
	fc.record({
		do: fc.constant("shout" as const),
		from: nat,
		octets: fc.array(fc.nat({ max: 255 }), { minLength: 20, maxLength: 60 }),
	}),
	fc.record({ do: fc.constant("wait" as const), milliseconds: fc.nat({ max: 200 }) }),
);

interface Running {
	readonly container: Container<Netns>;
	readonly host: Host;
	readonly network: number;
}

function world() {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("underlay");
	const cluster = new FakeCluster(lab, { keys: KEYS, delay: 20 });
	const hosts = [5, 6, 7].map((last) => {
		const ip = `172.31.1.${String(last)}`;
		const host = lab.host(`node${String(last)}`, { nics: { eth0: { address: `${ip}/24`, attach: lan } } });
		cluster.join(host, ip);
		return host;
	});
	const vnis = NETWORKS.map(({ name, subnets, secure }) => {
		const { options } = cluster.define(name, { subnets, ...(secure ? { options: { encrypted: "" } } : {}) });
		return (options["com.docker.network.driver.overlay.vxlanid_list"] ?? "").split(",").map(Number);
	});
	return { lab, hosts, vnis };
}

describe("overlay networks", () => {
	test("keep their frames to themselves, encrypted ones say nothing in clear, and all goes when it is removed", async () => {
		// What was looked at, so that nobody is content with nothing.
		const seen = { replies: 0, tunnelled: 0, inside: 0 };
		await fc.assert(
			fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), async (steps) => {
				const { lab, hosts, vnis } = world();
				const before = hosts.map(leftOvers);
				const capture = lab.capture();
				const running: Running[] = [];
				for (const [i, each] of steps.entries()) {
					switch (each.do) {
						case "run": {
							const host = hosts[each.node];
							const network = NETWORKS[each.network];
							if (host === undefined || network === undefined) break;
							const container = await host.docker.run({
								name: `c${String(i)}`,
								network: network.name,
								sysctls: { "net.ipv4.ip_forward": 0 },
							}).ready;
							running.push({ container, host, network: each.network });
							break;
						}
						case "rm": {
							const [gone] = running.splice(each.which % Math.max(1, running.length), 1);
							gone?.host.docker.rm(gone.container, { force: true });
							break;
						}
						case "ping": {
							const [from, to] = [each.from, each.to].map((at) => running[at % Math.max(1, running.length)]);
							if (from === undefined || to === undefined) break;
							await lab.advance("100ms");
							const { received } = await from.container.ping(to.container.ip(), {
								count: 1,
								timeout: "500ms",
							});
							seen.replies += received;
							// Who is on one network is reached; who is on another is not, whatever the way out says.
							expect(received).toBe(from.network === to.network ? 1 : 0);
							break;
						}
						case "shout": {
							const from = running[each.from % Math.max(1, running.length)];
							if (from === undefined) break;
							const { netns } = from.container;
							netns.packetSocket().send(Uint8Array.from(each.octets), netns.device("eth0"));
							break;
						}
						default:
							await lab.advance(each.milliseconds);
					}
				}
				await lab.advance("1s");
				const at = (places: RegExp) =>
					capture.interfaces
						.filter((place) => places.test(place))
						.flatMap((place) => capture.sightings(place));
				for (const { data } of at(/^node\d:eth0$/)) {
					const layers = dissect(data);
					const vni = value(layers, "vxlan.vni");
					if (vni === undefined) continue;
					seen.tunnelled++;
					const network = vnis.findIndex((own) => own.includes(Number(vni)));
					expect(NETWORKS[network]?.secure).toBe(false);
				}
				// In a network's sandbox there are the network's own addresses, and those of what was made up.
				for (const [n, { name }] of NETWORKS.entries()) {
					const others = NETWORKS.flatMap(({ subnets }, other) =>
						other === n ? [] : subnets.map((subnet) => subnet.slice(0, -5)),
					);
					for (const { data } of at(new RegExp(`^node\\d/\\d+-${name}`))) {
						const layers = dissect(data);
						const texts = layers
							.filter(({ quoted }) => !quoted)
							.flatMap(({ fields }) => fields)
							.filter(({ name: field }) => field === "ipv4.source" || field === "arp.senderIp")
							.map(({ text }) => text);
						seen.inside += texts.length;
						for (const text of texts)
							expect(others.some((prefix) => text.startsWith(`${prefix}.`))).toBe(false);
					}
				}
				for (const { container, host } of running.splice(0)) host.docker.rm(container, { force: true });
				await lab.advance("1s");
				for (const [i, host] of hosts.entries()) {
					const { namespaces, states, policies, devices } = leftOvers(host);
					const old = before[i] as ReturnType<typeof leftOvers>;
					expect({ namespaces, states, policies }).toEqual({ namespaces: [], states: "", policies: "" });
					expect((devices as string[]).filter((each) => each !== "docker_gwbridge")).toEqual(old["devices"]);
					const rules = (leftOvers(host)["rules"] as string[]).filter((rule) => !rule.includes("gwbridge"));
					expect(rules).toEqual(old["rules"]);
				}
				expect(lab.world.frames.taken).toBe(0);
			}),
			{ numRuns: 40 },
		);
		for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
	});
});
