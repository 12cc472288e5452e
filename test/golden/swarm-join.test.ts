import { beforeAll, describe, expect, test } from "vitest";
import type { Capture } from "../../src/observe/index.ts";
import { recording } from "../support/golden.ts";
import { emulated } from "../support/scenario.ts";
import { done, machines } from "../support/swarm.ts";
import { plainOctets, type SeenConnection, tlsConnections } from "../support/tls-streams.ts";
import { expectCleanInWireshark } from "../support/wireshark.ts";

// 05-overlay: node2 and node3 join node1's swarm as workers; their control connections, seen at their own cards.
const CONTROL = 2377;

let capture: Capture;
const recorded = (node: string): SeenConnection[] =>
	tlsConnections(recording(`05-overlay/underlay-swarmjoin-${node}`), CONTROL);
const ours = (node: string): SeenConnection[] => tlsConnections(emulated(capture, `${node}:eth0`), CONTROL);

beforeAll(async () => {
	const { lab, members } = machines(3);
	capture = lab.capture();
	const [first, ...others] = members;
	if (first === undefined) throw new Error("no machines");
	await done<string>(lab, (end) => {
		first.node.init({ advertiseAddr: "172.31.1.5" }, end);
	});
	const token = await done<string>(lab, (end) => {
		first.node.joinToken("worker", {}, end);
	});
	for (const [index, { node }] of others.entries()) {
		await done(lab, (end) => {
			const advertiseAddr = `172.31.1.${String(6 + index)}`;
			node.join({ token, advertiseAddr, remoteAddrs: ["172.31.1.5:2377"] }, end);
		});
	}
	await lab.advance("60s");
});

describe("a worker's join is on the wire what Docker's was", () => {
	test.each(["node2", "node3"])(
		"%s: three connections, for the root certificate, to swarm-ca, to swarm-manager",
		(node) => {
			const names = [undefined, "swarm-ca", "swarm-manager"];
			expect(recorded(node).map(({ serverName }) => serverName)).toEqual(names);
			expect(ours(node).map(({ serverName }) => serverName)).toEqual(names);
		},
	);

	test.each(["node2", "node3"])(
		"%s: each handshake record has the recorded length, ECDSA's signature up to two octets aside",
		(node) => {
			const theirs = recorded(node);
			for (const [index, connection] of ours(node).entries()) {
				for (const from of ["client", "server"] as const) {
					const count = from === "server" ? 7 : index === 2 ? 5 : 4;
					const lengths = (each: SeenConnection | undefined): number[] =>
						each?.records
							.filter((record) => record.from === from)
							.slice(0, count)
							.map(({ octets }) => octets) ?? [];
					const [mine, other] = [lengths(connection), lengths(theirs[index])];
					expect(mine).toHaveLength(count);
					for (const [place, octets] of mine.entries())
						expect(
							Math.abs(octets - (other[place] ?? 0)),
							`${from} ${String(index)}.${String(place)}`,
						).toBeLessThanOrEqual(2);
				}
			}
		},
	);

	test.each(["node2", "node3"])(
		"%s: as much is said, each way on each connection, up to the first heartbeat's period",
		(node) => {
			const theirs = recorded(node);
			for (const [index, connection] of ours(node).entries()) {
				const other = theirs[index];
				if (other === undefined) throw new Error("a connection more than recorded");
				for (const from of ["client", "server"] as const) {
					const said = (each: SeenConnection): number =>
						plainOctets(each, from, -Infinity, (each.records[0]?.time ?? 0) + 3);
					const [mine, recordedOctets] = [said(connection), said(other)];
					expect(
						Math.abs(mine - recordedOctets) / recordedOctets,
						`${from} ${String(index)}: ${String(mine)} for ${String(recordedOctets)}`,
					).toBeLessThan(0.05);
				}
			}
		},
	);

	test("heartbeats: 112 octets there and 92 or 93 back, every 4.5 to 5.5 seconds", () => {
		// The recorded beats: HEADERS and DATA of 65 octets, later acknowledgment, window update and ping of 47.
		const beats = (connection: SeenConnection | undefined): { readonly time: number }[] =>
			connection?.records.filter(
				({ from, octets }) => from === "client" && (octets === 82 || octets === 83),
			) ?? [];
		for (const node of ["node2", "node3"]) {
			for (const connection of [recorded(node)[2], ours(node)[2]]) {
				const times = beats(connection).map(({ time }) => time);
				expect(times.length).toBeGreaterThanOrEqual(3);
				for (const [index, time] of times.entries()) {
					const before = times[index - 1];
					if (before === undefined || connection === undefined) continue;
					expect(time - before).toBeGreaterThan(4.4);
					expect(time - before).toBeLessThan(5.7);
					const there = plainOctets(connection, "client", before, before + 4);
					const back = plainOctets(connection, "server", before, before + 4);
					expect([112, 113]).toContain(there);
					expect([92, 93]).toContain(back);
				}
			}
		}
	});

	test("Wireshark finds no error, and knows TLS 1.3", async () => {
		await expectCleanInWireshark(capture.toPcapng());
	});
});
