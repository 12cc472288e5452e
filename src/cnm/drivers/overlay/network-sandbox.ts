import { formatIp4 } from "../../../addr/index.ts";
import { NetError } from "../../../errors.ts";
import type { Veth, VxlanDevice } from "../../../link/index.ts";
import { IpNamespace } from "../../../stack/index.ts";
import { failed } from "../../docker-error.ts";
import type { Ids } from "../../ids.ts";
import type { Machine } from "../../machine.ts";
import { undoing } from "../../undo.ts";
import { errno } from "../errno.ts";
import type { OverlayConfig, OverlaySubnet } from "./options.ts";
import { PeerEntries, type SubnetDevices } from "./peer-entries.ts";

/** Digits of the network's id in device names; characters of a namespace's name (`osl.GenerateKey`). */
const ID_DIGITS = 5;
const KEY_DIGITS = 12;

/**
 * The namespace of one overlay network on one node, in which its frames are switched:
 *
 *     container eth0 ── veth1 ┐
 *     load balancer eth0 ── veth0 ┤ br0 (gateway's address) ─ vxlan0 ── the host's UDP port
 *     and a second subnet:     br1 ─ vxlan1
 *
 * It comes with the first endpoint that joins here and goes with the last. A subnet's devices come when it is first used,
 * so their numbers follow that order. Reference: libnetwork drivers/overlay/ov_network.go, osl.
 */
export class NetworkSandbox {
	readonly ns: IpNamespace;
	readonly #machine: Machine;
	readonly #config: OverlayConfig;
	readonly #key: string;
	readonly #devices = new Map<OverlaySubnet, SubnetDevices>();
	readonly #next = new Map<string, number>();
	/** What is known of endpoints on other nodes. */
	readonly peers: PeerEntries;

	/** Throws `DockerError`. */
	constructor(machine: Machine, config: OverlayConfig, epoch: number) {
		this.#machine = machine;
		this.#config = config;
		this.#key = `${String(epoch)}-${config.id}`.slice(0, KEY_DIGITS);
		try {
			this.ns = machine.addNetns(this.#key);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			throw failed(
				`network sandbox join failed: could not get network sandbox (oper false): ${errno(error)}`,
			);
		}
		// It is in /var/run/docker/netns, where `ip netns` does not look.
		this.ns.named = false;
		this.peers = new PeerEntries(this.ns, (subnet) => this.#at(subnet));
	}

	/** Whether a subnet's devices are here. */
	has(subnet: OverlaySubnet): boolean {
		return this.#devices.has(subnet);
	}

	/** A subnet's bridge and VXLAN device (`setupSubnetSandbox`). Throws `DockerError`, nothing changed. */
	setup(subnet: OverlaySubnet, port: number): void {
		if (this.#devices.has(subnet)) return;
		const { netns } = this.#machine;
		const name = `${subnet.vni.toString(16).padStart(6, "0")}-${this.#config.id.slice(0, ID_DIGITS)}`;
		undoing((undo) => {
			const bridge = this.ns.addBridge(`ov-${name}`);
			undo(() => {
				bridge.delete();
			});
			bridge.txQueueLength = 0;
			this.ns.rename(bridge, this.#name("br"));
			bridge.addAddress({ address: subnet.gateway, length: subnet.pool.length });
			bridge.up();
			const vxlan = this.#addVxlan(netns, `vx-${name}`, subnet, port);
			undo(() => {
				vxlan.delete();
			});
			netns.move(vxlan, this.ns, this.#name("vxlan"));
			bridge.attach(vxlan);
			vxlan.up();
			// Frames are in no VLAN here (`set-default-vlan`).
			bridge.set({ defaultPvid: 0 });
			this.#devices.set(subnet, { bridge, vxlan });
		});
	}

	/** In the host's namespace, which stays its underlay. */
	#addVxlan(netns: IpNamespace, name: string, { vni, pool }: OverlaySubnet, port: number): VxlanDevice {
		try {
			const { mtu } = this.#config;
			const vxlan = netns.addVxlan(name, { vni, port, proxy: true, l2miss: true, l3miss: true, mtu });
			vxlan.txQueueLength = 0;
			return vxlan;
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			const subnet = `${formatIp4(pool.address)}/${String(pool.length)}`;
			throw failed(
				`network sandbox join failed: subnet sandbox join failed for ${JSON.stringify(subnet)}: error creating vxlan interface: ${errno(error)}`,
				{ context: { vni, port } },
			);
		}
	}

	#name(prefix: string): string {
		const number = this.#next.get(prefix) ?? 0;
		this.#next.set(prefix, number + 1);
		return `${prefix}${String(number)}`;
	}

	/** An endpoint's veth pair: one end on the subnet's bridge, the other in the host's namespace for now. */
	addVeth(subnet: OverlaySubnet, mac: string, ids: Ids): Veth {
		const { netns } = this.#machine;
		const { bridge } = this.#at(subnet);
		const taken = (name: string): boolean => netns.hasDevice(name);
		const outerName = ids.interfaceName(taken);
		const innerName = ids.interfaceName((name) => name === outerName || taken(name));
		const [inner, outer] = IpNamespace.addVethPair(
			{ ns: netns, name: innerName },
			{ ns: netns, name: outerName },
		);
		for (const end of [outer, inner]) {
			end.txQueueLength = 0;
			end.setMtu(this.#config.mtu);
		}
		netns.move(outer, this.ns, this.#name("veth"));
		bridge.attach(outer);
		outer.up();
		inner.setMac(mac);
		return inner;
	}

	#at(subnet: OverlaySubnet): SubnetDevices {
		const devices = this.#devices.get(subnet);
		if (devices !== undefined) return devices;
		throw failed(`could not find the interface of subnet ${formatIp4(subnet.pool.address)}`);
	}

	/** The last endpoint left: all devices go with the namespace. */
	destroy(): void {
		this.#machine.delNetns(this.#key);
	}
}
