import { Lab } from "../src/lab/index.ts";
import type { BenchCase, BuildCase } from "./runner.ts";

const HOSTS = 1000;
const CONTAINERS = 10;

/** Hosts with containers on one overlay, each host with its sandbox, bridge and tunnel. One packet is one container. */
function buildOverlay(containers: number): Lab {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	for (let h = 0; h < HOSTS; h++) {
		const vtep = `172.${String(16 + (h >> 8))}.${String(h & 255)}.2`;
		const host = lab.host(`h${String(h)}`, { nics: { eth0: { address: `${vtep}/12`, attach: lan } } });
		const sandbox = host.addNetns("sandbox");
		const bridge = sandbox.addBridge("br0");
		const vxlan = host.netns.addVxlan("vx", { vni: 4097, proxy: true, mtu: 1450 });
		host.netns.move(vxlan, sandbox, "vxlan0");
		bridge.attach(vxlan);
		for (let c = 0; c < containers; c++) {
			const ns = host.addNetns(`c${String(c)}`);
			const [port, eth0] = lab.veth({ ns: sandbox, name: `veth${String(c)}` }, { ns, name: "eth0" });
			bridge.attach(port);
			eth0.addAddress(`10.${String(h >> 8)}.${String(h & 255)}.${String(c + 1)}/8`);
			for (const device of [port, eth0]) device.up();
		}
		bridge.up();
		vxlan.up();
	}
	return lab;
}

const cases: readonly (BenchCase | BuildCase)[] = [
	{
		name: "build 1,000 hosts with 10 containers each (per container)",
		packets: HOSTS * CONTAINERS,
		prepare: () => () => void buildOverlay(CONTAINERS),
	},
	{
		name: "what 1,000 hosts with 10 idle containers each keep (per container)",
		packets: HOSTS * CONTAINERS,
		build: () => buildOverlay(CONTAINERS),
	},
	{
		name: "what 1,000 hosts without containers keep (per host)",
		packets: HOSTS,
		build: () => buildOverlay(0),
	},
];
export default cases;
