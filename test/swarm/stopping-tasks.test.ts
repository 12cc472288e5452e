import { expect, test } from "vitest";
import { Lab } from "../../src/index.ts";

test("a connection that is open when its task stops is closed by the task's kernel, not left without a word", async () => {
	const lab = new Lab({ seed: 1 });
	const attach = lab.switch("underlay");
	const node1 = lab.host("node1", { nics: { eth0: { address: "172.31.1.5/24", attach } } });
	const client = lab.host("client", { nics: { eth0: { address: "172.31.1.1/24", attach } } });
	lab.image("box", ({ netns }) => {
		netns.tcp.listen({ port: 80 }).onConnection = () => undefined;
	});
	const swarm = await node1.docker.swarm.init({ advertiseAddr: "172.31.1.5" }).ready;
	const web = swarm.services.create({ name: "web", image: "box", publish: ["8080:80"] });
	await web.converged();
	const { socket } = await client.netns.connect({ hostname: "172.31.1.5", port: 8080 });
	await web.rm();
	await lab.advance("1900ms");
	expect(socket.state).toBe("established");
	await lab.advance("1s");
	expect(socket.state).toBe("close-wait");
});
