import type { ClusterNetwork, Container, Network, ServiceOfTask } from "../../src/cnm/index.ts";
import { type Docker, type Host, Lab, type Netns } from "../../src/index.ts";
import type { PhysicalSwitch } from "../../src/link/index.ts";
import { SharedTables } from "./tables.ts";

/** A network of the cluster's. */
export interface MeshNetwork {
	readonly id: string;
	readonly name: string;
	readonly subnet: string;
	readonly gateway: string;
	readonly vni: number;
	readonly ingress?: boolean;
	/** Driver options beside the VNI. */
	readonly options?: Readonly<Record<string, string>>;
}

/** What a task is on one network. */
export interface MeshPlace {
	readonly ip: string;
	readonly service?: ServiceOfTask;
}

/** A container of a task: its name, and its places by network. */
export interface MeshTask {
	readonly name: string;
	readonly on: Readonly<Record<string, MeshPlace>>;
}

/** One node of a cluster whose managers are the test. */
export class MeshNode {
	readonly host: Host;
	readonly docker: Docker<Netns>;
	readonly ip: string;

	constructor(host: Host, ip: string, tables: ReturnType<SharedTables["node"]>) {
		this.host = host;
		this.ip = ip;
		this.docker = host.docker;
		this.docker.controller.startAgent({
			tables,
			dataPathAddress: ip,
			bindAddress: ip,
			dataPathPort: 4789,
		});
	}

	/** A network comes to the node, with a load balancer of that address. */
	addNetwork(about: MeshNetwork, balancer: string): Network {
		const network = this.docker.controller.createManagedNetwork(clusterNetwork(about), "test");
		this.docker.services.createLoadBalancer(network, balancer);
		return network;
	}

	/** Of the cluster's networks on this node, by name. */
	network(name: string): Network {
		const found = this.docker.controller.networks.find((each) => each.name === name);
		if (found === undefined) throw new Error(`${this.host.name} is not on ${name}`);
		return found;
	}

	/** The namespace in which a network is balanced. */
	balancer(name: string): Netns {
		const { id, about } = this.network(name);
		const ns = this.host.namespaces.get(about.ingress ? "ingress_sbox" : `lb_${id.slice(0, 9)}`);
		if (ns === undefined) throw new Error(`${this.host.name} does not balance ${name}`);
		return ns;
	}

	/** A container that is no task gets a place on a network from the cluster: `docker run --network …`. */
	attach(name: string, network: MeshNetwork, ip: string): Container<Netns> {
		const about = clusterNetwork(network);
		this.docker.controller.cluster = {
			isManager: true,
			networks: () => [about],
			createNetwork: () => undefined,
			removeNetwork: () => undefined,
			attachNetwork: (_network, _container, _addresses, done) => {
				done({ network: about, addresses: [`${ip}/24`], taskId: "attachment" });
			},
			detachNetwork: () => undefined,
		};
		return this.docker.run({ name, hostname: name, network: network.name });
	}

	/** A task's container runs; its services hear of it when it is healthy (`activate`). */
	run({ name, on }: MeshTask): Container<Netns> {
		const places = Object.entries(on).map(([network, place]) => ({
			network: this.network(network),
			...place,
		}));
		const container = this.docker.controller.createContainer({ name }, places);
		this.docker.start(container);
		return container;
	}

	/** Its task is healthy. */
	activate({ sandbox }: Container<Netns>): void {
		if (sandbox !== undefined) this.docker.services.activateService(sandbox);
	}

	/** Its task winds down. */
	deactivate({ sandbox }: Container<Netns>): void {
		if (sandbox !== undefined) this.docker.services.deactivateService(sandbox);
	}

	/** It is gone. */
	stop(container: Container<Netns>): void {
		this.docker.rm(container, { force: true });
		this.docker.controller.settle();
	}
}

const clusterNetwork = ({
	id,
	name,
	subnet,
	gateway,
	vni,
	ingress = false,
	options = {},
}: MeshNetwork): ClusterNetwork => ({
	id,
	name,
	driver: "overlay",
	created: "2026-11-23T17:10:45.48197389Z",
	internal: false,
	attachable: !ingress,
	ingress,
	labels: {},
	options: { "com.docker.network.driver.overlay.vxlanid_list": String(vni), ...options },
	ipam: [{ Subnet: subnet, Gateway: gateway }],
	ipamOptions: null,
});

/** Some nodes of a swarm on one LAN. */
export interface Mesh {
	readonly lab: Lab;
	readonly lan: PhysicalSwitch;
	readonly tables: SharedTables;
	readonly nodes: readonly MeshNode[];
}

/** Three nodes of a swarm, or as many as said, 172.31.1.5 and on, without networks and tasks. */
export function mesh({
	seed = 1,
	cable = "50us",
	count = 3,
}: {
	readonly seed?: number;
	/** How long a frame takes from a card to the switch. */
	readonly cable?: string;
	readonly count?: number;
} = {}): Mesh {
	const lab = new Lab({ seed, epoch: "2026-11-23T17:20:00Z", latency: { cable } });
	const lan = lab.switch("underlay");
	const tables = new SharedTables();
	const nodes = Array.from({ length: count }, (_, i) => {
		const n = i + 1;
		const ip = `172.31.1.${String(4 + n)}`;
		const name = `node${String(n)}`;
		const mac = `52:54:00:00:0${String(n)}:00`;
		const eth0 = { address: `${ip}/24`, gateway: "172.31.1.1", mac, attach: lan };
		const host = lab.host(name, { nics: { eth0 } });
		host.netns.files.set("/etc/resolv.conf", "search lab.example\nnameserver 172.31.1.1\n");
		return new MeshNode(host, ip, tables.node(name, ip));
	});
	return { lab, lan, tables, nodes };
}

/** The nodes of a mesh of three, by themselves. */
export function three({ nodes }: Mesh): readonly [MeshNode, MeshNode, MeshNode] {
	const [a, b, c] = nodes;
	if (a === undefined || b === undefined || c === undefined) throw new Error("there are three");
	return [a, b, c];
}
