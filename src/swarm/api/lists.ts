import { Listing } from "../../cnm/index.ts";
import type { Clock } from "../manager/clock.ts";
import { nanosecondsOf } from "../manager/clock.ts";
import type { NodeObject, ServiceObject, ServicePort, TaskObject } from "../objects.ts";
import type { Reader } from "../store/tables.ts";
import { capital, humanDuration, natural } from "./human.ts";

/** Digits of an id in docker's lists. */
const SHORT = 12;
/** Characters of an error in them (`maxErrLength`). */
const ERROR = 30;

/** A line of `docker service ps`, columns as printed. */
export interface TaskLine {
	/** The first twelve digits. */
	readonly id: string;
	/** `web.1`; ` \_ web.1` for what was there before. */
	readonly name: string;
	readonly image: string;
	/** The node's hostname, "" when it has none yet. */
	readonly node: string;
	readonly desiredState: string;
	/** `Running 50 seconds ago`. */
	readonly currentState: string;
	/** In quotation marks, cut after 30 characters. */
	readonly error: string;
	/** `*:8081->80/tcp`. */
	readonly ports: string;
}

const taskName = (task: TaskObject): string =>
	`${task.serviceName}.${task.slot === 0 ? task.nodeId : String(task.slot)}`;

/** Tasks as `docker service ps` lists them: by name, newest first. Attachments are not shown. */
export function taskLines(reader: Reader, tasks: readonly TaskObject[], clock: Clock): Listing<TaskLine> {
	const sorted = tasks
		.filter(({ serviceId }) => serviceId !== "")
		.map((task) => ({
			task,
			name: taskName(task),
			at: nanosecondsOf(task.meta.createdAt),
			nth: tasks.indexOf(task),
		}))
		.sort((a, b) => natural(a.name, b.name) || Number(b.at - a.at) || b.nth - a.nth);
	const lines = sorted.map(({ task, name }, i): TaskLine => ({
		id: task.id.slice(0, SHORT),
		name: sorted[i - 1]?.name === name ? ` \\_ ${name}` : name,
		image: task.spec.container.image,
		node: reader.get("node", task.nodeId)?.description?.hostname ?? task.nodeId,
		desiredState: capital(task.desiredState),
		currentState: `${capital(task.status.state)} ${humanDuration(clock.since(task.status.timestamp)).toLowerCase()} ago`,
		error: task.status.err === "" ? "" : `"${cut(task.status.err.replaceAll("\n", " "))}"`,
		ports: (task.status.ports ?? [])
			.map((port) => `*:${String(port.publishedPort)}->${String(port.targetPort)}/${port.protocol}`)
			.join(","),
	}));
	return new Listing(lines, [
		["ID", ({ id }) => id],
		["NAME", ({ name }) => name],
		["IMAGE", ({ image }) => image],
		["NODE", ({ node }) => node],
		["DESIRED STATE", ({ desiredState }) => desiredState],
		["CURRENT STATE", ({ currentState }) => currentState],
		["ERROR", ({ error }) => error],
		["PORTS", ({ ports }) => ports],
	]);
}

const cut = (text: string): string => (text.length > ERROR ? `${text.slice(0, ERROR - 1)}…` : text);

/** A line of `docker service ls`, columns as printed. */
export interface ServiceLine {
	readonly id: string;
	readonly name: string;
	readonly mode: string;
	/** `2/3`: those that run and those that are wanted. */
	readonly replicas: string;
	readonly image: string;
	/** `*:8080->80/tcp`. */
	readonly ports: string;
}

/** Services as `docker service ls` lists them. */
export function serviceLines(reader: Reader): Listing<ServiceLine> {
	const lines = [...reader.all("service")]
		.sort((a, b) => natural(a.spec.name, b.spec.name))
		.map((service): ServiceLine => ({
			id: service.id.slice(0, SHORT),
			name: service.spec.name,
			mode: service.spec.mode.kind,
			replicas: replicas(service, reader.tasksOf(service.id)),
			image: service.spec.task.container.image,
			ports: portRanges(
				(service.endpoint?.ports ?? []).filter(({ publishMode }) => publishMode === "ingress"),
			),
		}));
	return new Listing(lines, [
		["ID", ({ id }) => id],
		["NAME", ({ name }) => name],
		["MODE", ({ mode }) => mode],
		["REPLICAS", ({ replicas }) => replicas],
		["IMAGE", ({ image }) => image],
		["PORTS", ({ ports }) => ports],
	]);
}

function replicas({ spec }: ServiceObject, tasks: readonly TaskObject[]): string {
	const wanted = tasks.filter(({ desiredState }) => desiredState === "running");
	const running = wanted.filter(({ status }) => status.state === "running").length;
	const count = spec.mode.kind === "global" ? wanted.length : spec.mode.replicas;
	const most = spec.task.placement.maxReplicas;
	return `${String(running)}/${String(count)}${most > 0 ? ` (max ${String(most)} per node)` : ""}`;
}

/** Ports that follow each other as one range: `*:8000-8002->80-82/tcp`. */
function portRanges(ports: readonly ServicePort[]): string {
	const ranges: { from: ServicePort; to: ServicePort }[] = [];
	for (const port of [...ports].sort((a, b) => a.publishedPort - b.publishedPort)) {
		const last = ranges.at(-1);
		const follows =
			last !== undefined &&
			last.to.protocol === port.protocol &&
			last.to.publishedPort + 1 === port.publishedPort &&
			last.to.targetPort + 1 === port.targetPort;
		if (follows) last.to = port;
		else ranges.push({ from: port, to: port });
	}
	const range = (a: number, b: number): string => (a === b ? String(a) : `${String(a)}-${String(b)}`);
	return ranges
		.map(
			({ from, to }) =>
				`*:${range(from.publishedPort, to.publishedPort)}->${range(from.targetPort, to.targetPort)}/${from.protocol}`,
		)
		.join(", ");
}

/** A line of `docker node ls`, columns as printed. */
export interface NodeLine {
	readonly id: string;
	/** The node that is asked: the `*` behind its id. */
	readonly self: boolean;
	readonly hostname: string;
	readonly status: string;
	readonly availability: string;
	/** `Leader`, `Reachable`, `Unreachable`, "" for workers. */
	readonly managerStatus: string;
	readonly engineVersion: string;
}

/** Nodes as `docker node ls` lists them. */
export function nodeLines(nodes: readonly NodeObject[], self: string): Listing<NodeLine> {
	const lines = [...nodes]
		.sort((a, b) => natural(a.description?.hostname ?? "", b.description?.hostname ?? ""))
		.map(({ id, description, status, spec, managerStatus }): NodeLine => ({
			id,
			self: id === self,
			hostname: description?.hostname ?? "",
			status: capital(status.state),
			availability: capital(spec.availability),
			managerStatus:
				managerStatus === undefined
					? ""
					: managerStatus.leader
						? "Leader"
						: capital(managerStatus.reachability),
			engineVersion: description?.engineVersion ?? "",
		}));
	return new Listing(lines, [
		["ID", (line) => `${line.id} ${line.self ? "*" : " "}`],
		["HOSTNAME", ({ hostname }) => hostname],
		["STATUS", ({ status }) => status],
		["AVAILABILITY", ({ availability }) => availability],
		["MANAGER STATUS", ({ managerStatus }) => managerStatus],
		["ENGINE VERSION", ({ engineVersion }) => engineVersion],
	]);
}

/** What `docker node inspect` prints, keys in its order. */
export interface NodeJson {
	readonly ID: string;
	readonly Version: { readonly Index: number };
	readonly CreatedAt: string;
	readonly UpdatedAt: string;
	readonly Spec: {
		readonly Labels: Readonly<Record<string, string>>;
		readonly Role: string;
		readonly Availability: string;
	};
	readonly Description: {
		readonly Hostname?: string;
		readonly Platform: { readonly Architecture?: string; readonly OS?: string };
		readonly Engine: { readonly EngineVersion?: string; readonly Labels?: Readonly<Record<string, string>> };
	};
	readonly Status: { readonly State: string; readonly Message?: string; readonly Addr: string };
	readonly ManagerStatus?: { readonly Leader?: true; readonly Reachability: string; readonly Addr: string };
}

/** A node as `docker node inspect` prints it. */
export function nodeJson({ id, meta, spec, description, status, managerStatus }: NodeObject): NodeJson {
	const labels = description?.engineLabels ?? {};
	return {
		ID: id,
		Version: { Index: meta.version },
		CreatedAt: meta.createdAt,
		UpdatedAt: meta.updatedAt,
		Spec: { Labels: spec.labels, Role: spec.role, Availability: spec.availability },
		Description:
			description === undefined
				? { Platform: {}, Engine: {} }
				: {
						Hostname: description.hostname,
						Platform: { Architecture: description.platform.architecture, OS: description.platform.os },
						Engine: {
							EngineVersion: description.engineVersion,
							...(Object.keys(labels).length === 0 ? {} : { Labels: labels }),
						},
					},
		Status: {
			State: status.state,
			...(status.message === "" ? {} : { Message: status.message }),
			Addr: status.addr,
		},
		...(managerStatus === undefined
			? {}
			: {
					ManagerStatus: {
						...(managerStatus.leader ? { Leader: true as const } : {}),
						Reachability: managerStatus.reachability,
						Addr: managerStatus.addr,
					},
				}),
	};
}
