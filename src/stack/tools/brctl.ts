import { formatMac } from "../../addr/index.ts";
import { NetError } from "../../errors.ts";
import { Bridge, type BridgePort, type Device } from "../../link/index.ts";
import type { stp } from "../../wire/index.ts";

/** Where the tool looks. */
export interface BrctlHost {
	readonly devices: readonly Device[];
}

/** `brctl` of bridge-utils: bridges and their spanning tree, as it prints them. */
export class Brctl {
	readonly #host: BrctlHost;

	constructor(host: BrctlHost) {
		this.#host = host;
	}

	/** `brctl show`: one line a bridge, and one more for each port behind its first. By name, as `brctl` sorts them. */
	show(): string {
		const bridges = this.#host.devices.filter((device) => device instanceof Bridge).sort(byName);
		const lines = bridges.map((bridge) => {
			const id = formatId(bridge.stp.id);
			const on = bridge.stp.enabled ? "yes" : "no";
			const ports = byPortName(bridge).map((port) => port.device.name);
			return `${bridge.name}\t\t${id}\t${on}\t\t${ports.join("\n\t\t\t\t\t\t\t")}\n`;
		});
		return `bridge name\tbridge id\t\tSTP enabled\tinterfaces\n${lines.join("")}`;
	}

	/** `brctl showmacs BR`: addresses of the table by MAC; seconds since each was seen. Throws `NetError` ENODEV. */
	showMacs(name: string): string {
		const bridge = this.#bridge(name, "read of forward table failed");
		const lines = bridge.fdb
			.entries()
			.filter((entry) => entry.port !== null)
			.sort((a, b) => a.mac - b.mac)
			.map((entry) => {
				const port = String(entry.port?.stp.number ?? 0).padStart(3);
				const age = entry.isLocal ? 0 : entry.updated / 1e9;
				return `${port}\t${formatMac(entry.mac)}\t${entry.isLocal ? "yes" : "no"}\t\t${time(age)}\n`;
			});
		return `port no\tmac addr\t\tis local?\tageing timer\n${lines.join("")}`;
	}

	/** `brctl showstp BR`. Throws `NetError` ENODEV. */
	showStp(name: string): string {
		const bridge = this.#bridge(name, "can't get info");
		const tree = bridge.stp;
		const seconds = (ticks: number): string => time(bridge.owner.jiffies.nanoseconds(ticks) / 1e9);
		// While the topology changes addresses are kept for two forward delays.
		const ageing =
			tree.enabled && tree.topologyChange ? seconds(2 * tree.forwardDelay) : time(bridge.ageing / 1e9);
		const flags =
			(tree.topologyChange ? "TOPOLOGY_CHANGE " : "") +
			(tree.topologyChangeDetected ? "TOPOLOGY_CHANGE_DETECTED " : "");
		const head = [
			bridge.name,
			` bridge id\t\t${formatId(tree.id)}`,
			` designated root\t${formatId(tree.designatedRoot)}`,
			` root port\t\t${number(tree.rootPort)}\t\t\tpath cost\t\t${number(tree.rootCost)}`,
			` max age\t\t${seconds(tree.maxAge)}\t\t\tbridge max age\t\t${seconds(tree.bridgeMaxAge)}`,
			` hello time\t\t${seconds(tree.helloTime)}\t\t\tbridge hello time\t${seconds(tree.bridgeHelloTime)}`,
			` forward delay\t\t${seconds(tree.forwardDelay)}\t\t\tbridge forward delay\t${seconds(tree.bridgeForwardDelay)}`,
			` ageing time\t\t${ageing}`,
			` hello timer\t\t${seconds(tree.helloTimer.left)}\t\t\ttcn timer\t\t${seconds(tree.tcnTimer.left)}`,
			` topology change timer\t${seconds(tree.topologyChangeTimer.left)}\t\t\tgc timer\t\t${time(bridge.gcLeft / 1e9)}`,
			` flags\t\t\t${flags}`,
			"",
			"",
		];
		const ports = byPortName(bridge).flatMap((port) => portLines(port, seconds));
		return [...head, ...ports].map((line) => `${line}\n`).join("");
	}

	#bridge(name: string, what: string): Bridge {
		const bridge = this.#host.devices.find((device) => device.name === name);
		if (bridge instanceof Bridge) return bridge;
		throw new NetError(
			"ENODEV",
			`${what}: ${bridge === undefined ? "No such device" : "Operation not supported"}`,
			{
				remedy: "Name a bridge of this namespace.",
				context: { bridge: name },
			},
		);
	}
}

function portLines({ stp, state, device, flags }: BridgePort, seconds: (ticks: number) => string): string[] {
	const said =
		(stp.configPending ? "CONFIG_PENDING " : "") + (stp.topologyChangeAck ? "TOPOLOGY_CHANGE_ACK " : "");
	return [
		`${device.name} (${String(stp.number)})`,
		` port id\t\t${hex(stp.id)}\t\t\tstate\t\t${state.padStart(15)}`,
		` designated root\t${formatId(stp.designatedRoot)}\tpath cost\t\t${number(stp.cost)}`,
		` designated bridge\t${formatId(stp.designatedBridge)}\tmessage age timer\t${seconds(stp.messageAgeTimer.left)}`,
		` designated port\t${hex(stp.designatedPort)}\t\t\tforward delay timer\t${seconds(stp.forwardDelayTimer.left)}`,
		` designated cost\t${number(stp.designatedCost)}\t\t\thold timer\t\t${seconds(stp.holdTimer.left)}`,
		` flags\t\t\t${said}`,
		...(flags.hairpin ? [` hairpin mode\t\t${number(1)}`] : []),
		"",
	];
}

const byName = (a: Device, b: Device): number => (a.name < b.name ? -1 : 1);
const byPortName = (bridge: Bridge): BridgePort[] =>
	[...bridge.ports].sort((a, b) => byName(a.device, b.device));

/** `8000.02424bd05f73`: priority and address. */
const formatId = ({ priority, mac }: stp.BridgeId): string =>
	`${hex(priority)}.${formatMac(mac).replaceAll(":", "")}`;
const hex = (value: number): string => value.toString(16).padStart(4, "0");
const number = (value: number): string => String(value).padStart(4);
/** Seconds with hundredths, cut off, in seven columns. */
const time = (seconds: number): string => (Math.floor(seconds * 100 + 1e-6) / 100).toFixed(2).padStart(7);
