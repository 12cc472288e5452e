/**
 * What `docker network create -o encrypted` puts between two nodes: VXLAN inside ESP. States and policy are those that
 * dockerd writes by netlink; a mark, which its mangle rule sets, says which packets are meant.
 */
import { Lab } from "vethwork";
import { describe } from "vethwork/wire";
import type { ExampleContext } from "../scripts/example-context.ts";

const MARK = 0xd0c4e3; // Docker's, as reqid and as packet mark
const ADDRESS = ["192.0.2.1", "192.0.2.2"] as const;
const SPI = [0x1111_1111, 0x2222_2222] as const;

export default async function encryptedOverlay({ print, save }: ExampleContext): Promise<void> {
	await using lab = new Lab({ seed: 1 });
	const nodes = [lab.netns("node1"), lab.netns("node2")] as const;
	const ends = lab.veth({ ns: nodes[0], name: "eth0" }, { ns: nodes[1], name: "eth0" });

	for (const own of [0, 1] as const) {
		const other = own === 0 ? 1 : 0;
		const [node, eth0] = [nodes[own], ends[own]];
		eth0.addAddress(`${ADDRESS[own]}/24`);
		eth0.up();
		const vxlan0 = node.addVxlan("vxlan0", { vni: 4097, local: ADDRESS[own], mtu: 1424 });
		vxlan0.addAddress(`10.9.0.${String(own + 1)}/24`);
		vxlan0.appendFdb("default", { dst: ADDRESS[other] });
		vxlan0.up();

		const aead = (spi: number) => ({
			name: "rfc4106(gcm(aes))",
			key: `0x000102030405060708090a0b0c0d0e0f${spi.toString(16)}`, // the salt is the SPI
			icv: 64,
		});
		const [src, dst] = [ADDRESS[own], ADDRESS[other]];
		const common = { proto: "esp", reqid: MARK } as const;
		const tmpl = { ...common, src, dst, spi: SPI[own] };
		node.xfrm.state.add({ ...tmpl, aead: aead(SPI[own]) });
		node.xfrm.state.add({ ...common, src: dst, dst: src, spi: SPI[other], aead: aead(SPI[other]) });
		node.xfrm.policy.add({ src, dst, proto: "udp", dport: 4789, dir: "out", mark: MARK, tmpl: [tmpl] });
		node.iptables(`-t mangle -A OUTPUT -p udp --dport 4789 -j MARK --set-mark ${String(MARK)}`);
	}

	const capture = lab.capture();
	const result = await nodes[0].ping("10.9.0.2", { count: 2 });
	print(`${result.text()}\n`);
	for (const { data } of capture.sightings("node1:eth0")) print(describe(data));
	print(`\n# ip -s xfrm state\n${nodes[0].xfrm.state.show({ statistics: true })}`);
	save(capture);
}
