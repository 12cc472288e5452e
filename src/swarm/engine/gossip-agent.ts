import type { Docker } from "../../cnm/index.ts";
import { NetError } from "../../errors.ts";
import type { Rng } from "../../sim/index.ts";
import type { IpNamespace } from "../../stack/index.ts";
import { Gossip, primaryFirst } from "../gossip/index.ts";
import type { EncryptionKey } from "../objects.ts";

/** Where a node is in its cluster, when its gossip begins. */
export interface GossipPlace {
	/** The address that others reach it at. */
	readonly address: string;
	readonly dataPathAddress: string;
	readonly dataPathPort: number;
	/** Managers' addresses: those to begin with. */
	readonly managers: readonly string[];
}

/** The gossip of a node's daemon: it begins when the first keys come, and ends with the node's membership. */
export class GossipAgent<N extends IpNamespace> {
	readonly #docker: Docker<N>;
	readonly #ns: IpNamespace;
	readonly #hostname: string;
	readonly #rng: Rng;
	#gossip: Gossip | undefined;
	/** That of a membership before says goodbye, and has the port; what waits until it has said so. */
	#goodbye: (() => void)[] | undefined;
	/** What waits until this node knows the others. */
	#waiting: (() => void)[] | undefined = [];
	/** It speaks to nobody of its own accord: `Gossip.settle` makes it one of the cluster. */
	waits = false;

	constructor(docker: Docker<N>, ns: IpNamespace, hostname: string, rng: Rng) {
		this.#docker = docker;
		this.#ns = ns;
		this.#hostname = hostname;
		this.#rng = rng;
	}

	/** The gossip, while it runs. */
	get gossip(): Gossip | undefined {
		return this.#gossip;
	}

	/** The managers told the keys: with the first the gossip begins, others replace those before. */
	setKeys(keys: readonly EncryptionKey[], place: GossipPlace): void {
		const octets = primaryFirst(
			keys
				.filter(({ subsystem }) => subsystem === "networking:gossip")
				.map(({ key, lamportTime }) => ({ key: fromHex(key), lamportTime })),
		).map(({ key }) => key);
		if (this.#gossip !== undefined) {
			this.#gossip.setKeys(octets);
			this.#docker.controller.setKeys(keys);
			return;
		}
		const { address, dataPathAddress, dataPathPort, managers } = place;
		const gossip = new Gossip({
			ns: this.#ns,
			advertise: address,
			hostname: this.#hostname,
			rng: this.#rng,
			keys: octets,
		});
		try {
			gossip.start();
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			// A program has the port: the daemon logs it and goes on without an agent (`error in agentInit`). The next keys try again.
			gossip.stop();
			this.#joined();
			return;
		}
		this.#gossip = gossip;
		const others = managers.filter((each) => each !== address);
		this.#docker.controller.startAgent({
			tables: gossip,
			keys,
			dataPathAddress,
			bindAddress: dataPathAddress,
			dataPathPort,
		});
		const joined = (): void => {
			if (this.#gossip === gossip) this.#joined();
		};
		if (others.length > 0 && !this.waits) gossip.join(others, joined);
		else joined();
	}

	/** Does something when this node knows the others, or tried to: at once when it does (`AgentInitWait`). */
	whenJoined(action: () => void): void {
		if (this.#waiting === undefined) action();
		else this.#waiting.push(action);
	}

	#joined(): void {
		const actions = this.#waiting ?? [];
		this.#waiting = undefined;
		for (const action of actions) action();
	}

	/** The node leaves: the others are told. */
	leave(): void {
		const gossip = this.#gossip;
		this.#gossip = undefined;
		this.#waiting = [];
		if (gossip === undefined) return;
		const after: (() => void)[] = [];
		this.#goodbye = after;
		gossip.leave(() => {
			gossip.stop();
			if (this.#goodbye === after) this.#goodbye = undefined;
			for (const action of after) action();
		});
	}

	/** Does something when the goodbye is said; false when nobody says any. */
	afterGoodbye(action: () => void): boolean {
		return this.#goodbye !== undefined && this.#goodbye.push(action) > 0;
	}

	/** The daemon is gone: nothing is said. */
	crash(): void {
		this.#gossip?.stop();
		this.#gossip = undefined;
		this.#goodbye = undefined;
		this.#waiting = [];
	}
}

const fromHex = (text: string): Uint8Array =>
	Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
