import { expect, test } from "vitest";
import { iptablesTakes } from "../../src/cnm/rules.ts";
import { Lab, NetError, type Netns } from "../../src/index.ts";

function namespace(): Netns {
	const { netns } = new Lab({ seed: 1 }).host("node1");
	netns.iptables("-N DOCKER");
	netns.iptables("-A FORWARD -o br0 -j DOCKER");
	return netns;
}

test.each([
	["-S DOCKER", true],
	["-S DOCKER-INGRESS", false],
	["-C FORWARD -o br0 -j DOCKER", true],
	["-C FORWARD -o br1 -j DOCKER", false],
	["-C DOCKER-INGRESS -j RETURN", false],
	["-C FORWARD -j DOCKER-INGRESS", false],
	["-t nat -C POSTROUTING -j MASQUERADE", false],
] as const)("iptables %s finds it: %s", (command, found) => {
	expect(iptablesTakes(namespace(), command)).toBe(found);
});

test.each([
	["-C FORWARD -p tpc -j DROP", 'unknown protocol "tpc" specified'],
	["-C FORWARD -m addrtyp --dst-type LOCAL -j DROP", "Couldn't load match `addrtyp'"],
	["-C FORWARD -m addrtype --dst-typ LOCAL -j DROP", 'unknown option "--dst-typ"'],
	["-C POSTROUTING -t nat -s 10.0.0.0/33 -j MASQUERADE", "invalid mask `33' specified"],
	["-X FORWARD", "CHAIN_DEL failed (Device or resource busy)"],
])("iptables %s is a mistake, not something that is not there", (command, text) => {
	const ns = namespace();
	expect(() => iptablesTakes(ns, command)).toThrow(NetError);
	expect(() => iptablesTakes(ns, command)).toThrow(text);
});

test("a network goes, though somebody flushed the host's rules and took Docker's chains away", () => {
	const { docker, netns } = new Lab({ seed: 1 }).host("node1", {
		nics: { eth0: { address: "172.31.1.5/24" } },
	});
	docker.networks.create("net");
	for (const table of ["nat", "filter"]) {
		netns.iptables(`-t ${table} -F`);
		netns.iptables(`-t ${table} -X`);
	}
	docker.networks.rm("net");
	expect(docker.networks.ls().map(({ name }) => name)).toEqual(["bridge", "host", "none"]);
});
