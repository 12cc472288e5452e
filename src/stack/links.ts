import { type Device, linkDetails, linkJson, type LinkJson, linkText, type NetnsRef } from "../link/index.ts";
import { Namespace } from "./namespace.ts";

/** `ip link show` of one namespace. */
export class LinkCommands {
	readonly #ns: Namespace;
	/** Other namespaces by their numbers here; a number is free again when its namespace is gone (`peernet2id_alloc`). */
	readonly #numbers: (object | undefined)[] = [];

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	/**
	 * `ip link show`, or of one device `ip link show dev DEVICE`: two lines for each, with `details` (`ip -d`) what its kind
	 * has to say, too. Throws `NetError` ENODEV.
	 */
	show(device?: Device | string, { details = false }: { readonly details?: boolean } = {}): string {
		return this.#which(device)
			.map((each) => `${linkText(each, this.#netns)}${details ? linkDetails(each) : ""}\n`)
			.join("");
	}

	/** `ip -j link show`. Throws `NetError` ENODEV. */
	json(device?: Device | string): LinkJson[] {
		return this.#which(device).map((each) => linkJson(each, this.#netns));
	}

	#which(device: Device | string | undefined): readonly Device[] {
		if (device === undefined) return this.#ns.devices;
		return [typeof device === "string" ? this.#ns.device(device) : device];
	}

	/** The number of another namespace here, given when it is first needed; undefined for this one. */
	netnsid(owner: { readonly name: string }): number | undefined {
		return owner === this.#ns ? undefined : this.#netns(owner).id;
	}

	readonly #netns = (owner: { readonly name: string }): NetnsRef => {
		const id = this.#number(owner);
		// The namespace a machine boots with has no name in /var/run/netns; `machine/name` is `name` there.
		const boot = owner instanceof Namespace && (owner.kernel.name === owner.name || !owner.named);
		return { id, name: boot ? undefined : owner.name.slice(owner.name.indexOf("/") + 1) };
	};

	/** The one it has, else the lowest that is free. */
	#number(owner: object): number {
		const numbers = this.#numbers;
		let free = numbers.length;
		for (let id = numbers.length - 1; id >= 0; id--) {
			const each = numbers[id];
			if (each === owner) return id;
			if (each === undefined || (each instanceof Namespace && each.gone)) free = id;
		}
		numbers[free] = owner;
		return free;
	}

	/** A namespace is gone. */
	forget(owner: object): void {
		const id = this.#numbers.indexOf(owner);
		if (id >= 0) this.#numbers[id] = undefined;
	}
}
