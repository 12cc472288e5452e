import { describe, expect, test } from "vitest";
import { type Device, Lab, NetError, type Netns } from "../../src/index.ts";
import { IpNamespace } from "../../src/stack/index.ts";

/** A lab with something of everything, and all of its state that a mistake could change, as text. */
function world() {
	const lab = new Lab({ seed: 1 });
	const lan = lab.switch("lan");
	const host = lab.host("host", {
		nics: { eth0: { address: "192.0.2.1/24", gateway: "192.0.2.254", attach: lan } },
	});
	const ns = host.netns;
	const br0 = ns.addBridge("br0");
	const br1 = ns.addBridge("br1");
	const vx = ns.addVxlan("vx42", { vni: 42 });
	const blue = lab.netns("blue");
	const [a, b] = lab.veth({ ns: blue, name: "eth0" }, { ns: lab.netns("red"), name: "eth0" });
	br0.attach(vx);
	vx.addFdb("02:00:00:00:00:01", { dst: "192.0.2.9" });
	ns.neigh.add("192.0.2.7", { dev: "eth0", lladdr: "02:00:00:00:00:07" });
	const text = (device: Device): string =>
		[device.place, device.macText, device.mtu, device.isUp, device.index, device.upper?.master?.name].join(
			" ",
		);
	const state = (): string =>
		[...lab.namespaces.values()]
			.map((each: Netns) =>
				[
					each.devices.map(text).join("\n"),
					each.inDevices.map((inDevice) => JSON.stringify(inDevice.addresses)).join("\n"),
					each.routes.show(),
					each.neigh
						.show()
						.map((line) => line.text)
						.join("\n"),
				].join("\n"),
			)
			.concat(
				vx.fdbShow().map((line) => line.text),
				[...lab.hosts.keys()].join(),
			)
			.join("\n");
	return { lab, lan, host, ns, br0, br1, vx, blue, a, b, state };
}

type World = ReturnType<typeof world>;

describe("a mistake gets the kernel's or iproute2's words and changes nothing", () => {
	test.each<readonly [code: string, message: string, (w: World) => unknown]>([
		[
			"ENETUNREACH",
			"Error: Nexthop has invalid gateway.",
			(w) => w.ns.routes.add("10.0.0.0/8", { via: "198.51.100.1" }),
		],
		[
			"ENETUNREACH",
			"Error: Nexthop has invalid gateway.",
			(w) => w.lab.host("h2", { nics: { eth0: { address: "10.0.0.1/24", gateway: "10.0.1.1" } } }),
		],
		["EEXIST", "RTNETLINK answers: File exists", (w) => w.ns.routes.add("default", { via: "192.0.2.253" })],
		[
			"EINVAL",
			"Error: Invalid prefix for given prefix length.",
			(w) => w.ns.routes.add("10.0.0.1/8", { via: "192.0.2.254" }),
		],
		[
			"ESRCH",
			"RTNETLINK answers: No such process",
			(w) => {
				w.ns.routes.del("10.0.0.0/8");
			},
		],
		["EEXIST", "RTNETLINK answers: File exists", (w) => w.ns.addBridge("br0")],
		[
			"EEXIST",
			"RTNETLINK answers: File exists",
			(w) => w.lab.veth({ ns: w.blue, name: "x" }, { ns: w.blue, name: "x" }),
		],
		[
			"EEXIST",
			"RTNETLINK answers: File exists",
			(w) => {
				w.ns.device("eth0").addAddress("192.0.2.1/24");
			},
		],
		["EEXIST", '"blue" exists already', (w) => w.lab.netns("blue")],
		[
			"EEXIST",
			'Cannot create namespace file "/var/run/netns/one": File exists',
			(w) => {
				w.host.addNetns("one");
				w.host.addNetns("one");
			},
		],
		[
			"EINVAL",
			"Error: mtu less than device minimum.",
			(w) => {
				w.a.setMtu(67);
			},
		],
		[
			"EINVAL",
			"Error: mtu greater than device maximum.",
			(w) => {
				w.a.setMtu(65_536);
			},
		],
		[
			"EINVAL",
			'Error: argument "16777216" is wrong: invalid id',
			(w) => w.ns.addVxlan("vx", { vni: 16_777_216 }),
		],
		[
			"EINVAL",
			'Error: argument "256" is wrong: TTL must be <= 255',
			(w) => w.ns.addVxlan("vx", { vni: 1, ttl: 256 }),
		],
		[
			"EEXIST",
			"Error: A VXLAN device with the specified VNI already exists.",
			(w) => w.ns.addVxlan("vx", { vni: 42 }),
		],
		[
			"EADDRINUSE",
			"RTNETLINK answers: Address already in use",
			(w) => {
				w.ns.udp({ port: 5000 });
				const vx = w.ns.addVxlan("vx", { vni: 1, port: 5000 });
				try {
					vx.up();
				} finally {
					vx.delete();
				}
			},
		],
		["ERANGE", "Error: 8021q: Invalid VLAN id.", (w) => w.ns.addVlan("eth0", 4095)],
		["EOPNOTSUPP", "Error: 8021q: VLANs not supported on device.", (w) => w.ns.addVlan("lo", 5)],
		["ENODEV", 'Cannot find device "eth9"', (w) => w.ns.device("eth9")],
		["ENODEV", 'Cannot find device "eth9"', (w) => w.ns.addVlan("eth9", 5)],
		["ENODEV", 'Cannot find device "eth0"', (w) => w.ns.bridge("eth0")],
		[
			"EBUSY",
			"device vx42 is already a member of a bridge; can't enslave it to bridge br1.",
			(w) => w.br1.attach(w.vx),
		],
		[
			"EBUSY",
			"device vx42 is already a member of a bridge; can't enslave it to bridge br0.",
			(w) => w.br0.attach(w.vx),
		],
		["ELOOP", "Error: Can not enslave a bridge to a bridge.", (w) => w.br0.attach(w.br0)],
		["ELOOP", "Error: Can not enslave a bridge to a bridge.", (w) => w.br0.attach(w.br1)],
		["EINVAL", "RTNETLINK answers: Invalid argument", (w) => w.br0.attach(w.ns.loopback)],
		["EINVAL", "RTNETLINK answers: Invalid argument", (w) => w.br0.attach(w.a)],
		[
			"EINVAL",
			"RTNETLINK answers: Invalid argument",
			(w) => {
				w.br0.detach(w.ns.device("eth0"));
			},
		],
		[
			"EINVAL",
			"RTNETLINK answers: Invalid argument",
			(w) => {
				w.ns.move(w.ns.loopback, w.blue);
			},
		],
		[
			"EINVAL",
			"RTNETLINK answers: Invalid argument",
			(w) => {
				w.br0.setGroupFwdMask(1);
			},
		],
		[
			"EADDRNOTAVAIL",
			"RTNETLINK answers: Cannot assign requested address",
			(w) => {
				w.a.setMac("01:00:5e:00:00:01");
			},
		],
		[
			"EADDRNOTAVAIL",
			"RTNETLINK answers: Cannot assign requested address",
			(w) => {
				w.a.removeAddress("10.0.0.1/24");
			},
		],
		[
			"EEXIST",
			"RTNETLINK answers: File exists",
			(w) => {
				w.vx.addFdb("02:00:00:00:00:01", { dst: "192.0.2.10" });
			},
		],
		[
			"ENOENT",
			"RTNETLINK answers: No such file or directory",
			(w) => {
				w.vx.delFdb("02:00:00:00:00:02");
			},
		],
		[
			"EEXIST",
			"RTNETLINK answers: File exists",
			(w) => {
				w.ns.neigh.add("192.0.2.7", { dev: "eth0", lladdr: "02:00:00:00:00:08" });
			},
		],
		[
			"ENOENT",
			"RTNETLINK answers: No such file or directory",
			(w) => {
				w.ns.neigh.del("192.0.2.8", { dev: "eth0" });
			},
		],
		[
			"EINVAL",
			'Error: argument "a name too long for Linux" is wrong: "name" not a valid ifname',
			(w) => w.ns.addBridge("a name too long for Linux"),
		],
		[
			"EBUSY",
			"RTNETLINK answers: Device or resource busy",
			(w) => {
				w.ns.rename(w.ns.device("eth0"), "eth1");
			},
		],
		[
			"ENOENT",
			"sysctl: cannot stat /proc/sys/net/ipv4/conf/eth9/proxy_arp: No such file or directory",
			(w) => {
				w.ns.sysctl.set("net.ipv4.conf.eth9.proxy_arp", 1);
			},
		],
	])("%s: %s", (code, message, mistake) => {
		const w = world();
		// What a mistake of two calls does rightly with the first is part of the state before.
		const before = message.includes("/var/run/netns") ? undefined : w.state();
		let caught: unknown;
		try {
			mistake(w);
		} catch (error) {
			caught = error;
		}
		expect(caught).toBeInstanceOf(NetError);
		expect(caught).toMatchObject({ code, message });
		if (before !== undefined) expect(w.state()).toBe(before);
	});

	test.each<readonly [string, (w: World) => unknown]>([
		[
			'address is "10.0.0.300/24", expected a prefix such as 10.0.0.1/24',
			(w) => {
				w.a.addAddress("10.0.0.300/24");
			},
		],
		[
			'address is "10.0.0.1/33", expected a prefix such as 10.0.0.1/24',
			(w) => {
				w.a.addAddress("10.0.0.1/33");
			},
		],
		[
			'mac is "02:00", expected six octets such as 02:42:0a:00:01:06',
			(w) => IpNamespace.addVethPair({ ns: w.blue, name: "p", mac: "02:00" }, { ns: w.blue, name: "q" }),
		],
		[
			'dst is "nowhere", expected an IPv4 address such as 10.0.1.6',
			(w) => {
				w.vx.addFdb("02:00:00:00:00:03", { dst: "nowhere" });
			},
		],
		["port is 65536, expected a whole number from 0 to 65535", (w) => w.ns.udp({ port: 65_536 })],
		[
			'name is "a:b", expected a name without spaces and the characters : * ? { } /',
			(w) => w.lab.netns("a:b"),
		],
		[
			'loss is "150%", expected a share from 0 to 1 or a text such as "5%"',
			(w) => w.lab.cable(w.ns.addNic("eth7"), w.lan, { netem: { loss: "150%" } }),
		],
		[
			"netem and qdisc are both given, expected one of them",
			(w) => w.lab.cable(w.ns.addNic("eth7"), w.lan, { netem: {}, qdisc: { kind: "pfifo" } }),
		],
		["macTable is 0, expected a whole number of addresses from 1", (w) => w.lab.switch("s", { macTable: 0 })],
		[
			"access and trunk are both given, expected one of them",
			(w) => w.lab.cable(w.lan, w.lab.switch("s"), { port: { access: 1, trunk: [1] } }),
		],
		[
			'duration is "5 parsecs", expected milliseconds or a number with a unit such as "150us", "20ms", "5s"',
			(w) => w.lab.advance("5 parsecs"),
		],
	])("misuse says what was expected: %s", (message, mistake) => {
		expect(() => mistake(world())).toThrow(new RangeError(message));
	});
});
