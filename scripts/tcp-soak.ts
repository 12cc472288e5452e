// npx tsx --conditions=vethwork-source scripts/tcp-soak.ts [MEGABYTES]
// An HTTP body of 100 MB by Node's own http, over a cable with 2 % loss, reordering and duplicates: every octet compared.
import { createHash } from "node:crypto";
import { createServer, get } from "node:http";
import { Lab } from "vethwork";
import { createConnection, serve } from "vethwork/node";

const megabytes = Number(process.argv[2] ?? 100);
const lab = new Lab({ seed: 1 });
const [client, server] = [lab.host("client"), lab.host("server")];
lab.cable(
	client.addNic("eth0", { address: "192.0.2.1/24" }),
	server.addNic("eth0", { address: "192.0.2.2/24" }),
	{ netem: { loss: "2%", duplicate: "2%", reorder: "5%", delay: "1ms" } },
);

const [sent, heard] = [createHash("sha256"), createHash("sha256")];
const part = (n: number): Buffer => Buffer.alloc(1_000_000, n & 0xff);
serve(
	server.netns,
	80,
	createServer((_, response) => {
		let n = 0;
		const more = (): void => {
			while (n < megabytes) {
				const data = part(n++);
				sent.update(data);
				if (!response.write(data)) return void response.once("drain", more);
			}
			response.end();
		};
		more();
	}),
);
const began = performance.now();
get({ host: "192.0.2.2", createConnection: createConnection(client.netns) }, (response) => {
	let octets = 0;
	response.on("data", (data: Buffer) => {
		octets += data.length;
		heard.update(data);
	});
	response.on("end", () => {
		const same = sent.digest("hex") === heard.digest("hex");
		const seconds = (performance.now() - began) / 1000;
		console.log(
			`${String(octets)} octets, ${same ? "all as sent" : "NOT as sent"}; ` +
				`${(lab.now / 1e9).toFixed(1)} s of the lab in ${seconds.toFixed(1)} s`,
		);
		process.exitCode = same ? 0 : 1;
	});
});
