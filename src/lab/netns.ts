import type { Ip4 } from "../addr/index.ts";
import {
	ping,
	type PingOptions,
	type PingResult,
	type RecordType,
	type Resolution,
	resolve,
} from "../apps/index.ts";
import type { Operation } from "../sim/index.ts";
import { IpNamespace } from "../stack/index.ts";

/** A network namespace as users have it: iproute2's commands, and programs that run in it. */
export class Netns extends IpNamespace {
	/** Pings a host as ping(8) does. Rejects with `NetError` where ping ends at once. */
	ping(destination: Ip4 | string, options: PingOptions = {}): Operation<PingResult> {
		return ping(this, destination, options);
	}

	/**
	 * Looks a name up as programs here would, by the namespace's /etc/hosts and /etc/resolv.conf (`ns.files`). Rejects with
	 * `NetError` EAI_NONAME, EAI_AGAIN.
	 */
	resolve(name: string, type: RecordType = "A"): Operation<Resolution> {
		return resolve(this, name, type);
	}
}
