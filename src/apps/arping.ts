import { ANY_IP4, BROADCAST_MAC, formatMac, type Ip4, type Mac, toIp4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import type { Device } from "../link/index.ts";
import { type Duration, type Operation, parseDuration, Timer } from "../sim/index.ts";
import type { Namespace } from "../stack/index.ts";
import { arp, ethernet } from "../wire/index.ts";

/** The options of arping(8) from iputils. */
export interface ArpingOptions {
	/** Requests to send (`-c`); 1 unless said. */
	readonly count?: number;
	/** Time between them (`-i`). */
	readonly interval?: Duration;
	/** When to give up (`-w`); a second after the last request unless said. */
	readonly deadline?: Duration;
	/**
	 * `ask` who has the address; `dad`, whether anyone has it (`-D`: asks from 0.0.0.0); `announce` by request
	 * (`-U`) or by `reply` (`-A`) that it is here.
	 */
	readonly mode?: "ask" | "dad" | "announce" | "reply";
}

/** What came of it. */
export interface ArpingResult {
	readonly sent: number;
	/** Addresses that answered, in order. */
	readonly answers: readonly { readonly mac: string; readonly time: number }[];
}

/**
 * Asks who has an address, by ARP alone. The first request goes to everyone, those after an answer to who
 * answered. Rejects with `NetError` ENETDOWN for a device that is down.
 */
export function arping(
	ns: Namespace,
	device: Device,
	address: Ip4 | string,
	options: ArpingOptions = {},
): Operation<ArpingResult> {
	const target = toIp4(address, "address");
	const mode = options.mode ?? "ask";
	const count = options.count ?? 1;
	const interval = parseDuration(options.interval ?? "1s", "interval");
	const own = ns.inDevice(device);
	const from =
		mode === "ask" && own !== undefined
			? ns.selectSource(own, target, "link")
			: mode === "dad"
				? ANY_IP4
				: target;
	const { scheduler } = ns.kernel.world;
	return ns.kernel.driver.operation<ArpingResult>(
		(settle) => {
			if (!device.isUp)
				return settle.reject(new NetError("ENETDOWN", `arping: Interface "${device.name}" is down`));
			const answers: { mac: string; time: number }[] = [];
			const socket = ns.packets.open({ device, type: ethernet.TYPE_ARP });
			let known: Mac | undefined;
			let sent = 0;
			let sentAt = 0;
			const finish = (): void => {
				next.cancel();
				end.cancel();
				socket.close();
				settle.resolve({ sent, answers });
			};
			const end = new Timer(finish);
			const next = new Timer(() => {
				if (sent >= count) return finish();
				sent++;
				sentAt = scheduler.now;
				ns.arp.send(device, {
					to: known ?? BROADCAST_MAC,
					operation: mode === "reply" ? arp.REPLY : arp.REQUEST,
					senderMac: device.mac,
					senderIp: from,
					targetMac:
						mode === "reply"
							? device.mac
							: mode === "ask" || mode === "dad"
								? (known ?? BROADCAST_MAC)
								: BROADCAST_MAC,
					targetIp: target,
				});
				scheduler.after(interval, next);
			});
			socket.onFrame = (bytes) => {
				const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
				const packet = arp.read(view, ethernet.OCTETS, bytes.length);
				if (typeof packet === "string" || packet.operation !== arp.REPLY || packet.senderIp !== target)
					return;
				answers.push({ mac: formatMac(packet.senderMac), time: (scheduler.now - sentAt) / 1e6 });
				known ??= packet.senderMac;
				if (mode === "dad" || answers.length >= count) finish();
			};
			if (options.deadline !== undefined) scheduler.after(parseDuration(options.deadline, "deadline"), end);
			next.fire();
		},
		{ what: `arping from ${ns.name}` },
	);
}
