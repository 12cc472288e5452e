import { DockerError } from "../docker-error.ts";
import type { JoinInfo, NetworkDriver, NetworkInfo } from "../driver.ts";

/**
 * Networks without devices of their own: `host`, whose containers are in the machine's namespace, and `null`, whose
 * containers have a loopback alone. There is one of each.
 */
export class SimpleDriver implements NetworkDriver {
	readonly type: "host" | "null";
	readonly addresses = false;
	#network: string | undefined;

	constructor(type: "host" | "null") {
		this.type = type;
	}

	createNetwork({ id }: NetworkInfo): void {
		if (this.#network !== undefined)
			throw new DockerError(403, `only one instance of "${this.type}" network is allowed`);
		this.#network = id;
	}

	deleteNetwork(): void {
		throw new DockerError(403, `network of type "${this.type}" cannot be deleted`);
	}

	createEndpoint(): void {
		// Nothing is made for it.
	}

	deleteEndpoint(): void {
		// Nothing was made for it.
	}

	macAddress(): string {
		return "";
	}

	join(): JoinInfo {
		return { disableGatewayService: true };
	}

	leave(): void {
		// Nothing to take out.
	}
}
