import type { PortProtocol, ServicePort } from "../../objects.ts";
import { AllocationError } from "./allocation-error.ts";
import { IdSpace } from "./id-space.ts";

/** Ports the cluster chooses (swarmkit portallocator.go `dynamicPortStart`, `dynamicPortEnd`). */
const FIRST = 30_000;
const LAST = 32_767;

/** The ports of ingress mode that are published in the whole cluster, by protocol. */
export class PortSpaces {
	readonly #spaces: Readonly<Record<PortProtocol, IdSpace>> = {
		tcp: new IdSpace(FIRST, LAST),
		udp: new IdSpace(FIRST, LAST),
		sctp: new IdSpace(FIRST, LAST),
	};

	/** Ports in use: `8080/tcp`. */
	get taken(): readonly string[] {
		return Object.entries(this.#spaces).flatMap(([protocol, space]) =>
			space.taken.map((port) => `${String(port)}/${protocol}`),
		);
	}

	/** Takes a port, the next free one when it says 0. Ports of mode host are the nodes' own. Throws AllocationError. */
	take(port: ServicePort): ServicePort {
		if (port.publishMode !== "ingress") return port;
		const space = this.#spaces[port.protocol];
		if (port.publishedPort !== 0) {
			if (!space.take(port.publishedPort)) throw new AllocationError("requested bit is already allocated");
			return port;
		}
		const publishedPort = space.next();
		if (publishedPort === undefined) throw new AllocationError("no bit available");
		return { ...port, publishedPort };
	}

	/** Gives a port back. */
	release(port: ServicePort): void {
		if (port.publishMode === "ingress") this.#spaces[port.protocol].release(port.publishedPort);
	}
}

const same = (a: ServicePort, b: ServicePort): boolean =>
	a.name === b.name && a.protocol === b.protocol && a.targetPort === b.targetPort;

/**
 * The ports to ask for: those of the spec, with the numbers the cluster has chosen before for those that say none, as long
 * as their count is the same (swarmkit `reconcilePortConfigs`).
 */
export function stickyPorts(
	wanted: readonly ServicePort[],
	had: readonly ServicePort[],
): readonly ServicePort[] {
	if (wanted.length !== had.length) return wanted;
	const left = had.filter(({ publishMode }) => publishMode === "ingress");
	const named: ServicePort[] = [];
	const chosen: ServicePort[] = [];
	for (const port of wanted) {
		if (port.publishMode === "ingress" && port.publishedPort === 0) {
			chosen.push(port);
			continue;
		}
		const at = left.findIndex((each) => same(each, port) && each.publishedPort === port.publishedPort);
		if (at >= 0) left.splice(at, 1);
		named.push(port);
	}
	for (const port of chosen) {
		const at = left.findIndex((each) => same(each, port));
		named.push(at < 0 ? port : (left.splice(at, 1)[0] ?? port));
	}
	return named;
}
