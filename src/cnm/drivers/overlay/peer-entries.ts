import type { Ip4, Mac } from "../../../addr/index.ts";
import { NetError } from "../../../errors.ts";
import type { Bridge, VxlanDevice } from "../../../link/index.ts";
import type { IpNamespace } from "../../../stack/index.ts";
import type { OverlaySubnet } from "./options.ts";
import { PromisedPeers, type SettledPeers } from "./promised-peers.ts";

/** A subnet's two devices in the sandbox. */
export interface SubnetDevices {
	readonly bridge: Bridge;
	readonly vxlan: VxlanDevice;
}

/**
 * What a network's sandbox has of remote endpoints: a permanent neighbour for the proxy, a forwarding entry for the node.
 * What many nodes know alike is only promised to the devices, and made when a frame asks for it.
 */
export class PeerEntries {
	readonly #ns: IpNamespace;
	readonly #devices: (subnet: OverlaySubnet) => SubnetDevices;
	readonly #promised = new Map<OverlaySubnet, PromisedPeers>();
	/** Whose entries were written, by address: a second claim on it waits. */
	readonly #written = new Map<Ip4, { readonly mac: Mac; readonly vtep: Ip4 }>();
	/** How many addresses were written with a MAC. */
	readonly #macs = new Map<Mac, number>();

	/** `devices` says where a subnet's entries are; it throws for a subnet that was not set up. */
	constructor(ns: IpNamespace, devices: (subnet: OverlaySubnet) => SubnetDevices) {
		this.#ns = ns;
		this.#devices = devices;
	}

	/** All of a subnet's peers that many know alike are promised; in place of those promised before. */
	promise(subnet: OverlaySubnet, settled: SettledPeers): void {
		const { vxlan } = this.#devices(subnet);
		const promised = new PromisedPeers(settled, vxlan, this.#promised.get(subnet));
		for (const [ip, { mac, vtep }] of this.#written) {
			if (!settled.peers.byAddress.has(ip)) continue;
			const same = promised.at(ip);
			promised.made(ip);
			// One that waits for another claim's end is written when that goes.
			if (same?.mac !== mac || same.vtep !== vtep) promised.release(ip);
			else this.#forget(ip, mac);
		}
		this.#promised.set(subnet, promised);
		this.#ns.neigh.promise(promised.neighbours, { dev: vxlan });
		vxlan.fdb.promise(promised.fdb);
	}

	/** A remote endpoint's neighbour entry, then its forwarding entry; nothing while its address is another claim's. */
	add(subnet: OverlaySubnet, ip: Ip4, mac: Mac, vtep: Ip4): void {
		if (this.#written.has(ip) || this.#promised.get(subnet)?.at(ip) !== undefined) return;
		const { vxlan } = this.#devices(subnet);
		this.#ns.neigh.replace(ip, { dev: vxlan, lladdr: mac });
		if (!this.#shares(subnet, mac, vtep)) vxlan.replaceFdb(mac, { dst: vtep });
		this.#written.set(ip, { mac, vtep });
		this.#macs.set(mac, (this.#macs.get(mac) ?? 0) + 1);
	}

	/** Its forwarding entry goes, then the neighbour; nothing when what is there was written for another claim. */
	remove(subnet: OverlaySubnet, ip: Ip4, mac: Mac, vtep: Ip4): void {
		const promised = this.#promised.get(subnet);
		const written = this.#written.get(ip) ?? promised?.at(ip);
		if (written?.mac !== mac || written.vtep !== vtep) return;
		if (this.#written.has(ip)) this.#forget(ip, mac);
		else promised?.release(ip);
		const { bridge, vxlan } = this.#devices(subnet);
		if (!this.#shares(subnet, mac, vtep)) {
			unless("ENOENT", () => {
				vxlan.delFdb(mac, { dst: vtep });
			});
			// What the bridge learned of it goes too, else its frames would find no way until that ages.
			unless("ENOENT", () => {
				bridge.fdb.del(mac, { dev: vxlan });
			});
		}
		unless("ENOENT", () => {
			this.#ns.neigh.del(ip, { dev: vxlan });
		});
	}

	#forget(ip: Ip4, mac: Mac): void {
		this.#written.delete(ip);
		const others = (this.#macs.get(mac) ?? 0) - 1;
		if (others > 0) this.#macs.set(mac, others);
		else this.#macs.delete(mac);
	}

	/** Whether another address has the same forwarding entry. */
	#shares(subnet: OverlaySubnet, mac: Mac, vtep: Ip4): boolean {
		if (this.#promised.get(subnet)?.with(mac)?.vtep === vtep) return true;
		// Addresses of MACs are one to one unless users say otherwise.
		if (!this.#macs.has(mac)) return false;
		return [...this.#written.values()].some((each) => each.mac === mac && each.vtep === vtep);
	}
}

/** What somebody else took away already needs no taking away. */
function unless(code: string, work: () => void): void {
	try {
		work();
	} catch (error) {
		if (!(error instanceof NetError && error.code === code)) throw error;
	}
}
