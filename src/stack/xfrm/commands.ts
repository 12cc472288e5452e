import type { Namespace } from "../namespace.ts";
import { XfrmPolicyCommands } from "./policy-commands.ts";
import { XfrmStat } from "./stat.ts";
import { XfrmStateCommands } from "./state-commands.ts";

/** `ip xfrm` of one namespace. */
export class XfrmCommands {
	/** `ip xfrm state`. */
	readonly state: XfrmStateCommands;
	/** `ip xfrm policy`. */
	readonly policy: XfrmPolicyCommands;
	readonly #ns: Namespace;

	constructor(ns: Namespace) {
		this.#ns = ns;
		this.state = new XfrmStateCommands(ns);
		this.policy = new XfrmPolicyCommands(ns);
	}

	/** /proc/net/xfrm_stat: packets that IPsec ended, by why. */
	get stat(): XfrmStat {
		return this.#ns.ipsec?.stat ?? new XfrmStat();
	}
}
