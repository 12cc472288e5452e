/**
 * A megabyte over a cable that loses a twentieth of all frames: throughput, and how TCP repairs it, frame by frame.
 */
import { Lab } from "vethwork";
import { dissect } from "vethwork/wire";
import type { ExampleContext } from "../scripts/example-context.ts";

const FRAMES = 60;

export default async function tcpLoss({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 4 });
	const [client, server] = [lab.host("client"), lab.host("server")];
	const ends = [
		client.addNic("eth0", { address: "192.0.2.1/24" }),
		server.addNic("eth0", { address: "192.0.2.2/24" }),
	] as const;
	lab.cable(...ends, { netem: { loss: "5%", delay: "10ms", rate: "100mbit" } });

	const capture = lab.capture();
	const listener = server.netns.listen({ port: 80 });
	const stream = await client.netns.connect({ hostname: "192.0.2.2", port: 80 });
	const peer = await listener.accept();
	const began = lab.now;
	const writer = stream.writable.getWriter();
	const said = writer.write(new Uint8Array(1_000_000)).then(() => writer.close());
	let heard = 0;
	for await (const part of peer.readable) heard += part.length;
	await said;
	const seconds = (lab.now - began) / 1e9;
	const { retransmitted, rtt } = stream.socket.info;
	print(
		`${String(heard)} octets in ${seconds.toFixed(2)} s: ${((heard * 8) / seconds / 1e6).toFixed(1)} Mbit/s,`,
	);
	print(`${String(retransmitted)} segments sent again, round trip ${rtt.toFixed(1)} ms\n`);

	print("client                                                             server");
	for (const row of capture.sightings("client:eth0").slice(0, FRAMES)) {
		const fields = dissect(row.data).flatMap((layer) => layer.fields);
		const text = (name: string): string => fields.find((field) => field.name === name)?.text ?? "";
		if (text("tcp.flags") === "") continue;
		const octets = fields.find((field) => field.name === "payload.data")?.octets ?? 0;
		const what = `${text("tcp.flags")} seq ${text("tcp.sequence")} ack ${text("tcp.acknowledgment")} len ${String(octets)}`;
		const arrow = text("ipv4.source") === "192.0.2.1" ? `${what.padEnd(56, " ")} ──>` : `<── ${what}`;
		print(`${(row.time / 1e6).toFixed(2).padStart(9)} ms  ${arrow}`);
	}
	await stream.close();
	await peer.close();
	save(capture);
}
