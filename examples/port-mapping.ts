/**
 * A published port, `docker run -p 5001:80`: a client outside is translated and seen by the server, a container of the same
 * host comes by docker-proxy, a second connection from the bridge's gateway.
 */
import { createServer, get } from "node:http";
import { Lab, type Netns } from "vethwork";
import { createConnection, serve } from "vethwork/node";
import { findPacket, hopTable, trace } from "vethwork/observe";
import type { ExampleContext } from "../scripts/example-context.ts";

/** `curl http://host:port/` in a namespace, by Node's own client over the emulated TCP. */
const curl = (from: Netns, host: string, port: number): Promise<string> =>
	new Promise((resolve, reject) => {
		get({ host, port, createConnection: createConnection(from) }, (response) => {
			let page = "";
			response.on("data", (part: Buffer) => (page += part.toString()));
			response.on("end", () => {
				resolve(page);
			});
		}).on("error", reject);
	});

export default async function portMapping({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const { docker, netns } = lab.host("node2", {
		nics: { eth0: { address: "172.31.1.6/24", gateway: "172.31.1.1", attach: lan } },
	});
	const outside = lab.host("outside", { nics: { eth0: { address: "172.31.1.1/24", attach: lan } } });
	docker.networks.create("pubnet");
	const web = docker.run({ name: "web", network: "pubnet", publish: ["5001:80"] });
	const sibling = docker.run({ name: "sibling", network: "pubnet" });
	const server = createServer((request, response) => {
		response.sendDate = false;
		response.end(`Hello, ${request.socket.remoteAddress ?? ""}.`);
	});
	serve(web.netns, 80, server);
	const capture = lab.capture();

	print(`outside $ curl http://172.31.1.6:5001/\n${await curl(outside.netns, "172.31.1.6", 5001)}\n`);
	const asked = findPacket(capture, { "tcp.flags": "SYN" });
	print(`Its first segment, translated on node2 (DNAT, TTL - 1):\n${hopTable(trace(capture, asked ?? 0))}\n`);

	print(`sibling $ curl http://172.31.1.6:5001/\n${await curl(sibling.netns, "172.31.1.6", 5001)}\n`);
	await lab.advance("1s");
	print(`node2 $ curl http://127.0.0.1:5001/\n${await curl(netns, "127.0.0.1", 5001)}\n`);
	print(`node2 $ docker port web\n${docker.port("web").join("\n")}\n`);
	print(
		`node2 $ conntrack -L -p tcp --dport 5001\n${netns.conntrack.list().split("\n").slice(0, 3).join("\n")}`,
	);
	save(capture);
}
