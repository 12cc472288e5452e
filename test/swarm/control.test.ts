import { describe, test } from "vitest";
import { Lab } from "../../src/index.ts";
import { seconds } from "../../src/sim/index.ts";
import {
	GrpcClient,
	GrpcServer,
	protobuf,
	RpcError,
	RpcServer,
	unary,
	type Identity,
	type Method,
} from "../../src/swarm/control/index.ts";
import { expectCleanInWireshark, tsharkFields } from "../support/wireshark.ts";

const { message, string, bytes } = protobuf;
const echo: Method<{ text: string }, { text: string }> = {
	path: "/test.Echo/Say",
	request: message({ text: [1, string] }),
	reply: message({ text: [1, string] }),
};
void bytes;
function machines() {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const a = lab.host("a", { nics: { eth0: { address: "172.31.1.5/24", attach: lan } } });
	const b = lab.host("b", { nics: { eth0: { address: "172.31.1.6/24", attach: lan } } });
	const identity: Identity = { nodeId: "c1lyc05jxgy3p0idteiaicrto", role: "manager", cluster: "x" };
	const rpc = new RpcServer();
	rpc.handle(echo, ({ text }, exchange) => {
		if (text === "no") throw new RpcError("NotFound", "näh 100%");
		exchange.answer({ text: `${text} ${exchange.caller.identity?.nodeId ?? "?"}` });
	});
	const server = new GrpcServer(a.netns, rpc, {
		port: 2377,
		identity,
		trusts: () => true,
		rng: a.rng.fork("s"),
	});
	const connect = (id?: Identity, serverName?: string) =>
		new GrpcClient(b.netns, {
			address: "172.31.1.5",
			port: 2377,
			identity: id,
			trusts: () => true,
			rng: b.rng.fork("c"),
			...(serverName === undefined ? {} : { serverName }),
		});
	return { lab, a, b, server, connect };
}

describe("x", () => {
	test("y", async () => {
		const { lab, connect } = machines();
		const capture = lab.capture();
		const client = connect({ nodeId: "w", role: "worker", cluster: "x" }, "swarm-manager");
		const said: unknown[] = [];
		for (const text of ["hello", "no", "x".repeat(5000)])
			unary(client, echo, { text }, (r) => said.push(r instanceof RpcError ? r.message : r.text.length), {
				timeout: seconds(5),
			});
		await lab.advance("1s");
		unary(client, echo, { text: "again" }, (r) => said.push(r instanceof RpcError ? r.message : r.text), {
			timeout: seconds(5),
		});
		await lab.advance("1s");
		client.close();
		await lab.advance("1s");
		console.log(said);
		await expectCleanInWireshark(capture.toPcapng());
		console.log(
			tsharkFields(
				capture.toPcapng(),
				["frame.time_relative", "ip.src", "tcp.flags.str", "tcp.len", "tls.record.length", "_ws.col.info"],
				'frame.interface_name=="b:eth0"',
			)
				.map((r) => r.join(" "))
				.join("\n"),
		);
	});
});
