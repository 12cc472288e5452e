import { NetError } from "../errors.ts";
import type { IpNamespace } from "../stack/index.ts";
import type { Attachments } from "./attachments.ts";
import type { ClusterAttachment } from "./cluster.ts";
import { type Container, type ContainerStatus, isRestarting } from "./container.ts";
import { bindings, setSysctls } from "./container-checks.ts";
import type { Departures } from "./departures.ts";
import type { Naming } from "./dns/naming.ts";
import { conflict, failed } from "./docker-error.ts";
import type { GatewayService } from "./gateway.ts";
import { HealthMonitor } from "./health.ts";
import type { Ids } from "./ids.ts";
import { checkLinks, linkedHosts, linkOptions } from "./legacy-links.ts";
import type { Machine } from "./machine.ts";
import { type Program, programOf } from "./program.ts";
import { Restarts } from "./restarts.ts";
import { Sandbox } from "./sandbox.ts";
import { undoing } from "./undo.ts";

/** Why what was under way is given up. */
export const DYING = "container is marked for removal and cannot be started";

/** What programs end with when SIGTERM or SIGKILL ends them: 128 and the signal's number. */
const TERMINATED = 143;
export const KILLED = 137;

/** What containers are started and stopped with. */
export interface ContainerRunnerOptions<N extends IpNamespace> {
	readonly machine: Machine<N>;
	readonly attachments: Attachments<N>;
	readonly departures: Departures;
	readonly naming: Naming<N>;
	readonly gateway: GatewayService;
	readonly ids: Ids;
	/** What runs in containers, by image. */
	readonly images: ReadonlyMap<string, Program<N>>;
	/** By name, id, or the first digits of an id. Throws `DockerError` 404. */
	readonly find: (term: string) => Container<N>;
}

/** `docker start`, `docker stop`: a container's sandbox, its endpoints and its program come and go. */
export class ContainerRunner<N extends IpNamespace> {
	readonly #machine: Machine<N>;
	readonly #attachments: Attachments<N>;
	readonly #departures: Departures;
	readonly #naming: Naming<N>;
	readonly #gateway: GatewayService;
	readonly #ids: Ids;
	readonly #images: ReadonlyMap<string, Program<N>>;
	readonly #find: (term: string) => Container<N>;
	readonly #restarts: Restarts<N>;

	constructor({
		machine,
		attachments,
		departures,
		naming,
		gateway,
		ids,
		images,
		find,
	}: ContainerRunnerOptions<N>) {
		this.#departures = departures;
		this.#machine = machine;
		this.#attachments = attachments;
		this.#naming = naming;
		this.#gateway = gateway;
		this.#ids = ids;
		this.#images = images;
		this.#find = find;
		this.#restarts = new Restarts<N>(machine.netns.kernel, (container) => {
			this.#startAgain(container);
		});
	}

	/**
	 * `docker start`; nothing for one that runs, or that is on its way. On networks of the cluster's it runs when it got its
	 * places, see `container.ready`; `failed` is called when it does not get them. Throws `DockerError`, nothing changed.
	 */
	start(container: Container<N>, failed?: () => void): void {
		if (container.running || container.status === "restarting" || container.busy) return;
		this.#restarts.started(container, true);
		this.#go(container, failed);
	}

	#go(container: Container<N>, failed?: () => void): void {
		this.#departures.finish();
		const requests = [...container.clusterRequests.values()];
		if (requests.length === 0) return this.#run(container, []);
		this.#attachments.askCluster(
			container,
			requests,
			`docker start ${container.name}`,
			(places) => {
				this.#run(container, places);
			},
			failed,
		);
	}

	#run(container: Container<N>, places: readonly ClusterAttachment[]): void {
		// While the cluster was asked others may have stopped.
		this.#departures.finish();
		const { networkMode } = container;
		if (networkMode.startsWith("container:")) {
			container.runIn(this.#peer(container, networkMode.slice("container:".length)).netns, (code) => {
				this.#exited(container, code);
			});
			this.#begin(container);
			return;
		}
		checkLinks(container);
		undoing((undo) => {
			const requests = [...container.clusterRequests.values()];
			for (const [i, place] of places.entries()) {
				const attachment = this.#attachments.place(container, requests[i], place);
				undo(() => {
					this.#attachments.leaveCluster(container, attachment);
				});
			}
			const host = networkMode === "host";
			const ns = host ? this.#machine.netns : this.#machine.addNetns(container.name);
			undo(() => {
				if (!host) this.#machine.delNetns(container.name);
			});
			if (!host) {
				// It is in /var/run/docker/netns, where `ip netns` does not look.
				ns.named = false;
				setSysctls(ns, container.options.sysctls ?? {});
			}
			container.sandbox = new Sandbox({
				id: this.#ids.id(),
				containerId: container.id,
				ns,
				own: !host,
				ports: bindings(container),
				links: linkOptions(container),
				gateway: this.#gateway,
			});
			container.runIn(ns, (code) => {
				this.#exited(container, code);
			});
			const { sandboxId } = container;
			container.sandboxId = container.sandbox.id;
			undo(() => {
				container.sandbox = undefined;
				container.sandboxId = sandboxId;
				container.runIn(undefined);
			});
			const attachments = [...container.attachments.values()];
			const made = attachments.map((each) => {
				undo(() => {
					this.#attachments.detach(each);
				});
				return this.#attachments.createEndpoint(container, each);
			});
			container.sandbox.joinAll(made);
			container.linkedHosts = linkedHosts(container);
			this.#naming.follow(container);
			undo(() => {
				this.#naming.end(container);
			});
			this.#begin(container);
		});
		// Whoever is linked to it reads its new address in /etc/hosts (`updateParentHosts`).
		for (const parent of container.linkedBy) {
			if (!parent.running) continue;
			parent.linkedHosts = linkedHosts(parent);
			this.#naming.follow(this.#find(parent.id));
		}
	}

	/** Its program runs, and is asked how it is. */
	#begin(container: Container<N>): void {
		const { image = "", healthcheck } = container.options;
		container.status = "running";
		container.exitCode = 0;
		try {
			programOf(this.#images, image)?.(container);
		} catch (error) {
			container.status = "created";
			throw error;
		}
		if (healthcheck === undefined || !container.running) return;
		const { kernel } = this.#machine.netns;
		container.monitor = new HealthMonitor(
			kernel,
			healthcheck,
			() => container.probe(),
			(status) => {
				container.healthChanged(status);
			},
		);
	}

	#peer(container: Container<N>, term: string): Container<N> {
		const peer = this.#find(term);
		if (peer === container) throw failed("cannot join own network");
		if (peer.running) return peer;
		if (peer.status === "restarting") throw isRestarting(peer);
		throw conflict(`cannot join network of a non running container: ${peer.id}`, {
			remedy: `Start ${peer.name} first.`,
		});
	}

	/** Its time has come; when it does not start it has exited, and is not tried again. */
	#startAgain(container: Container<N>): void {
		container.status = "exited";
		this.#restarts.started(container, false);
		try {
			this.#go(container);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			this.#restarts.cancel(container);
		}
	}

	/** Its program ended with a code. */
	#exited(container: Container<N>, exitCode: number): void {
		this.#end(container, exitCode, this.#restarts.ended(container, exitCode) ? "restarting" : "exited");
	}

	/** The machine loses power: nobody is started again. */
	forget(): void {
		this.#restarts.forget();
	}

	/**
	 * `docker stop`; nothing for one that does not run. The signal ends it at once, and its connections are closed; what it had of
	 * the network goes a little later (`Departures`).
	 */
	stop(container: Container<N>, exitCode: number = TERMINATED): void {
		this.#restarts.cancel(container);
		if (container.status === "restarting") container.status = "exited";
		this.#end(container, exitCode, "exited");
	}

	#end(container: Container<N>, exitCode: number, status: ContainerStatus): void {
		container.cancel(conflict(DYING));
		if (!container.running) return;
		container.monitor?.stop();
		container.monitor = undefined;
		this.#naming.end(container);
		const { sandbox } = container;
		if (sandbox !== undefined) {
			if (sandbox.own) sandbox.ns.endPrograms();
			const vacated = this.#attachments.vacate(container);
			this.#departures.begin(sandbox, () => {
				sandbox.clear();
				vacated();
				if (sandbox.own) this.#machine.delNetns(container.name);
			});
		}
		container.sandbox = undefined;
		container.runIn(undefined);
		container.status = status;
		container.exitCode = exitCode;
		container.exited();
	}
}
