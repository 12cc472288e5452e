import type { Ip4, Prefix4 } from "../../addr/index.ts";
import type { Device } from "../../link/index.ts";
import type { IpNamespace } from "../../stack/index.ts";

/** Where a node balances one network: `lb_<network>`, or `ingress_sbox`. */
export interface LoadBalancerSandbox {
	readonly ns: IpNamespace;
	/** Its device on the network, eth0. */
	readonly device: Device;
	/** The node's load balancer address there, `10.0.0.4/24`. */
	readonly address: Prefix4;
	/** Tasks answer clients themselves, by the VIP they have on loopback (the network's option `dsr`). */
	readonly directReturn: boolean;
	/** Its address on docker_gwbridge, of `ingress_sbox` alone: what published ports lead to. */
	readonly gatewayAddress?: Ip4;
}
