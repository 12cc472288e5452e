import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksum, ipv4, tcp, udp } from "../../src/wire/index.ts";
import { NORMALISED } from "./normalise.ts";
import { align } from "./recording-align.ts";
import { DissectedFrame, fieldsOf } from "./recording-fields.ts";
import {
	type ComparisonOptions,
	type Difference,
	type EmulatedFrame,
	expectSameAsRecording,
	type RecordedFrame,
	recordedFrames,
	RecordedScenario,
	type ScenarioOptions,
} from "./recording.ts";

const PING = "k6-ip-forwarding/ping-a";
const TUNNEL = "k1-vxlan-unicast/underlay-u1";
const INSIDE = "k1-vxlan-unicast/inner-u1";
const FRAGMENTS = "k6-ip-forwarding/frag-by-router-b";
const ERRORS = "k6-ip-forwarding/port-unreach-a";

type Change = (frames: { time: number; data: Uint8Array; view: DataView }[]) => unknown;

/** A recording as an emulation that got it right would give it, then changed. */
function emulatedFrom(recorded: readonly RecordedFrame[], change: Change = () => undefined): EmulatedFrame[] {
	const first = recorded[0]?.time ?? 0n;
	const frames = recorded.map(({ time, data }) => {
		const copy = data.slice();
		return { time: Number(time - first), data: copy, view: new DataView(copy.buffer) };
	});
	change(frames);
	return frames;
}

function differences(
	path: string,
	change: Change,
	options: ComparisonOptions = {},
	scenario: ScenarioOptions = {},
): Difference[] {
	const recorded = recordedFrames(path);
	return new RecordedScenario(scenario).differences(
		"eth0",
		recorded,
		emulatedFrom(recorded, change),
		options,
	);
}

const told = (found: readonly Difference[]): string[] =>
	found.map(({ frame, field }) => `${String(frame)} ${field}`);

const IP = 14;
const ICMP = IP + 20;

/** Makes the IPv4 header checksum right again. */
const repair = (view: DataView, at: number): void => {
	view.setUint16(at + 10, 0);
	view.setUint16(at + 10, checksum.checksum(view, at, 20));
};

/** Makes the checksum of a TCP segment behind an IPv4 header of 20 octets right again. */
const rightTcp = (view: DataView): void => {
	tcp.writeChecksum(view, ICMP, view.byteLength - ICMP, ipv4.source(view, IP), ipv4.destination(view, IP));
};

describe("an emulation is the same as its recording", () => {
	test.each([
		PING,
		TUNNEL,
		INSIDE,
		FRAGMENTS,
		ERRORS,
		"k6-ip-forwarding/fragneeded-a",
		"05-overlay/ping-node1-underlay-eth0",
	])("when it gave the very frames of %s", (path) => {
		expect(differences(path, () => undefined)).toEqual([]);
	});

	test("with other ids, echo ids and times of day, as long as they mean the same", () => {
		const changed = differences(PING, (frames) => {
			for (const { view } of frames.slice(2)) {
				view.setUint16(IP + 4, view.getUint16(IP + 4) ^ 0x5555);
				repair(view, IP);
				view.setUint16(ICMP + 4, 77);
				view.setUint8(ICMP + 8, 1);
				view.setUint16(ICMP + 2, 0);
				view.setUint16(ICMP + 2, checksum.checksum(view, ICMP, 64));
			}
		});
		expect(changed).toEqual([]);
	});

	test("with other ephemeral ports and another TCP that counts from elsewhere", () => {
		const shift = (frames: { data: Uint8Array; view: DataView }[], amount: number): void => {
			for (const { data, view } of frames) {
				const frame = new DissectedFrame(1, data);
				if (!frame.has("tcp")) continue;
				const at = IP + 20;
				const fromClient = frame.text("ipv4.source") === "10.9.0.1";
				const port = at + (fromClient ? 0 : 2);
				if (view.getUint16(port) >= 32_768) view.setUint16(port, view.getUint16(port) ^ 2);
				const counted = at + (fromClient ? 4 : 8);
				if (view.getUint32(counted) !== 0) view.setUint32(counted, view.getUint32(counted) + amount);
				rightTcp(view);
			}
		};
		expect(
			differences(INSIDE, (frames) => {
				shift(frames, 12_345);
			}),
		).toEqual([]);
	});

	test("with random addresses that stand for the recorded ones", () => {
		const random = "02:00:00:00:06:01";
		const swap: Change = (frames) => {
			for (const { data } of frames) {
				for (let at = 0; at + 6 <= data.length; at++) {
					const here = Array.from(data.subarray(at, at + 6), (octet) =>
						octet.toString(16).padStart(2, "0"),
					).join(":");
					if (here === random) data[at + 5] = 0x99;
				}
			}
		};
		expect(differences(PING, swap, {}, { randomMacs: [random] })).toEqual([]);
		expect(differences(PING, swap).length).toBeGreaterThan(0);
	});

	test("when its clock began at another time, and frames are a little late", () => {
		const late: Change = (frames) => {
			for (const [i, frame] of frames.entries()) frame.time += 5e9 + i * 1e6;
		};
		expect(differences(PING, late)).toEqual([]);
	});

	test("when what it does not emulate is left out of the recording, by fields", () => {
		const noTcp = { keep: (frame: DissectedFrame): boolean => !frame.has("tcp"), why: "another story" };
		const found = differences(
			INSIDE,
			(frames) => {
				frames.splice(
					0,
					frames.length,
					...frames.filter(({ data }) => !new DissectedFrame(1, data).has("tcp")),
				);
			},
			{ select: [noTcp], anchor: { recorded: recordedFrames(INSIDE)[0]?.time ?? 0n, emulated: 0 } },
		);
		expect(found).toEqual([]);
	});
});

describe("a difference is found:", () => {
	test("a wrong TTL, and nothing else of that frame", () => {
		const found = differences(PING, (frames) => {
			const view = frames[2]?.view;
			view?.setUint8(IP + 8, 63);
			if (view !== undefined) repair(view, IP);
		});
		expect(found).toEqual([
			expect.objectContaining({
				interface: "eth0",
				frame: 3,
				field: "ipv4.ttl",
				recorded: "64",
				emulated: "63",
			}),
		]);
	});

	test("a missing frame, without blaming those behind it", () => {
		expect(told(differences(TUNNEL, (frames) => frames.splice(4, 1)))).toEqual(["5 frame"]);
		expect(told(differences(TUNNEL, (frames) => frames.pop()))).toEqual([
			`${String(recordedFrames(TUNNEL).length)} frame`,
		]);
		expect(differences(PING, (frames) => frames.splice(0))).toHaveLength(6);
	});

	test("a frame too many", () => {
		const found = differences(TUNNEL, (frames) => {
			const [first] = frames;
			if (first !== undefined) frames.splice(7, 0, { ...first, time: frames[7]?.time ?? 0 });
		});
		expect(found).toEqual([expect.objectContaining({ field: "frame", recorded: "", emulated: "extra" })]);
	});

	test("two frames in the wrong order", () => {
		const found = differences(PING, (frames) => {
			const [, , request, reply] = frames;
			if (request !== undefined && reply !== undefined) {
				[request.data, reply.data] = [reply.data, request.data];
			}
		});
		expect(found.map(({ field }) => field)).toEqual(["frame", "frame"]);
	});

	test("a frame later than the tolerance, unless that frame may be", () => {
		const late: Change = (frames) => {
			if (frames[3] !== undefined) frames[3].time += 61e6;
		};
		expect(told(differences(PING, late))).toEqual(["4 time"]);
		expect(
			told(
				differences(PING, (frames) => {
					if (frames[3] !== undefined) frames[3].time -= 61e6;
				}),
			),
		).toEqual(["4 time"]);
		expect(
			differences(PING, late, { frameTolerances: [{ frame: 4, absolute: 70, why: "the slow machine" }] }),
		).toEqual([]);
		expect(differences(PING, late, { tolerance: { absolute: 62 } })).toEqual([]);
		expect(differences(PING, late, {}, { tolerance: { absolute: 62 } })).toEqual([]);
		const drift: Change = (frames) => {
			for (const frame of frames) frame.time *= 1.5;
		};
		expect(told(differences(PING, drift, { tolerance: { relative: 0.49, absolute: 0 } }))).toHaveLength(5);
		expect(differences(PING, drift, { tolerance: { relative: 0.51, absolute: 0 } })).toEqual([]);
	});

	test("an id that is zero where it was not, and one that is not where it was", () => {
		const found = differences(PING, (frames) => {
			const view = frames[2]?.view;
			view?.setUint16(IP + 4, 0);
			if (view !== undefined) repair(view, IP);
		});
		expect(told(found)).toEqual(["3 ipv4.ident"]);
	});

	test("a connection's ids that leave one out, as if a segment had been sent that nobody saw", () => {
		const segments = recordedFrames(INSIDE).flatMap(({ data }, i) => {
			const frame = new DissectedFrame(i + 1, data);
			return frame.text("tcp.sourcePort") === "40932" ? [i] : [];
		});
		const last = segments.at(-1) ?? 0;
		const found = differences(INSIDE, (frames) => {
			const view = frames[last]?.view;
			view?.setUint16(IP + 4, (view.getUint16(IP + 4) + 1) & 0xffff);
			if (view !== undefined) repair(view, IP);
		});
		expect(told(found)).toEqual([`${String(last + 1)} ipv4.ident`]);
	});

	test("fragments of one packet with two ids", () => {
		const numbers = recordedFrames(FRAGMENTS).flatMap(({ data }, i) =>
			new DissectedFrame(i + 1, data).value("ipv4.fragmentOffset") === 0 ? [] : [i],
		);
		const [second] = numbers;
		const found = differences(FRAGMENTS, (frames) => {
			const view = frames[second ?? 0]?.view;
			view?.setUint16(IP + 4, view.getUint16(IP + 4) ^ 0x0101);
			if (view !== undefined) repair(view, IP);
		});
		expect(found[0]?.field).toBe("ipv4.ident");
	});

	test("an echo id that changes between request and reply, and two that become one", () => {
		const oneOther: Change = (frames) => {
			const view = frames[3]?.view;
			view?.setUint16(ICMP + 4, 1);
			view?.setUint16(ICMP + 2, 0);
			view?.setUint16(ICMP + 2, checksum.checksum(view, ICMP, 64));
		};
		expect(told(differences(PING, oneOther))).toEqual(["4 icmp.id"]);
	});

	test("a port that means one flow on one interface and another on the next", () => {
		const recorded = recordedFrames(TUNNEL);
		const scenario = new RecordedScenario();
		expect(scenario.differences("u1", recorded, emulatedFrom(recorded))).toEqual([]);
		const other = emulatedFrom(recorded, (frames) => {
			for (const { view } of frames) {
				if (view.byteLength > 100 && view.getUint16(ICMP + 2) === 4789) view.setUint16(ICMP, 40_001);
			}
		});
		const fields = new Set(scenario.differences("u2", recorded, other).map(({ field }) => field));
		expect(fields).toContain("udp.sourcePort");
	});

	test("a port that is not ephemeral though the recorded one is", () => {
		const found = differences(TUNNEL, (frames) => {
			const view = frames.find(({ data }) => new DissectedFrame(1, data).has("vxlan"))?.view;
			view?.setUint16(ICMP, 1000);
		});
		expect(found.map(({ field }) => field)).toContain("udp.sourcePort");
	});

	test("a connection that begins with an odd port, or with one behind the kernel's", () => {
		for (const [added, what] of [
			[1, "an odd one"],
			[20_480, "one behind the last"],
		] as const) {
			const found = differences(INSIDE, (frames) => {
				for (const { view, data } of frames) {
					if (!new DissectedFrame(1, data).has("tcp")) continue;
					for (const at of [ICMP, ICMP + 2])
						if (view.getUint16(at) >= 32_768) view.setUint16(at, view.getUint16(at) + added);
					rightTcp(view);
				}
			});
			expect(new Set(found.map(({ field }) => field)), what).toEqual(
				new Set(["tcp.sourcePort", "tcp.destinationPort"]),
			);
		}
	});

	test("a wrong checksum, in a tunnel as well, and one that is absent", () => {
		const tunnelled = recordedFrames(TUNNEL).findIndex(({ data }) => new DissectedFrame(1, data).has("icmp"));
		const inner = ICMP + 8 + 8 + 14;
		const spoilt: Change = (frames) => {
			const view = frames[tunnelled]?.view;
			view?.setUint16(inner + 10, view.getUint16(inner + 10) ^ 1);
			view?.setUint16(ICMP + udp.OCTETS - 2, 0);
		};
		expect(differences(TUNNEL, spoilt).map(({ field, emulated }) => [field, /wrong/.test(emulated)])).toEqual(
			[
				["udp.checksum", false],
				["inner ipv4.checksum", true],
			],
		);
		const exceptions = ["udp.checksum", "inner ipv4.checksum"].map((field) => ({
			field,
			why: "spoilt on purpose",
		}));
		expect(differences(TUNNEL, spoilt, { exceptions })).toEqual([]);
		expect(
			differences(TUNNEL, spoilt, {}, { exceptions: exceptions.map((each) => ({ ...each, frames: [1] })) }),
		).toHaveLength(2);
	});

	test("a ping that does not carry a time of day", () => {
		const found = differences(PING, (frames) => {
			const data = frames[2]?.data;
			data?.fill(0xff, ICMP + 8 + 8, ICMP + 8 + 16);
			const view = frames[2]?.view;
			view?.setUint16(ICMP + 2, 0);
			view?.setUint16(ICMP + 2, checksum.checksum(view, ICMP, 64));
		});
		expect(told(found)).toEqual(["3 icmp.timestamp"]);
	});

	test("another packet quoted in an ICMP error, but for what is random in it", () => {
		const error = recordedFrames(ERRORS).findIndex(({ data }) =>
			new DissectedFrame(1, data).layers.some(({ quoted }) => quoted),
		);
		const quoted = ICMP + 8;
		const change =
			(at: number, value: number): Change =>
			(frames) => {
				const view = frames[error]?.view;
				view?.setUint8(at, value);
				if (view === undefined) return;
				repair(view, quoted);
				view.setUint16(ICMP + 2, 0);
				view.setUint16(ICMP + 2, checksum.checksum(view, ICMP, view.byteLength - ICMP));
			};
		expect(told(differences(ERRORS, change(quoted + 8, 9)))).toEqual([
			`${String(error + 1)} quoted ipv4.ttl`,
		]);
		expect(differences(ERRORS, change(quoted + 5, 9))).toEqual([]);
	});

	test("TCP that acknowledges an octet too many", () => {
		const frames = recordedFrames(INSIDE).map(({ data }, i) => new DissectedFrame(i + 1, data));
		const acknowledging = frames.filter(
			(frame) => frame.has("tcp") && frame.value("tcp.acknowledgment") !== 0,
		);
		const last = (acknowledging.at(-1)?.number ?? 0) - 1;
		const found = differences(INSIDE, (emulated) => {
			const view = emulated[last]?.view;
			view?.setUint32(ICMP + 8, view.getUint32(ICMP + 8) + 1);
		});
		expect(told(found)).toContain(`${String(last + 1)} tcp.acknowledgment`);
	});

	test("a TCP timestamp that runs away, and one that does not answer the other side's", () => {
		const frames = recordedFrames(INSIDE).map(({ data }, i) => new DissectedFrame(i + 1, data));
		// Behind the ports, numbers and window of a segment without other options: two NOPs, kind and length.
		const stamped = frames.filter(
			(frame) => frame.has("tcp") && frame.data[ICMP + 12] === 0x80 && frame.data[ICMP + 22] === 8,
		);
		const last = (stamped.at(-1)?.number ?? 0) - 1;
		const later =
			(at: number, ticks: number): Change =>
			(emulated) => {
				const view = emulated[last]?.view;
				view?.setUint32(at, view.getUint32(at) + ticks);
				if (view !== undefined) rightTcp(view);
			};
		expect(told(differences(INSIDE, later(ICMP + 24, 500)))).toEqual([`${String(last + 1)} tcp.tsval`]);
		expect(told(differences(INSIDE, later(ICMP + 28, 500)))).toEqual([`${String(last + 1)} tcp.tsecr`]);
		expect(differences(INSIDE, later(ICMP + 24, 30))).toEqual([]);
	});

	test("an octet of the payload, a frame of another length, another protocol", () => {
		expect(told(differences(PING, (frames) => frames[0]?.view.setUint8(ICMP, 9)))).toEqual([
			"1 arp.targetMac",
		]);
		expect(told(differences(PING, (frames) => frames[3]?.view.setUint8(97, 0)))).toEqual([
			"4 icmp.checksum",
			"4 payload.data",
		]);
		const cut: Change = (frames) => {
			if (frames[3] !== undefined) frames[3].data = frames[3].data.slice(0, 60);
		};
		expect(differences(PING, cut).length).toBeGreaterThan(0);
	});

	test("and told side by side", () => {
		const recorded = recordedFrames(PING);
		const emulated = emulatedFrom(recorded, (frames) => {
			frames[4]?.view.setUint8(IP + 1, 0x10);
			frames.pop();
		});
		const failing = (): void => {
			expectSameAsRecording(new RecordedScenario(), "a:eth0", recorded, emulated);
		};
		expect(failing).toThrow(/2 frames of a:eth0 are not as recorded/);
		expect(failing).toThrow(
			/a:eth0 frame 5\n {2}recorded .* ms {2}10\.6\.1\.10 > 10\.6\.3\.10 ICMP echo request.*\n {2}emulated /,
		);
		expect(failing).toThrow(/ipv4\.tos: recorded 0x00, emulated 0x10/);
		expect(failing).toThrow(/frame 6\n {2}recorded .*\n {2}emulated {2}nothing/);
	});
});

test("a DNS id is random, the rest of the message is not", () => {
	const message = (id: number, port: number, last: number): Uint8Array => {
		const data = new Uint8Array(14 + 20 + 8 + 14);
		const view = new DataView(data.buffer);
		view.setUint16(12, 0x0800);
		view.setUint16(IP, 0x4500);
		view.setUint16(IP + 2, 42);
		view.setUint8(IP + 8, 64);
		view.setUint8(IP + 9, ipv4.PROTOCOL_UDP);
		repair(view, IP);
		view.setUint16(ICMP, 40_000);
		view.setUint16(ICMP + 2, port);
		view.setUint16(ICMP + 4, 22);
		view.setUint16(ICMP + 8, id);
		view.setUint8(data.length - 1, last);
		return data;
	};
	const compare = (was: Uint8Array, is: Uint8Array, options: ScenarioOptions = {}): string[] =>
		told(new RecordedScenario(options).differences("lo", [{ time: 0n, data: was }], [{ time: 0, data: is }]));
	expect(compare(message(1, 53, 7), message(2, 53, 7))).toEqual([]);
	expect(compare(message(1, 53, 7), message(2, 53, 8))).toEqual(["1 dns.message"]);
	// Docker's resolver listens on a port drawn at random, behind a DNAT rule.
	expect(compare(message(1, 39_250, 7), message(2, 41_111, 7), { dnsPorts: [39_250] })).toEqual([]);
	expect(compare(message(1, 39_250, 7), message(2, 41_111, 7))).toEqual(["1 payload.data"]);
});

test("every octet of every recorded frame is compared: fields leave no gap", () => {
	for (const path of [PING, TUNNEL, INSIDE, FRAGMENTS, ERRORS]) {
		for (const [i, { data }] of recordedFrames(path).entries()) {
			const { layers } = new DissectedFrame(i + 1, data);
			const covered = new Set(
				layers.flatMap(({ fields }) =>
					fields.flatMap(({ at, octets }) => Array.from({ length: octets }, (_, n) => at + n)),
				),
			);
			expect(covered.size, `${path} ${String(i + 1)}`).toBe(data.length);
			// Taken apart, they are as many octets as before.
			const size = (fields: readonly { octets: number }[]): number =>
				fields.reduce((sum, { octets }) => sum + octets, 0);
			expect(size(fieldsOf(layers, new Set()))).toBe(size(layers.flatMap(({ fields }) => fields)));
		}
	}
});

test("changing any octet of a frame is found, or changes only what the list of normalised fields names", () => {
	const recorded = recordedFrames(INSIDE);
	const octet = fc.nat(recorded.length - 1).chain((frame) =>
		fc.record({
			frame: fc.constant(frame),
			at: fc.nat((recorded[frame]?.data.length ?? 1) - 1),
			flip: fc.integer({ min: 1, max: 255 }),
		}),
	);
	fc.assert(
		fc.property(octet, ({ frame, at, flip }) => {
			const one = recorded.slice(frame, frame + 1);
			const emulated = emulatedFrom(one, ([only]) => only?.view.setUint8(at, only.view.getUint8(at) ^ flip));
			const found = new RecordedScenario().differences("eth0", one, emulated);
			const names = new DissectedFrame(1, one[0]?.data ?? new Uint8Array()).layers
				.flatMap(({ fields }) => fields)
				.filter((field) => field.at <= at && at < field.at + field.octets)
				.map(({ name }) => name);
			const free = names.some(
				(name) => NORMALISED[name] !== undefined || /Port$/.test(name) || name === "tcp.options",
			);
			if (!free) expect(found.length).toBeGreaterThan(0);
		}),
	);
});

test("frames are paired in order, and none is used twice", () => {
	const list = fc.array(
		fc.record({ exact: fc.constantFrom("a", "b", "c"), alike: fc.constantFrom("x", "y") }),
		{ maxLength: 8 },
	);
	fc.assert(
		fc.property(list, list, (recorded, emulated) => {
			const pairs = align(recorded, emulated);
			const used = (side: "recorded" | "emulated"): number[] => pairs.flatMap((pair) => pair[side] ?? []);
			expect(used("recorded")).toEqual(recorded.map((_, i) => i));
			expect(used("emulated")).toEqual(emulated.map((_, i) => i));
		}),
	);
});
