import { type Ip4, type Mac, toIp4 } from "../src/addr/index.ts";
import type { Peer } from "../src/cnm/drivers/overlay/peer.ts";
import { PromisedPeers } from "../src/cnm/drivers/overlay/promised-peers.ts";
import { Lab, type Netns } from "../src/lab/index.ts";
import type { VxlanDevice } from "../src/link/index.ts";
import type { BenchCase, BuildCase } from "./runner.ts";

const HOSTS = 1000;
const CONTAINERS = 10;
const PAIRS = 20;

interface Overlay {
	readonly lab: Lab;
	readonly vteps: readonly { readonly ip: Ip4; readonly sandbox: Netns; readonly vxlan: VxlanDevice }[];
	readonly containers: readonly {
		readonly ns: Netns;
		readonly ip: string;
		readonly mac: Mac;
		readonly vtep: Ip4;
	}[];
}

/** Hosts with containers on one overlay, each host with its sandbox, bridge and tunnel. One packet is one container. */
function buildOverlay(perHost: number): Overlay {
	const lab = new Lab({ seed: 1, maxPending: 4_000_000 });
	const lan = lab.switch("lan");
	const vteps: Overlay["vteps"][number][] = [];
	const containers: Overlay["containers"][number][] = [];
	for (let h = 0; h < HOSTS; h++) {
		const vtep = `172.${String(16 + (h >> 8))}.${String(h & 255)}.2`;
		const host = lab.host(`h${String(h)}`, { nics: { eth0: { address: `${vtep}/12`, attach: lan } } });
		const sandbox = host.addNetns("sandbox");
		const bridge = sandbox.addBridge("br0");
		const vxlan = host.netns.addVxlan("vx", { vni: 4097, proxy: true, mtu: 1450 });
		host.netns.move(vxlan, sandbox, "vxlan0");
		bridge.attach(vxlan);
		const ip = toIp4(vtep, "vtep");
		vteps.push({ ip, sandbox, vxlan });
		for (let c = 0; c < perHost; c++) {
			const ns = host.addNetns(`c${String(c)}`);
			const [port, eth0] = lab.veth({ ns: sandbox, name: `veth${String(c)}` }, { ns, name: "eth0" });
			bridge.attach(port);
			const address = `10.${String(h >> 8)}.${String(h & 255)}.${String(c + 1)}`;
			eth0.addAddress(`${address}/8`);
			for (const device of [port, eth0]) device.up();
			containers.push({ ns, ip: address, mac: eth0.mac, vtep: ip });
		}
		bridge.up();
		vxlan.up();
	}
	return { lab, vteps, containers };
}

/** Tells each VTEP of all containers, and has pairs by chance speak and answer. */
function converge({ lab, vteps, containers }: Overlay): void {
	const peers = { byAddress: new Map<Ip4, Peer>(), byMac: new Map<Mac, Peer>() };
	for (const { ip, mac, vtep } of containers) {
		const address = { address: toIp4(ip, "ip"), length: 8 };
		const peer = { endpointId: ip, address, mac, vtep, local: false };
		peers.byAddress.set(address.address, peer);
		peers.byMac.set(mac, peer);
	}
	for (const { ip, sandbox, vxlan } of vteps) {
		const promised = new PromisedPeers({ peers, self: ip, over: [] }, vxlan, undefined);
		sandbox.neigh.promise(promised.neighbours, { dev: vxlan });
		vxlan.fdb.promise(promised.fdb);
	}
	const rng = lab.world.rng.fork("pairs");
	const any = (): Overlay["containers"][number] => containers[rng.below(containers.length)]!;
	let answered = 0;
	for (let i = 0; i < PAIRS; i++) {
		const [from, to] = [any(), any()];
		const server = to.ns.udp({ port: 7 });
		server.handler = (frame, at, octets, address, port) => {
			server.send(frame.bytes.slice(at, at + octets), { address, port });
		};
		const client = from.ns.udp();
		client.handler = () => {
			answered++;
		};
		client.send(new Uint8Array(8), { address: to.ip, port: 7 });
		lab.world.scheduler.runUntil(lab.world.scheduler.now + 1e9);
		server.close();
	}
	if (answered !== PAIRS) throw new Error(`${String(answered)} of ${String(PAIRS)} answered`);
}

const cases: readonly (BenchCase | BuildCase)[] = [
	{
		name: "build 1,000 hosts with 10 containers each (per container)",
		packets: HOSTS * CONTAINERS,
		prepare: () => () => void buildOverlay(CONTAINERS),
	},
	{
		name: "the same, all told of all, 20 pairs by chance speak (per container)",
		packets: HOSTS * CONTAINERS,
		prepare: () => () => converge(buildOverlay(CONTAINERS)),
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
