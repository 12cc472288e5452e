import type { Mac } from "../../addr/index.ts";
import { type Jiffies, KernelTimer, type Scheduler, seconds } from "../../sim/index.ts";
import { stp } from "../../wire/index.ts";
import type { PortState, PortTimers, StatefulPort, StpPort } from "./stp-port.ts";

/** What the tree needs of its bridge. */
export interface StpBridge<Port extends StatefulPort> {
	/** `ip link set … up` was said. */
	readonly isUp: boolean;
	/** Ports in the order in which the kernel goes through them: newest first. */
	readonly stpPorts: readonly StpPort<Port>[];
	/** Sends a BPDU out of a port. */
	sendBpdu(port: Port, bpdu: stp.Bpdu): void;
	/** A port's state is another one now. */
	stateChanged(port: Port): void;
	/** The states of all ports were looked at. */
	statesSelected(): void;
	/** Whether some port forwards. */
	carrierChanged(carrier: boolean): void;
	/** Addresses are to be forgotten sooner (topology change), or at the usual time again. */
	ageingChanged(): void;
	/** `root_block` of a port. */
	blocksRoot(port: Port): boolean;
}

/** Before a BPDU says how old its information is: at least one of its units (`MESSAGE_AGE_INCR`), here in ticks. */
const MESSAGE_AGE_INCREMENT = 1;
const HOLD_TIME = seconds(1);
const PRIORITY = 0x8000;
const MAX_AGE = seconds(20);
const HELLO_TIME = seconds(2);
const FORWARD_DELAY = seconds(15);
const LEAST_FORWARD_DELAY = seconds(2);
const MOST_FORWARD_DELAY = seconds(30);

/** The better of two bridges is the one with the lower priority, then the lower address. */
const compareIds = (a: stp.BridgeId, b: stp.BridgeId): number => a.priority - b.priority || a.mac - b.mac;

/**
 * 802.1D-1998's spanning tree as the kernel runs it. With STP off it still decides which ports forward: all
 * that are up. All times are ticks of the machine, and its timers are the kernel's, so BPDUs leave at the
 * recorded instants.
 *
 *     BPDU in ─ better than what the port knew? ─ root and designated ports chosen anew ─ states
 *     timers: hello (root sends), hold (not too often), message age (the root is lost), forward delay, TCN
 *
 * Reference: net/bridge/br_stp.c, br_stp_if.c, br_stp_timer.c.
 */
export class SpanningTree<Port extends StatefulPort> implements PortTimers {
	readonly #bridge: StpBridge<Port>;
	readonly #scheduler: Scheduler;
	readonly #jiffies: Jiffies;
	#enabled = false;
	/** Who this bridge is. */
	id: stp.BridgeId;
	designatedRoot: stp.BridgeId;
	rootCost = 0;
	/** Number of the port towards the root, 0 on the root itself. */
	rootPort = 0;
	topologyChange = false;
	topologyChangeDetected = false;
	/** As the root says, in ticks. */
	maxAge: number;
	helloTime: number;
	forwardDelay: number;
	/** As set here, in ticks: what the others get when this is the root. */
	bridgeMaxAge: number;
	bridgeHelloTime: number;
	bridgeForwardDelay: number;
	readonly helloTimer: KernelTimer;
	readonly tcnTimer: KernelTimer;
	readonly topologyChangeTimer: KernelTimer;

	constructor(bridge: StpBridge<Port>, scheduler: Scheduler, jiffies: Jiffies, mac: Mac) {
		this.#bridge = bridge;
		this.#scheduler = scheduler;
		this.#jiffies = jiffies;
		this.id = { priority: PRIORITY, mac };
		this.designatedRoot = this.id;
		this.maxAge = this.bridgeMaxAge = jiffies.ticks(MAX_AGE);
		this.helloTime = this.bridgeHelloTime = jiffies.ticks(HELLO_TIME);
		this.forwardDelay = this.bridgeForwardDelay = jiffies.ticks(FORWARD_DELAY);
		const timer = (action: () => void): KernelTimer => new KernelTimer(scheduler, jiffies, action);
		this.helloTimer = timer(() => {
			this.#helloExpired();
		});
		this.tcnTimer = timer(() => {
			this.#tcnExpired();
		});
		this.topologyChangeTimer = timer(() => {
			this.topologyChangeDetected = false;
			this.#setTopologyChange(false);
		});
	}

	/** `stp_state`. */
	get enabled(): boolean {
		return this.#enabled;
	}

	/** True while nobody better is known (`br_is_root_bridge`). */
	get isRoot(): boolean {
		return compareIds(this.id, this.designatedRoot) === 0;
	}

	/** True for a port by which this bridge serves its link. */
	isDesignated(port: StpPort<Port>): boolean {
		return compareIds(port.designatedBridge, this.id) === 0 && port.designatedPort === port.id;
	}

	get #now(): number {
		return this.#jiffies.jiffiesAt(this.#scheduler.now);
	}

	#port(number: number): StpPort<Port> | undefined {
		return this.#bridge.stpPorts.find((port) => port.number === number);
	}

	// ── the bridge goes up and down, ports come and go ───────────────────────────────────────────

	/** `ip link set … type bridge stp_state …` (`br_stp_start`, `br_stp_stop`). Ports that forward go on until they know better. */
	setEnabled(enabled: boolean): void {
		if (enabled === this.#enabled) return;
		this.#enabled = enabled;
		if (!enabled) return;
		const [least, most] = [LEAST_FORWARD_DELAY, MOST_FORWARD_DELAY].map((each) => this.#jiffies.ticks(each));
		this.setForwardDelay(Math.min(Math.max(this.bridgeForwardDelay, least!), most!));
		if (this.#bridge.isUp) this.helloTimer.after(this.helloTime);
		this.#selectStates();
	}

	/** The bridge was set up (`br_stp_enable_bridge`). */
	start(): void {
		if (this.#enabled) this.helloTimer.after(this.helloTime);
		this.#generate();
	}

	/** The bridge was set down; its ports are disabled first (`br_stp_disable_bridge`). */
	stop(): void {
		this.#setTopologyChange(false);
		this.topologyChangeDetected = false;
		this.helloTimer.cancel();
		this.topologyChangeTimer.cancel();
		this.tcnTimer.cancel();
	}

	/** A port's device is up and has carrier (`br_stp_enable_port`). */
	enablePort(port: StpPort<Port>): void {
		this.#becomeDesignated(port);
		port.topologyChangeAck = false;
		port.configPending = false;
		this.#setState(port, "blocking");
		this.#selectStates();
	}

	/** A port's device went down, or lost its carrier, or leaves (`br_stp_disable_port`). */
	disablePort(port: StpPort<Port>): void {
		const wasRoot = this.isRoot;
		this.#becomeDesignated(port);
		port.topologyChangeAck = false;
		port.configPending = false;
		port.cancelTimers();
		this.#setState(port, "disabled");
		this.#update();
		this.#selectStates();
		if (this.isRoot && !wasRoot) this.#becomeRoot();
	}

	/** The bridge's address is another one (`br_stp_change_bridge_id`). */
	setMac(mac: Mac): void {
		this.#identify({ priority: this.id.priority, mac }, () => true);
	}

	/** `priority` of the bridge (`br_stp_set_bridge_priority`). */
	setPriority(priority: number): void {
		this.#identify(
			{ priority, mac: this.id.mac },
			(port) => port.port.state !== "disabled" && this.isDesignated(port),
		);
	}

	#identify(id: stp.BridgeId, follows: (port: StpPort<Port>) => boolean): void {
		const wasRoot = this.isRoot;
		const old = this.id;
		for (const port of this.#bridge.stpPorts) {
			if (!follows(port)) continue;
			if (compareIds(port.designatedBridge, old) === 0) port.designatedBridge = id;
			if (compareIds(port.designatedRoot, old) === 0) port.designatedRoot = id;
		}
		this.id = id;
		this.#update();
		this.#selectStates();
		if (this.isRoot && !wasRoot) this.#becomeRoot();
	}

	/** `priority` of a port, 0 to 63 (`br_stp_set_port_priority`). */
	setPortPriority(port: StpPort<Port>, priority: number): void {
		const designated = this.isDesignated(port);
		port.priority = priority;
		if (designated) port.designatedPort = port.id;
		if (compareIds(this.id, port.designatedBridge) === 0 && port.id < port.designatedPort) {
			this.#becomeDesignated(port);
			this.#selectStates();
		}
	}

	/** A state set by hand; a blocking port goes on to where the tree wants it (`br_set_port_state`). */
	setPortState(port: StpPort<Port>, state: PortState): void {
		this.#setState(port, state);
		this.#selectStates();
	}

	/** `cost` of a port (`br_stp_set_path_cost`). */
	setPortCost(port: StpPort<Port>, cost: number): void {
		port.cost = cost;
		this.#update();
		this.#selectStates();
	}

	/** `hello_time`, ticks. */
	setHelloTime(ticks: number): void {
		this.bridgeHelloTime = ticks;
		if (this.isRoot) this.helloTime = ticks;
	}

	/** `max_age`, ticks. */
	setMaxAge(ticks: number): void {
		this.bridgeMaxAge = ticks;
		if (this.isRoot) this.maxAge = ticks;
	}

	/** `forward_delay`, ticks. */
	setForwardDelay(ticks: number): void {
		this.bridgeForwardDelay = ticks;
		if (this.isRoot) this.forwardDelay = ticks;
	}

	// ── who is the root, and which way ───────────────────────────────────────────────────────────

	#update(): void {
		this.#selectRoot();
		for (const port of this.#bridge.stpPorts) {
			if (port.port.state !== "disabled" && this.#shouldBecomeDesignated(port)) this.#becomeDesignated(port);
		}
	}

	#selectRoot(): void {
		let root: StpPort<Port> | undefined;
		for (const port of this.#bridge.stpPorts) {
			if (!this.#shouldBecomeRootPort(port, root)) continue;
			if (this.#bridge.blocksRoot(port.port)) this.#blockRoot(port);
			else root = port;
		}
		this.rootPort = root?.number ?? 0;
		this.designatedRoot = root?.designatedRoot ?? this.id;
		this.rootCost = root === undefined ? 0 : root.designatedCost + root.cost;
	}

	/** `root_block`: the port that would lead to a new root listens as long as it hears of it. */
	#blockRoot(port: StpPort<Port>): void {
		this.#setState(port, "listening");
		if (this.forwardDelay > 0) port.forwardDelayTimer.after(this.forwardDelay);
	}

	#shouldBecomeRootPort(port: StpPort<Port>, best: StpPort<Port> | undefined): boolean {
		if (port.port.state === "disabled" || this.isDesignated(port)) return false;
		if (compareIds(this.id, port.designatedRoot) <= 0) return false;
		if (best === undefined) return true;
		const order =
			compareIds(port.designatedRoot, best.designatedRoot) ||
			port.designatedCost + port.cost - (best.designatedCost + best.cost) ||
			compareIds(port.designatedBridge, best.designatedBridge) ||
			port.designatedPort - best.designatedPort ||
			port.id - best.id;
		return order < 0;
	}

	#shouldBecomeDesignated(port: StpPort<Port>): boolean {
		if (this.isDesignated(port)) return true;
		if (compareIds(port.designatedRoot, this.designatedRoot) !== 0) return true;
		const order =
			this.rootCost - port.designatedCost ||
			compareIds(this.id, port.designatedBridge) ||
			port.id - port.designatedPort;
		return order < 0;
	}

	#becomeDesignated(port: StpPort<Port>): void {
		port.designatedRoot = this.designatedRoot;
		port.designatedCost = this.rootCost;
		port.designatedBridge = this.id;
		port.designatedPort = port.id;
	}

	#becomeRoot(): void {
		this.maxAge = this.bridgeMaxAge;
		this.helloTime = this.bridgeHelloTime;
		this.forwardDelay = this.bridgeForwardDelay;
		this.#detectTopologyChange();
		this.tcnTimer.cancel();
		if (!this.#bridge.isUp) return;
		this.#generate();
		if (this.#enabled) this.helloTimer.after(this.helloTime);
	}

	// ── states ───────────────────────────────────────────────────────────────────────────────────

	#setState(port: StpPort<Port>, state: PortState): void {
		if (port.port.state === state) return;
		port.port.state = state;
		this.#bridge.stateChanged(port.port);
	}

	#selectStates(): void {
		let live = false;
		for (const port of this.#bridge.stpPorts) {
			if (port.port.state === "disabled") continue;
			if (port.number === this.rootPort) {
				port.configPending = false;
				port.topologyChangeAck = false;
				this.#makeForwarding(port);
			} else if (this.isDesignated(port)) {
				port.cancelMessageAge();
				this.#makeForwarding(port);
			} else {
				port.configPending = false;
				port.topologyChangeAck = false;
				this.#makeBlocking(port);
			}
			if (this.#forwards(port)) live = true;
		}
		this.#bridge.statesSelected();
		this.#bridge.carrierChanged(live);
	}

	/** Asked of a function, since deciding about a port changes its state. */
	#forwards(port: StpPort<Port>): boolean {
		return port.port.state === "forwarding";
	}

	#makeForwarding(port: StpPort<Port>): void {
		if (port.port.state !== "blocking") return;
		if (!this.#enabled || this.forwardDelay === 0) {
			this.#setState(port, "forwarding");
			this.#detectTopologyChange();
			port.cancelForwardDelay();
		} else this.#setState(port, "listening");
		if (this.#enabled && this.forwardDelay !== 0) port.forwardDelayTimer.after(this.forwardDelay);
	}

	#makeBlocking(port: StpPort<Port>): void {
		const { state } = port.port;
		if (state === "disabled" || state === "blocking") return;
		if (state === "forwarding" || state === "learning") this.#detectTopologyChange();
		this.#setState(port, "blocking");
		port.cancelForwardDelay();
	}

	#detectTopologyChange(): void {
		if (!this.#enabled) return;
		if (this.isRoot) {
			this.#setTopologyChange(true);
			this.topologyChangeTimer.after(this.bridgeForwardDelay + this.bridgeMaxAge);
		} else if (!this.topologyChangeDetected) {
			this.#sendTcn();
			this.tcnTimer.after(this.bridgeHelloTime);
		}
		this.topologyChangeDetected = true;
	}

	#setTopologyChange(changed: boolean): void {
		if (this.topologyChange === changed) return;
		this.topologyChange = changed;
		this.#bridge.ageingChanged();
	}

	// ── BPDUs out ────────────────────────────────────────────────────────────────────────────────

	/** One configuration message out of each port that serves its link. */
	#generate(): void {
		for (const port of this.#bridge.stpPorts) {
			if (port.port.state !== "disabled" && this.isDesignated(port)) this.#sendConfig(port);
		}
	}

	#sendConfig(port: StpPort<Port>): void {
		if (!this.#enabled) return;
		if (port.holdTimer.pending) {
			port.configPending = true;
			return;
		}
		const root = this.#port(this.rootPort);
		const age = root === undefined ? 0 : this.#now - root.designatedAge + MESSAGE_AGE_INCREMENT;
		if (age >= this.maxAge) return;
		this.#bridge.sendBpdu(port.port, {
			type: stp.CONFIG,
			flags:
				(this.topologyChange ? stp.TOPOLOGY_CHANGE : 0) |
				(port.topologyChangeAck ? stp.TOPOLOGY_CHANGE_ACK : 0),
			root: this.designatedRoot,
			rootCost: this.rootCost,
			bridge: this.id,
			port: port.id,
			messageAge: this.#units(age),
			maxAge: this.#units(this.maxAge),
			helloTime: this.#units(this.helloTime),
			forwardDelay: this.#units(this.forwardDelay),
		});
		port.topologyChangeAck = false;
		port.configPending = false;
		port.holdTimer.afterRounded(this.#jiffies.ticks(HOLD_TIME));
	}

	#sendTcn(): void {
		const root = this.#port(this.rootPort);
		if (root !== undefined) this.#bridge.sendBpdu(root.port, { type: stp.TCN });
	}

	/** Ticks in units of 1/256 s, rounded down (`br_set_ticks`). */
	#units(ticks: number): number {
		return Math.floor((this.#jiffies.nanoseconds(ticks) * stp.TICKS_PER_SECOND) / 1e9);
	}

	/** Units of 1/256 s in ticks, rounded up (`br_get_ticks`). */
	#ticks(units: number): number {
		return this.#jiffies.ticks((units * 1e9) / stp.TICKS_PER_SECOND);
	}

	// ── BPDUs in ─────────────────────────────────────────────────────────────────────────────────

	/** A BPDU came in at a port that is not disabled, of a bridge that is up and runs STP (`br_stp_rcv`). */
	receive(port: StpPort<Port>, bpdu: stp.Bpdu): void {
		if (bpdu.type === stp.TCN) {
			if (!this.isDesignated(port)) return;
			this.#detectTopologyChange();
			port.topologyChangeAck = true;
			this.#sendConfig(port);
			return;
		}
		if (bpdu.messageAge > bpdu.maxAge) return;
		if (!this.#supersedes(port, bpdu)) {
			if (this.isDesignated(port)) this.#sendConfig(port);
			return;
		}
		const wasRoot = this.isRoot;
		this.#record(port, bpdu);
		this.#update();
		this.#selectStates();
		if (!this.isRoot && wasRoot) {
			this.helloTimer.cancel();
			if (this.topologyChangeDetected) {
				this.topologyChangeTimer.cancel();
				this.#sendTcn();
				this.tcnTimer.after(this.bridgeHelloTime);
			}
		}
		if (port.number === this.rootPort) this.#follow(bpdu);
	}

	#supersedes(port: StpPort<Port>, bpdu: stp.ConfigBpdu): boolean {
		const order =
			compareIds(bpdu.root, port.designatedRoot) ||
			bpdu.rootCost - port.designatedCost ||
			compareIds(bpdu.bridge, port.designatedBridge);
		if (order !== 0) return order < 0;
		return compareIds(bpdu.bridge, this.id) !== 0 || bpdu.port <= port.designatedPort;
	}

	#record(port: StpPort<Port>, bpdu: stp.ConfigBpdu): void {
		const age = this.#ticks(bpdu.messageAge);
		port.designatedRoot = bpdu.root;
		port.designatedCost = bpdu.rootCost;
		port.designatedBridge = bpdu.bridge;
		port.designatedPort = bpdu.port;
		port.designatedAge = this.#now - age;
		port.messageAgeTimer.after(this.#ticks(bpdu.maxAge) - age);
	}

	/** The root's times hold here too, and what it says is passed on. */
	#follow(bpdu: stp.ConfigBpdu): void {
		this.maxAge = this.#ticks(bpdu.maxAge);
		this.helloTime = this.#ticks(bpdu.helloTime);
		this.forwardDelay = this.#ticks(bpdu.forwardDelay);
		this.#setTopologyChange((bpdu.flags & stp.TOPOLOGY_CHANGE) !== 0);
		this.#generate();
		if ((bpdu.flags & stp.TOPOLOGY_CHANGE_ACK) === 0) return;
		this.topologyChangeDetected = false;
		this.tcnTimer.cancel();
	}

	// ── timers ───────────────────────────────────────────────────────────────────────────────────

	#helloExpired(): void {
		if (!this.#bridge.isUp) return;
		this.#generate();
		if (this.#enabled) this.helloTimer.afterRounded(this.helloTime);
	}

	#tcnExpired(): void {
		if (this.isRoot || !this.#bridge.isUp) return;
		this.#sendTcn();
		this.tcnTimer.after(this.bridgeHelloTime);
	}

	holdExpired(port: StpPort<Port>): void {
		if (port.configPending) this.#sendConfig(port);
	}

	forwardDelayExpired(port: StpPort<Port>): void {
		if (port.port.state === "listening") {
			this.#setState(port, "learning");
			port.forwardDelayTimer.after(this.forwardDelay);
		} else if (port.port.state === "learning") {
			this.#setState(port, "forwarding");
			if (this.#servesSomeLink()) this.#detectTopologyChange();
			this.#bridge.carrierChanged(true);
		}
	}

	#servesSomeLink(): boolean {
		return this.#bridge.stpPorts.some(
			(port) => port.port.state !== "disabled" && compareIds(port.designatedBridge, this.id) === 0,
		);
	}

	messageAgeExpired(port: StpPort<Port>): void {
		if (port.port.state === "disabled") return;
		const wasRoot = this.isRoot;
		this.#becomeDesignated(port);
		this.#update();
		this.#selectStates();
		if (this.isRoot && !wasRoot) this.#becomeRoot();
	}
}
