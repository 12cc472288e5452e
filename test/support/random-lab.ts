import fc from "fast-check";
import { Lab, type Netns } from "../../src/index.ts";
import { IpNamespace } from "../../src/stack/index.ts";

/** A small network drawn at random: hosts on a switch, on each a bridge with containers and tunnels. */
export interface Plan {
	readonly seed: number;
	/** For each host, the VNI of each of its containers. */
	readonly hosts: readonly (readonly number[])[];
	readonly learning: boolean;
	readonly proxy: boolean;
	readonly loss: number;
	readonly duplicate: number;
	readonly corrupt: number;
	readonly jitter: number;
}

const VNIS = [4097, 4098, 4099];

export const anyPlan: fc.Arbitrary<Plan> = fc.record({
	seed: fc.nat(),
	hosts: fc.array(fc.array(fc.constantFrom(...VNIS), { minLength: 1, maxLength: 3 }), {
		minLength: 1,
		maxLength: 3,
	}),
	learning: fc.boolean(),
	proxy: fc.boolean(),
	loss: fc.constantFrom(0, 0, 0.2),
	duplicate: fc.constantFrom(0, 0, 0.2),
	corrupt: fc.constantFrom(0, 0, 0.1),
	jitter: fc.constantFrom(0, 200),
});

/** A container of a plan. */
export interface Container {
	readonly ns: Netns;
	readonly host: number;
	readonly vni: number;
	readonly ip: string;
}

/** Builds a plan: one bridge and one tunnel per host and VNI, every tunnel floods to all other hosts. */
export function build(plan: Plan): { readonly lab: Lab; readonly containers: readonly Container[] } {
	const lab = new Lab({ seed: plan.seed });
	const lan = lab.switch("lan");
	const containers: Container[] = [];
	const vtep = (host: number): string => `192.0.2.${String(host + 1)}`;
	const netem = {
		loss: plan.loss,
		duplicate: plan.duplicate,
		corrupt: plan.corrupt,
		delay: "300us",
		jitter: `${String(plan.jitter)}us`,
	};
	for (const [number, vnis] of plan.hosts.entries()) {
		const host = lab.host(`h${String(number)}`, {
			nics: { eth0: { address: `${vtep(number)}/24`, attach: lan, cable: { netem } } },
		});
		for (const vni of new Set(vnis)) {
			const sandbox = host.addNetns(`s${String(vni)}`);
			const bridge = sandbox.addBridge("br0");
			const vxlan = host.netns.addVxlan(`vx${String(vni)}`, {
				vni,
				learning: plan.learning,
				proxy: plan.proxy,
				mtu: 1450,
			});
			host.netns.move(vxlan, sandbox, "vxlan0");
			bridge.attach(vxlan);
			bridge.up();
			vxlan.up();
			for (const other of plan.hosts.keys())
				if (other !== number) vxlan.appendFdb("default", { dst: vtep(other) });
		}
		for (const [i, vni] of vnis.entries()) {
			const sandbox = host.namespaces.get(`s${String(vni)}`);
			if (sandbox === undefined) continue;
			const ns = host.addNetns(`c${String(i)}`);
			const ip = `10.0.${String(number)}.${String(i + 1)}`;
			const [port, eth0] = IpNamespace.addVethPair(
				{ ns: sandbox, name: `v${String(i)}` },
				{ ns, name: "eth0" },
			);
			for (const end of [port, eth0]) end.setMtu(1450);
			sandbox.bridge("br0").attach(port);
			port.up();
			eth0.addAddress(`${ip}/16`);
			eth0.up();
			containers.push({ ns, host: number, vni, ip });
		}
	}
	if (plan.proxy) {
		for (const each of containers) {
			for (const other of containers) {
				if (other.host === each.host || other.vni !== each.vni) continue;
				const sandbox = lab.namespaces.get(`h${String(each.host)}/s${String(each.vni)}`);
				const vxlan = sandbox?.vxlan("vxlan0");
				if (sandbox === undefined || vxlan === undefined) continue;
				const mac = other.ns.device("eth0").macText;
				sandbox.neigh.replace(other.ip, { lladdr: mac, dev: vxlan });
			}
		}
	}
	return { lab, containers };
}
