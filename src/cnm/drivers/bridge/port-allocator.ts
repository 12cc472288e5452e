import { formatIp4, type Ip4 } from "../../../addr/index.ts";
import { failed, invalid } from "../../docker-error.ts";

interface Range {
	readonly begin: number;
	readonly end: number;
	last: number;
}

interface PortMap {
	readonly taken: Set<number>;
	readonly ranges: Map<string, Range>;
}

/**
 * Which of a host's ports are published, per address and protocol. A port of the daemon's choice is the one behind the
 * last it chose, from `net.ipv4.ip_local_port_range`, in a circle. Reference: libnetwork portallocator.
 */
export class PortAllocator {
	readonly #begin: number;
	readonly #end: number;
	readonly #maps = new Map<string, PortMap>();

	constructor([begin, end]: readonly [begin: number, end: number]) {
		this.#begin = begin;
		this.#end = end;
	}

	/** Takes a port of a range, or any: 0 to 0. Throws `DockerError`. */
	request(ip: Ip4, proto: string, start: number, end: number): number {
		const key = `${formatIp4(ip)}/${proto}`;
		const map = this.#maps.get(key) ?? { taken: new Set<number>(), ranges: new Map<string, Range>() };
		if (start > 0 && start === end) {
			if (map.taken.has(start)) {
				throw failed(`Bind for ${formatIp4(ip)}:${String(start)} failed: port is already allocated`, {
					remedy: "Publish another port, or stop the container that has this one.",
					context: { hostIp: formatIp4(ip), port: start, proto },
				});
			}
			map.taken.add(start);
			this.#maps.set(key, map);
			return start;
		}
		if (end < start) throw invalid(`invalid port range: ${String(start)}-${String(end)}`);
		const name = start === 0 ? "" : `${String(start)}-${String(end)}`;
		const [begin, last] = start === 0 ? [this.#begin, this.#end] : [start, end];
		const range = map.ranges.get(name) ?? { begin, end: last, last };
		for (let i = 0; i <= range.end - range.begin; i++) {
			range.last = range.last >= range.end ? range.begin : range.last + 1;
			if (map.taken.has(range.last)) continue;
			map.taken.add(range.last);
			map.ranges.set(name, range);
			this.#maps.set(key, map);
			return range.last;
		}
		throw failed("all ports are allocated");
	}

	/** Gives a port back. */
	release(ip: Ip4, proto: string, port: number): void {
		this.#maps.get(`${formatIp4(ip)}/${proto}`)?.taken.delete(port);
	}
}
