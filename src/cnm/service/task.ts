import { formatIp4, type Ip4 } from "../../addr/index.ts";
import type { Device } from "../../link/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import type { IngressPort } from "./binding.ts";

/**
 * In a task with published ports: what comes from the mesh has the published port, the program another; and nothing else
 * of TCP, UDP and SCTP passes at the address on ingress, in or out. Made when the task's endpoint joins.
 *
 * Reference: libnetwork service_linux.go `addRedirectRules`.
 */
export function redirectPorts(ns: IpNamespace, address: Ip4, ports: readonly IngressPort[]): void {
	if (ports.length === 0) return;
	const ip = formatIp4(address);
	for (const { protocol, publishedPort, targetPort } of ports) {
		const to = String(targetPort);
		for (const rule of [
			`-t nat -A PREROUTING -d ${ip} -p ${protocol} --dport ${String(publishedPort)} -j REDIRECT --to-ports ${to}`,
			`-I INPUT -d ${ip} -p ${protocol} --dport ${to} -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT`,
			`-I OUTPUT -s ${ip} -p ${protocol} --sport ${to} -m conntrack --ctstate ESTABLISHED -j ACCEPT`,
		])
			ns.iptables(rule);
	}
	for (const protocol of ["sctp", "udp", "tcp"]) {
		ns.iptables(`-A INPUT -d ${ip} -p ${protocol} -j DROP`);
		ns.iptables(`-A OUTPUT -s ${ip} -p ${protocol} -j DROP`);
	}
}

/**
 * A task on a network with direct server return takes packets to its service's VIP for its own, without answering ARP for
 * it: the load balancer does. Made when its endpoint joins (`DisableARPForVIP`, `AddLoopbackAliasIP`).
 */
export function ownVirtualIp(ns: IpNamespace, device: Device, vip: Ip4): void {
	ns.sysctl.set(`net.ipv4.conf.${device.name}.arp_ignore`, 1);
	ns.sysctl.set(`net.ipv4.conf.${device.name}.arp_announce`, 2);
	ns.loopback.addAddress({ address: vip, length: 32 });
}
