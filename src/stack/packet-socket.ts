import type { Device } from "../link/index.ts";
import { NetError } from "../errors.ts";
import { ethernet, type Frame } from "../wire/index.ts";
import type { Namespace } from "./namespace.ts";

/** What a packet socket listens to. */
export interface PacketSocketOptions {
	/** Only this device's frames; without it all devices'. */
	readonly device?: Device;
	/** Only frames of this EtherType; without it all. */
	readonly type?: number;
}

/**
 * The packet sockets of one namespace (`AF_PACKET`): programs that send and receive whole frames.
 * They see what comes up to the stack; captures use taps, which see everything.
 */
export class PacketSockets {
	readonly #ns: Namespace;
	readonly #sockets: PacketSocket[] = [];

	constructor(ns: Namespace) {
		this.#ns = ns;
	}

	get size(): number {
		return this.#sockets.length;
	}

	/** Opens a socket. */
	open(options: PacketSocketOptions = {}): PacketSocket {
		const socket = new PacketSocket(this.#ns, options, () => {
			const at = this.#sockets.indexOf(socket);
			if (at >= 0) this.#sockets.splice(at, 1);
		});
		this.#sockets.push(socket);
		return socket;
	}

	/** The programs of the namespace end. */
	closeAll(): void {
		for (const socket of [...this.#sockets]) socket.close();
	}

	/** A frame on its way up, which stays the caller's. */
	see(frame: Frame, device: Device): void {
		for (const socket of [...this.#sockets]) socket.see(frame, device);
	}
}

/** One packet socket. */
export class PacketSocket {
	/** Called with a copy of each frame. */
	onFrame: ((bytes: Uint8Array, device: Device) => void) | null = null;
	readonly #ns: Namespace;
	readonly #options: PacketSocketOptions;
	readonly #close: () => void;

	constructor(ns: Namespace, options: PacketSocketOptions, close: () => void) {
		this.#ns = ns;
		this.#options = options;
		this.#close = close;
	}

	see(frame: Frame, device: Device): void {
		if (this.onFrame === null) return;
		if (this.#options.device !== undefined && this.#options.device !== device) return;
		if (this.#options.type !== undefined && this.#options.type !== ethernet.type(frame.view, frame.start))
			return;
		this.onFrame(frame.toBytes(), device);
	}

	/**
	 * Sends a whole frame out of a device. Returns the journey's id. Throws `NetError` EMSGSIZE for one longer
	 * than the device's MTU, EINVAL for one shorter than its header, ENETDOWN when it is down.
	 */
	send(bytes: Uint8Array, device: Device): number {
		if (bytes.length < ethernet.OCTETS) throw new NetError("EINVAL", "sendto: Invalid argument");
		if (bytes.length > device.mtu + ethernet.OCTETS + 4)
			throw new NetError("EMSGSIZE", "sendto: Message too long");
		if (!device.isUp)
			throw new NetError("ENETDOWN", "sendto: Network is down", { context: { device: device.place } });
		const frame = this.#ns.kernel.world.frames.from(bytes);
		const { id } = frame;
		device.transmit(frame);
		return id;
	}

	close(): void {
		this.onFrame = null;
		this.#close();
	}
}
