import type { Ip4 } from "../../addr/index.ts";
import type { Timer } from "../../sim/index.ts";
import type { Destination, ForwardMethod } from "./service.ts";
import { TCP_STATES } from "./tcp-state.ts";

const TCP = 6;
const UDP = 17;

/** Which packets belong to a connection: the client's side and the virtual one. */
export interface ConnectionName {
	readonly protocol: number;
	readonly client: Ip4;
	/** 0 for templates. */
	readonly clientPort: number;
	/** A template of a service by mark has the mark here, and protocol 0. */
	readonly virtual: Ip4;
	readonly virtualPort: number;
}

/**
 * One connection through a virtual service, or a template of persistence from which further ones of a client are
 * made (`struct ip_vs_conn`).
 */
export class Connection implements ConnectionName {
	readonly protocol: number;
	readonly client: Ip4;
	clientPort: number;
	readonly virtual: Ip4;
	virtualPort: number;
	/** Where its packets go, and to which port. */
	readonly address: Ip4;
	port: number;
	readonly destination: Destination;
	/** As it was with the destination when the connection began. */
	readonly forward: ForwardMethod;
	readonly template: boolean;
	/** Lives for one datagram. */
	readonly onePacket: boolean;
	/** Connection tracking keeps it too (`IP_VS_CONN_F_NFCT`). */
	tracked: boolean;
	/** It counts as inactive with its destination. */
	inactive = true;
	/** Replies do not pass here, as far as is known. */
	noOutput: boolean;
	/** Of TCP, an index of `TCP_STATES`; of a template, 1 once one of its connections was established. */
	state = 0;
	/** Jiffies without a packet until it ends; 0 takes its template along. */
	timeout: number;
	/** The tick at which it ends, as last set. */
	expires = 0;
	/** When its timer would fire for that. */
	due = 0;
	/** The template it was made from (`cp->control`), and how many were made from it. */
	control: Connection | null = null;
	controlled = 0;
	inPackets = 0;
	/** The next one in its slot of the table. */
	next: Connection | null = null;
	hashed = false;
	timer: Timer | null = null;

	constructor(
		name: ConnectionName,
		destination: Destination,
		port: number,
		options: {
			readonly template: boolean;
			readonly onePacket: boolean;
			readonly tracked: boolean;
			readonly timeout: number;
		},
	) {
		this.protocol = name.protocol;
		this.client = name.client;
		this.clientPort = name.clientPort;
		this.virtual = name.virtual;
		this.virtualPort = name.virtualPort;
		this.address = destination.address;
		this.port = port;
		this.destination = destination;
		this.forward = destination.forward;
		this.noOutput = destination.forward !== "masquerading";
		this.template = options.template;
		this.onePacket = options.onePacket;
		this.tracked = options.tracked;
		this.timeout = options.timeout;
	}

	/** As `ipvsadm -Lc` names it (`ip_vs_state_name`). */
	get stateName(): string {
		if (this.template) return this.state === 0 ? "NONE" : "ASSURED";
		if (this.protocol === TCP) return TCP_STATES[this.state] ?? "ERR!";
		return this.protocol === UDP ? "UDP" : "NONE";
	}
}
