import { Lab, type Netns } from "../../src/index.ts";
import { ethernet } from "../../src/wire/index.ts";
import type { Device, MacvlanDevice, MacvlanMode, MacvlanOptions } from "../../src/link/index.ts";

/** A parent with macvlan children in namespaces c0, c1 … on a switch, and a host outside. */
export interface Macvlans {
	readonly lab: Lab;
	readonly parent: Device;
	readonly children: readonly MacvlanDevice[];
	/** The address of `parent`, `out`, `c0` … */
	readonly mac: (who: string) => string;
	/** Sends one frame and gives those whose stacks took it, each as often as it did. */
	readonly say: (from: string, to: string) => Promise<string[]>;
}

/**
 * Builds it. The switch learns nothing, so that it sends all it gets to everybody else, and with `hairpin` also back
 * to the parent.
 */
export function macvlans(
	modes: readonly MacvlanMode[],
	options: {
		readonly hairpin?: boolean;
		readonly source?: Omit<MacvlanOptions, "mode">;
		/** VLANs on each other, of the parent and of the host outside. */
		readonly tags?: readonly number[];
	} = {},
): Macvlans {
	const lab = new Lab({ seed: 1 });
	const sw = lab.netns("sw");
	const br0 = sw.addBridge("br0");
	br0.up();
	const tops = new Map<string, Device>();
	const plug = (name: string, mac: string): Device => {
		const [device, outer] = lab.veth({ ns: lab.netns(name), name: "eth0", mac }, { ns: sw, name });
		const port = br0.attach(outer);
		port.flags.learning = false;
		port.flags.hairpin = name === "parent" && options.hairpin === true;
		device.up();
		outer.up();
		let top: Device = device;
		for (const [i, id] of (options.tags ?? []).entries()) {
			top = lab.namespaces.get(name)!.addVlan(top, id, { name: `v${String(i)}` });
			top.up();
		}
		tops.set(name, top);
		return top;
	};
	const parent = plug("parent", "02:00:00:00:00:01");
	plug("out", "02:00:00:00:00:99");
	const home = lab.namespaces.get("parent")!;
	const children = modes.map((mode, i) => {
		const child = home.addMacvlan(parent, `mv${String(i)}`, {
			mode,
			mac: `02:00:00:00:01:0${String(i)}`,
			...(mode === "source" ? options.source : {}),
		});
		home.move(child, lab.netns(`c${String(i)}`), "eth0");
		child.up();
		return child;
	});
	const place = (who: string): [Netns, Device] => {
		const ns = lab.namespaces.get(who)!;
		return [ns, tops.get(who) ?? ns.device("eth0")];
	};
	let heard: string[] = [];
	for (const who of ["parent", "out", ...modes.map((_, i) => `c${String(i)}`)]) {
		const [ns, device] = place(who);
		ns.packetSocket({ device, type: 0x88b5 }).onFrame = (bytes) => {
			const view = new DataView(bytes.buffer, bytes.byteOffset);
			const own = device.isOwnAddress(ethernet.dstHigh(view, 0), ethernet.dstLow(view, 0));
			if ((bytes[0]! & 1) === 1 || own) heard.push(who);
		};
	}
	return {
		lab,
		parent,
		children,
		mac: (who) => place(who)[1].macText,
		say: async (from, to) => {
			const [ns, device] = place(from);
			const frame = new Uint8Array(60);
			frame.set([...octetsOf(to), ...octetsOf(device.macText), 0x88, 0xb5]);
			heard = [];
			ns.packetSocket().send(frame, device);
			await lab.advance("1ms");
			return heard.sort();
		},
	};
}

const octetsOf = (mac: string): number[] => mac.split(":").map((part) => Number.parseInt(part, 16));
