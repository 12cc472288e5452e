import { describe, expect, test } from "vitest";
import { Lab, type Netns } from "../../src/index.ts";
import { dissect } from "../../src/wire/index.ts";
import { has, value } from "../support/golden.ts";

/** A LAN with a host and two routers; r1 is the host's gateway, but what is for 10.9.0.0/24 is behind r2. */
function lan() {
	const lab = new Lab({ seed: 1 });
	const segment = lab.netns("lan");
	const br0 = segment.addBridge("br0");
	br0.up();
	const join = (name: string, address: string): Netns => {
		const ns = lab.netns(name);
		const [eth0, port] = lab.veth({ ns, name: "eth0" }, { ns: segment, name: name });
		br0.attach(port);
		port.up();
		eth0.addAddress(address);
		eth0.up();
		return ns;
	};
	const host = join("host", "10.0.0.10/24");
	const [r1, r2] = [join("r1", "10.0.0.1/24"), join("r2", "10.0.0.2/24")];
	host.routes.add("default", { via: "10.0.0.1" });
	r1.routes.add("10.9.0.0/24", { via: "10.0.0.2" });
	for (const router of [r1, r2]) router.sysctl.set("net.ipv4.ip_forward", 1);
	r2.loopback.addAddress("10.9.0.1/24");
	const capture = lab.capture("r1:eth0");
	/** Echo requests that r1 got since it was last asked. */
	let seen = 0;
	const byR1 = (): number => {
		const all = capture
			.sightings("r1:eth0")
			.map(({ data }) => dissect(data))
			.filter((layers) => has(layers, "icmp") && value(layers, "icmp.type") === 8)
			.filter((layers) => value(layers, "ipv4.ttl") === 64).length;
		const fresh = all - seen;
		seen = all;
		return fresh;
	};
	const ping = async (): Promise<number> => {
		await host.ping("10.9.0.1", { count: 1 });
		await lab.advance("1s");
		return byR1();
	};
	return { lab, host, r1, ping };
}

describe("ICMP redirects", () => {
	test("the first one makes a host ask for the better router, the second changes the way", async () => {
		const { host, ping } = lan();
		expect([await ping(), await ping(), await ping(), await ping()]).toEqual([1, 1, 0, 0]);
		expect(host.routes.get("10.9.0.1").text).toContain("via 10.0.0.2");
		// For this destination only.
		expect(host.routes.get("10.9.0.2").text).toContain("via 10.0.0.1");
	});

	test("are believed for five minutes, or until the cache is flushed", async () => {
		const { lab, host, ping } = lan();
		for (let i = 0; i < 3; i++) await ping();
		host.routes.flushCache();
		expect(host.routes.get("10.9.0.1").text).toContain("via 10.0.0.1");
		for (let i = 0; i < 3; i++) await ping();
		expect(host.routes.get("10.9.0.1").text).toContain("via 10.0.0.2");
		await lab.advance("301s");
		expect(host.routes.get("10.9.0.1").text).toContain("via 10.0.0.1");
	});

	test.each<readonly [string, (host: Netns) => void]>([
		[
			"accept_redirects is off for the device and for all",
			(host) => {
				host.sysctl.set("net.ipv4.conf.all.accept_redirects", 0);
				host.sysctl.set("net.ipv4.conf.eth0.accept_redirects", 0);
			},
		],
		[
			"the host is a router: setting ip_forward takes accept_redirects of all away",
			(host) => {
				host.sysctl.set("net.ipv4.ip_forward", 1);
			},
		],
		[
			"without shared media only another default gateway is believed (secure_redirects)",
			(host) => {
				host.sysctl.set("net.ipv4.conf.all.shared_media", 0);
				host.sysctl.set("net.ipv4.conf.eth0.shared_media", 0);
			},
		],
	])("are ignored when %s", async (_, configure) => {
		const { host, ping } = lan();
		configure(host);
		host.sysctl.set("net.ipv4.conf.eth0.log_martians", 1);
		expect([await ping(), await ping(), await ping()]).toEqual([1, 1, 1]);
		expect(host.kernel.log.lines.map(({ text }) => text)).toEqual([
			"IPv4: Redirect from 10.0.0.1 on eth0 about 10.0.0.2 ignored",
			"  Advised path = 10.0.0.10 -> 10.9.0.1",
			"IPv4: Redirect from 10.0.0.1 on eth0 about 10.0.0.2 ignored",
			"  Advised path = 10.0.0.10 -> 10.9.0.1",
			"IPv4: Redirect from 10.0.0.1 on eth0 about 10.0.0.2 ignored",
			"  Advised path = 10.0.0.10 -> 10.9.0.1",
		]);
	});

	test("of somebody else than the gateway are ignored", async () => {
		const { host, ping } = lan();
		host.routes.replace("default", { via: "10.0.0.1" });
		await ping();
		host.routes.add("10.9.0.0/24", { via: "10.0.0.2" });
		expect([await ping(), await ping()]).toEqual([0, 0]);
	});
});
