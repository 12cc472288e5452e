import { compareIp4, type Ip4 } from "../../addr/index.ts";
import type { Service, ServiceName } from "./service.ts";

const TCP = 6;
const UDP = 17;
const FTP = 21;
const FTP_DATA = 20;
/** Ports that servers of the system have (`PROT_SOCK`). */
const PRIVILEGED = 1024;

/** The virtual services of one namespace (`ip_vs_svc_table`, `ip_vs_svc_fwm_table`). */
export class Services {
	readonly #byAddress = new Map<number, Service>();
	readonly #byMark = new Map<number, Service>();
	/** Services of all ports, and of FTP, whose packets have other ports than theirs. */
	#ofAnyPort = 0;
	#ofFtp = 0;

	/** How many there are. */
	get size(): number {
		return this.#byAddress.size + this.#byMark.size;
	}

	/** The very service (`__ip_vs_service_find`, `__ip_vs_svc_fwm_find`). */
	get({ protocol, address, port, fwmark }: ServiceName): Service | undefined {
		return fwmark !== 0 ? this.#byMark.get(fwmark) : this.#byAddress.get(key(protocol, address, port));
	}

	/** The service for a packet: by its mark, by its address and port, by its address alone (`ip_vs_service_find`). */
	match(mark: number, protocol: number, address: Ip4, port: number): Service | undefined {
		if (mark !== 0) {
			const marked = this.#byMark.get(mark);
			if (marked !== undefined) return marked;
		}
		const exact = this.#byAddress.get(key(protocol, address, port));
		if (exact !== undefined) return exact;
		if (protocol === TCP && this.#ofFtp > 0 && (port === FTP_DATA || port >= PRIVILEGED)) {
			const ftp = this.#byAddress.get(key(protocol, address, FTP));
			if (ftp !== undefined) return ftp;
		}
		return this.#ofAnyPort > 0 ? this.#byAddress.get(key(protocol, address, 0)) : undefined;
	}

	add(service: Service): void {
		if (service.fwmark !== 0) this.#byMark.set(service.fwmark, service);
		else this.#byAddress.set(key(service.protocol, service.address, service.port), service);
		this.#count(service, 1);
	}

	remove(service: Service): void {
		if (service.fwmark !== 0) this.#byMark.delete(service.fwmark);
		else this.#byAddress.delete(key(service.protocol, service.address, service.port));
		this.#count(service, -1);
	}

	/** All, in the order ipvsadm sorts them: by mark, protocol, address, port. */
	sorted(): Service[] {
		return [...this.#byAddress.values(), ...this.#byMark.values()].sort(
			(a, b) =>
				a.fwmark - b.fwmark || a.protocol - b.protocol || compareIp4(a.address, b.address) || a.port - b.port,
		);
	}

	/** Whether an address and port are those of a real server behind address translation (`ip_vs_has_real_service`). */
	hasRealServer(protocol: number, address: Ip4, port: number): boolean {
		return [...this.#byAddress.values(), ...this.#byMark.values()].some((service) =>
			service.destinations.some(
				(each) =>
					each.address === address &&
					each.forward === "masquerading" &&
					each.port === port &&
					(service.protocol === protocol || service.fwmark !== 0),
			),
		);
	}

	#count({ port, fwmark }: Service, by: 1 | -1): void {
		if (port === FTP) this.#ofFtp += by;
		else if (port === 0 && fwmark === 0) this.#ofAnyPort += by;
	}
}

/** 49 bits: address, port, and whether it is UDP. */
const key = (protocol: number, address: Ip4, port: number): number =>
	(address * 0x1_0000 + port) * 2 + (protocol === UDP ? 1 : 0);
