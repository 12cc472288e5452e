import { NetError } from "../../errors.ts";
import { type Rng, seconds, Timer } from "../../sim/index.ts";
import { networkdb } from "../../wire/index.ts";
import type { Memberlist } from "./memberlist.ts";
import type { NetworkDb } from "./networkdb.ts";
import { Ticker } from "./ticker.ts";
import type { Endpoint } from "./transport.ts";
import type { Clock } from "../clock.ts";

/** Between two attempts to reach a node that failed, or a bootstrap node. */
const RETRY_INTERVAL = seconds(1);
/** Between two looks whether a bootstrap node is in the cluster, and how long is tried then. */
const REJOIN_INTERVAL = seconds(60);
const REJOIN_DURATION = seconds(10);
/** How long it is waited until others were told. */
const BROADCAST_TIMEOUT = seconds(5);

/** What a reunion works with. */
export interface ReunionParts {
	readonly clock: Clock;
	readonly rng: Rng;
	readonly db: NetworkDb;
	readonly memberlist: Memberlist;
	readonly log: (line: string) => void;
}

/** Keeps the cluster together: joins it, tries nodes that failed again, and the bootstrap nodes when all are gone (libnetwork's cluster.go). */
export class Reunion {
	readonly #parts: ReunionParts;
	readonly #reconnects: Ticker;
	readonly #rejoins: Ticker;
	readonly #timers = new Set<Timer>();
	#bootstrap: readonly Endpoint[] = [];

	constructor(parts: ReunionParts) {
		this.#parts = parts;
		const { clock, rng, db } = parts;
		this.#reconnects = new Ticker({
			clock,
			rng,
			period: RETRY_INTERVAL,
			action: (done) => {
				this.#reconnect(done);
			},
			needed: () => db.state.nodes.in("failed").size > 0,
		});
		this.#rejoins = new Ticker({
			clock,
			rng,
			period: REJOIN_INTERVAL,
			action: (done) => {
				this.#rejoin(done);
			},
			needed: () => this.#bootstrap.length > 0,
		});
	}

	/** Begins. */
	start(): void {
		this.#reconnects.start();
		this.#rejoins.start();
	}

	/** Ends at once. */
	stop(): void {
		this.#reconnects.stop();
		this.#rejoins.stop();
		for (const timer of this.#timers) timer.cancel();
		this.#timers.clear();
	}

	/** A node may have failed. */
	wake(): void {
		this.#reconnects.wake();
	}

	/** Joins by way of bootstrap nodes. */
	join(bootstrap: readonly Endpoint[], done: (error: NetError | undefined) => void): void {
		this.#bootstrap = bootstrap;
		this.#rejoins.wake();
		this.#parts.memberlist.join(bootstrap, (joined) => {
			if (joined > 0) this.tellNode(networkdb.MEMBERSHIP.JOIN, done);
			else
				done(
					new NetError("EHOSTUNREACH", "could not join node to memberlist: no bootstrap node answered", {
						remedy: "Look whether the nodes at these addresses run, and whether TCP port 7946 is open.",
						context: { addresses: bootstrap },
					}),
				);
		});
	}

	/** Tells all that this node is there, or leaves; waits until that was sent often enough, if anybody is there. */
	tellNode(type: number, done: (error: NetError | undefined) => void): void {
		const { db } = this.#parts;
		const end = (error: NetError | undefined): void => {
			if (!this.#timers.delete(patience)) return;
			patience.cancel();
			done(error);
		};
		const patience = new Timer(() => {
			end(new NetError("ETIMEDOUT", "timed out broadcasting node event"));
		});
		this.#timers.add(patience);
		db.sendNodeEvent(type, () => {
			end(undefined);
		});
		if (db.state.nodes.in("active").size <= 1) end(undefined);
		else this.#parts.clock.after(BROADCAST_TIMEOUT, patience);
	}

	/** Tries one of the nodes that failed again. */
	#reconnect(done: () => void): void {
		const { db, memberlist, rng, log } = this.#parts;
		const failed = [...db.state.nodes.in("failed").values()];
		const node = failed[rng.below(failed.length)];
		if (node === undefined) {
			done();
			return;
		}
		const { name } = node.member;
		memberlist.join([{ ip: node.member.ip, port: node.member.port }], (joined) => {
			if (joined === 0) {
				done();
				return;
			}
			this.tellNode(networkdb.MEMBERSHIP.JOIN, (error) => {
				if (error !== undefined) {
					done();
					return;
				}
				log(`Initiating bulk sync with node ${name} after reconnect`);
				db.syncWith(name, done);
			});
		});
	}

	/** When no bootstrap node is in the cluster they are tried again, each second for ten seconds. */
	#rejoin(done: () => void): void {
		const { db, memberlist, rng, clock } = this.#parts;
		const self = memberlist.membership.self.ip;
		const active = [...db.state.nodes.in("active").values()];
		const isThere = ({ ip }: Endpoint): boolean =>
			active.some(({ member }) => member.ip === ip && member.ip !== self);
		if (this.#bootstrap.some(isThere)) {
			done();
			return;
		}
		const end = clock.now + REJOIN_DURATION;
		const attempts = new Ticker({
			clock,
			rng,
			period: RETRY_INTERVAL,
			action: (next) => {
				if (clock.now > end) {
					attempts.stop();
					done();
					return;
				}
				memberlist.join(this.#bootstrap, (joined) => {
					if (joined === 0) {
						next();
						return;
					}
					attempts.stop();
					this.tellNode(networkdb.MEMBERSHIP.JOIN, () => {
						done();
					});
				});
			},
		});
		attempts.start();
	}
}
