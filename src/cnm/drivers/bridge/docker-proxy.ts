import type { IpNamespace } from "../../../stack/index.ts";
import type { PortProxy, ProxyRequest, StartProxy } from "./port-mapper.ts";
import { TcpProxy, type Wake } from "./tcp-proxy.ts";
import { UdpProxy } from "./udp-proxy.ts";

/** There is no IPv6 in the stack to listen with: the port on `::` is in the daemon's books alone. */
const NOTHING: PortProxy = {
	close: () => {
		// Nothing was opened.
	},
};

/**
 * Starts docker-proxy on a host: what answers where no rule translates, such as at 127.0.0.1 and from containers.
 * `wake` says when its processes get to their work, at once unless said.
 */
export const dockerProxy =
	(ns: IpNamespace, wake?: Wake): StartProxy =>
	(request: ProxyRequest): PortProxy => {
		if (request.hostIp.includes(":")) return NOTHING;
		return request.proto === "tcp" ? new TcpProxy(ns, request, wake) : new UdpProxy(ns, request);
	};

/**
 * Without the userland proxy dockerd holds the port itself, so that nobody else takes it, and answers nothing
 * (`dummyProxy`).
 */
export const heldPort =
	(ns: IpNamespace): StartProxy =>
	({ proto, hostIp: address, hostPort: port }: ProxyRequest): PortProxy =>
		proto === "tcp" ? ns.tcp.listen({ address, port }) : ns.udp({ address, port });
