import type { EndpointInfo, IpamData, JoinInfo, Lab, NetworkDriver, NetworkInfo, Netns } from "vethwork";

const text = (ip: number): string => [24, 16, 8, 0].map((shift) => String((ip >>> shift) & 255)).join(".");

/** `docker network create -d routed`: every container is a host route away, and the host answers ARP for everybody. */
export class RoutedDriver implements NetworkDriver {
	readonly type = "routed";
	readonly addresses = true;
	/** The host's namespace, known once the host is there. */
	ns!: Netns;
	readonly #lab: Lab;
	readonly #networks = new Map<string, IpamData>();
	readonly #endpoints = new Map<string, number>();

	constructor(lab: Lab) {
		this.#lab = lab;
	}

	createNetwork({ id, ipv4 }: NetworkInfo): void {
		if (ipv4[0] === undefined) return;
		this.#networks.set(id, ipv4[0]);
		this.ns.loopback.addAddress(`${text(ipv4[0].gateway)}/32`);
		// Docker lets nothing pass that no rule accepts; DOCKER-USER is where others' rules go.
		for (const way of ["-i", "-o"]) this.ns.iptables(`-I DOCKER-USER ${way} rtd+ -j ACCEPT`);
	}

	deleteNetwork(id: string): void {
		this.ns.loopback.removeAddress(`${text(this.#networks.get(id)?.gateway ?? 0)}/32`);
		for (const way of ["-i", "-o"]) this.ns.iptables(`-D DOCKER-USER ${way} rtd+ -j ACCEPT`);
		this.#networks.delete(id);
	}

	createEndpoint(_network: string, { id, address }: EndpointInfo): void {
		this.#endpoints.set(id, address?.address ?? 0);
	}

	deleteEndpoint(_network: string, id: string): void {
		this.#endpoints.delete(id);
	}

	macAddress(_network: string, id: string): string {
		const ip = text(this.#endpoints.get(id) ?? 0).split(".");
		return ["02", "42", ...ip.map((octet) => Number(octet).toString(16).padStart(2, "0"))].join(":");
	}

	join(network: string, id: string): JoinInfo {
		const name = `rtd${id.slice(0, 7)}`;
		const [device, hostEnd] = this.#lab.veth({ ns: this.ns, name: `${name}c` }, { ns: this.ns, name });
		hostEnd.up();
		this.ns.sysctl.set(`net.ipv4.conf.${name}.proxy_arp`, 1);
		this.ns.routes.add(`${text(this.#endpoints.get(id) ?? 0)}/32`, { dev: name });
		const gateway = this.#networks.get(network)?.gateway;
		const mac = this.macAddress(network, id);
		return { device, from: this.ns, prefix: "eth", mac, ...(gateway === undefined ? {} : { gateway }) };
	}

	leave(_network: string, id: string): void {
		this.ns.device(`rtd${id.slice(0, 7)}`).delete();
	}
}
