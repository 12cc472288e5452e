import { formatIp4, type Ip4, parseIp4, toIp4 } from "../addr/index.ts";
import { NetError } from "../errors.ts";
import { type Duration, type Operation, parseDuration, Timer } from "../sim/index.ts";
import type { EchoReply, IcmpError, IpNamespace, MtuDiscovery, PingSocket } from "../stack/index.ts";
import { icmp } from "../wire/index.ts";
import { errorText, isFailure, report } from "./ping-text.ts";
import { addressesOf, nameOf } from "./resolver.ts";

/** The options of ping(8), by their long meaning. */
export interface PingOptions {
	/** Echo requests to send (`-c`); 4 unless said. */
	readonly count?: number;
	/** Time between them (`-i`); a second unless said. */
	readonly interval?: Duration;
	/** Octets of data (`-s`); 56 unless said. */
	readonly size?: number;
	/** `-t`. */
	readonly ttl?: number;
	/** `-Q`. */
	readonly tos?: number;
	/** How long to wait for the last answer (`-W`); ten seconds unless said. */
	readonly timeout?: Duration;
	/** `-M`. */
	readonly mtuDiscovery?: MtuDiscovery;
	/** Source address (`-I`). */
	readonly from?: Ip4 | string;
	/** May ping a broadcast address (`-b`). */
	readonly broadcast?: boolean;
}

/** One answer. */
export interface PingReply {
	readonly sequence: number;
	readonly from: string;
	readonly ttl: number;
	/** Octets of the ICMP message. */
	readonly octets: number;
	/** Milliseconds from request to reply. */
	readonly time: number;
	/** The request had an answer already. */
	readonly duplicate: boolean;
}

/** One error, as it is printed. */
export interface PingError {
	readonly sequence: number;
	/** Who said so; undefined for this host itself. */
	readonly from: string | undefined;
	readonly text: string;
}

/** What came of it. */
export interface PingResult {
	readonly destination: string;
	readonly sent: number;
	/** Requests that were answered; duplicates do not count. */
	readonly received: number;
	readonly replies: readonly PingReply[];
	readonly errors: readonly PingError[];
	/** Journey of each request, for `lab.explain`. */
	readonly packets: readonly number[];
	/** What ping(8) prints. */
	text(): string;
}

const TIMESTAMP = 16; // struct timeval: seconds and microseconds, 8 octets each, little-endian
const MAXWAIT = "10s"; // iputils: MAXWAIT
/** A name, not an address: some label does not begin with a digit. */
const HOST_NAME = /^(?=.*[a-z])[a-z0-9_][a-z0-9_.-]*$/i;

/**
 * Pings a host as iputils' ping does. Rejects with NetError where ping ends at once: no route at all
 * (ENETUNREACH), a broadcast address without `broadcast` (EACCES).
 */
export function ping(
	ns: IpNamespace,
	destination: Ip4 | string,
	options: PingOptions = {},
): Operation<PingResult> {
	const name = typeof destination === "string" && HOST_NAME.test(destination) ? destination : undefined;
	if (name === undefined) return pingAddress(ns, toIp4(destination, "destination"), options);
	return ns.kernel.driver.operation<PingResult>(
		(settle) => {
			const failed = (error: NetError): void => settle.reject(error);
			addressesOf(
				ns,
				name,
				(addresses) => {
					const to = addresses.map((address) => parseIp4(address)).find((address) => address !== undefined);
					if (to === undefined) {
						failed(
							new NetError("EAI_NONAME", `ping: ${name}: Name or service not known`, { context: { name } }),
						);
						return;
					}
					const run = new Run(ns, to, options, name);
					run.start(() => settle.resolve(run.result()), failed);
				},
				(error) => {
					failed(new NetError(error.code, `ping: ${error.message}`, { context: { name } }));
				},
			);
		},
		{ what: `ping ${name} from ${ns.name}` },
	);
}

function pingAddress(ns: IpNamespace, to: Ip4, options: PingOptions): Operation<PingResult> {
	const run = new Run(ns, to, options);
	return ns.kernel.driver.operation<PingResult>(
		(settle) => {
			run.start(
				() => settle.resolve(run.result()),
				(error) => settle.reject(error),
			);
		},
		{ what: `ping ${formatIp4(to)} from ${ns.name}` },
	);
}

class Run {
	readonly #ns: IpNamespace;
	/** As it was asked for, when that was no address. */
	readonly #name: string | undefined;
	/** The name of who answers. */
	#answerer: string | undefined;
	readonly #to: Ip4;
	readonly #count: number;
	readonly #interval: number;
	readonly #timeout: number;
	readonly #size: number;
	readonly #options: PingOptions;
	readonly #from: Ip4;
	readonly #socket: PingSocket;
	readonly #sentAt: number[] = [];
	readonly #packets: number[] = [];
	readonly #replies: PingReply[] = [];
	readonly #errors: PingError[] = [];
	/** Both, as they came: the order of the lines. */
	readonly #events: (PingReply | PingError)[] = [];
	/** Requests that were on their way at once, as far as answers and errors tell (`pipesize`). */
	#pipe = 0;
	readonly #timer: Timer;
	#finished: () => void = () => undefined;
	#began = 0;
	#done = false;

	constructor(ns: IpNamespace, to: Ip4, options: PingOptions, name?: string) {
		this.#ns = ns;
		this.#name = name;
		this.#to = to;
		this.#options = options;
		this.#count = checkCount(options.count ?? 4);
		this.#interval = parseDuration(options.interval ?? "1s", "interval");
		this.#timeout = parseDuration(options.timeout ?? MAXWAIT, "timeout");
		this.#size = checkSize(options.size ?? 56);
		this.#from = options.from === undefined ? (0 as Ip4) : toIp4(options.from, "from");
		this.#socket = ns.pings.open();
		this.#socket.ttl = options.ttl ?? ns.ipv4.conf.ip_default_ttl;
		this.#socket.tos = options.tos ?? 0;
		this.#socket.mtuDiscovery = options.mtuDiscovery ?? (ns.isBroadcast(to) ? "do" : "want");
		this.#socket.onReply = (reply) => {
			this.#replied(reply);
		};
		this.#socket.onError = (error, sequence) => {
			this.#failed(error, sequence);
		};
		this.#timer = new Timer(() => {
			this.#next();
		});
	}

	start(finished: () => void, failed: (error: NetError) => void): void {
		const refusal = this.#refusal();
		if (refusal !== undefined) {
			this.#socket.close();
			return failed(refusal);
		}
		this.#finished = finished;
		this.#began = this.#now;
		this.#next();
	}

	/** ping connects a socket first, to see whether there is a way at all. */
	#refusal(): NetError | undefined {
		const route = this.#ns.route(this.#to);
		if (route === undefined) return new NetError("ENETUNREACH", "ping: connect: Network is unreachable");
		if (route.type === "unreachable") return new NetError("EHOSTUNREACH", "ping: connect: No route to host");
		if (route.type === "prohibit") return new NetError("EACCES", "ping: connect: Permission denied");
		if (route.type === "blackhole") return new NetError("EINVAL", "ping: connect: Invalid argument");
		if (this.#ns.isBroadcast(this.#to) && this.#options.broadcast !== true) {
			return new NetError(
				"EACCES",
				"ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules",
				{
					remedy: "Set broadcast: true.",
				},
			);
		}
		return undefined;
	}

	get #now(): number {
		return this.#ns.kernel.world.scheduler.now;
	}

	/** Time for the next request, or to stop waiting for answers. */
	#next(): void {
		if (this.#isLast) return this.#finish();
		this.#send();
		this.#rest();
	}

	#rest(): void {
		if (this.#done) return;
		// Until something comes back ping sleeps in recvmsg, whose timeout the kernel rounds to its ticks.
		this.#ns.kernel.sleep(this.#timer, this.#isLast ? this.#patience() : this.#interval);
	}

	get #isLast(): boolean {
		return this.#sentAt.length >= this.#count;
	}

	/** Something came back: ping waits for the rest of the interval in poll, which is exact. */
	#woken(): void {
		if (this.#done) return;
		const { scheduler } = this.#ns.kernel.world;
		const due = (this.#sentAt.at(-1) ?? 0) + (this.#isLast ? this.#patience() : this.#interval);
		scheduler.at(Math.max(scheduler.now, due), this.#timer);
	}

	/** After the last request: twice the longest round trip if answers came, else the whole timeout. */
	#patience(): number {
		const longest = Math.max(0, ...this.#replies.map((reply) => reply.time * 1e6));
		return longest > 0 ? Math.max(2 * longest, this.#interval) : this.#timeout;
	}

	#send(): void {
		const sequence = this.#sentAt.length + 1;
		this.#sentAt.push(this.#now);
		try {
			const confirm = this.#replies.length > 0;
			this.#packets.push(this.#socket.send(this.#to, sequence, this.#payload(), confirm, this.#from));
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			const text = error.code === "EMSGSIZE" ? `local error: ${error.message}` : `sendmsg: ${error.message}`;
			this.#note(this.#errors, { sequence, from: undefined, text });
			this.#check();
		}
	}

	/** The time of day, then 0x10, 0x11 … */
	#payload(): Uint8Array {
		const data = new Uint8Array(this.#size);
		for (let i = 0; i < data.length; i++) data[i] = i & 0xff;
		if (data.length < TIMESTAMP) return data;
		const view = new DataView(data.buffer);
		const now = this.#ns.kernel.epoch + BigInt(this.#now);
		view.setBigUint64(0, now / 1_000_000_000n, true);
		view.setBigUint64(8, (now % 1_000_000_000n) / 1000n, true);
		return data;
	}

	#replied(reply: EchoReply): void {
		const sent = this.#sentAt[reply.sequence - 1];
		if (sent === undefined) return;
		this.#note(this.#replies, {
			sequence: reply.sequence,
			from: formatIp4(reply.from),
			ttl: reply.ttl,
			octets: reply.data.length + icmp.OCTETS,
			time: (this.#now - sent) / 1e6,
			duplicate: this.#replies.some((other) => other.sequence === reply.sequence),
		});
		this.#acknowledge(reply.sequence);
		const goOn = (): void => {
			this.#check();
			this.#woken();
		};
		if (this.#name === undefined) return goOn();
		// ping prints who answered: it asks for the name of each answer's sender, and waits for it.
		nameOf(this.#ns, formatIp4(reply.from), (name) => {
			this.#answerer = name;
			goOn();
		});
	}

	#failed(error: IcmpError, sequence: number): void {
		const text = errorText(error);
		this.#note(this.#errors, { sequence, from: formatIp4(error.from), text });
		if (isFailure(text)) this.#acknowledge(sequence);
		this.#check();
		this.#woken();
	}

	#note<E extends PingReply | PingError>(list: E[], event: E): void {
		list.push(event);
		this.#events.push(event);
	}

	#acknowledge(sequence: number): void {
		this.#pipe = Math.max(this.#pipe, this.#sentAt.length - sequence + 1);
	}

	get #failures(): number {
		return this.#errors.filter(({ text }) => isFailure(text)).length;
	}

	get #received(): number {
		return this.#replies.filter(({ duplicate }) => !duplicate).length;
	}

	/** Ends when every request has an answer or an error. */
	#check(): void {
		if (this.#isLast && this.#received + this.#failures >= this.#count) this.#finish();
	}

	#finish(): void {
		if (this.#done) return;
		this.#done = true;
		this.#timer.cancel();
		this.#socket.close();
		this.#finished();
	}

	result(): PingResult {
		const destination = formatIp4(this.#to);
		const names = this.#name === undefined ? undefined : { asked: this.#name, answerer: this.#answerer };
		const [replies, errors, sent, size] = [this.#replies, this.#errors, this.#sentAt.length, this.#size];
		const [failures, received, events, pipe] = [this.#failures, this.#received, this.#events, this.#pipe];
		// ping reports the time up to its last request.
		const elapsed = ((this.#sentAt.at(-1) ?? this.#began) - this.#began) / 1e6;
		return {
			destination,
			sent,
			received,
			replies,
			errors,
			packets: this.#packets,
			text: () => report({ destination, size, sent, received, events, failures, pipe, elapsed, names }),
		};
	}
}

function checkCount(count: number): number {
	if (Number.isInteger(count) && count >= 1) return count;
	throw new RangeError(`count is ${String(count)}, expected a whole number from 1`);
}

function checkSize(size: number): number {
	if (Number.isInteger(size) && size >= 0 && size <= 65_507) return size;
	throw new RangeError(`size is ${String(size)}, expected a whole number from 0 to 65507`);
}
