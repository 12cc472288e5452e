import type { Ip4 } from "../addr/index.ts";
import { ping, type PingOptions, type PingResult } from "../apps/index.ts";
import type { Operation } from "../sim/index.ts";
import { IpNamespace } from "../stack/index.ts";

/** A network namespace as users have it: iproute2's commands, and programs that run in it. */
export class Netns extends IpNamespace {
	/** Pings a host as ping(8) does. Rejects with `NetError` where ping ends at once. */
	ping(destination: Ip4 | string, options: PingOptions = {}): Operation<PingResult> {
		return ping(this, destination, options);
	}
}
