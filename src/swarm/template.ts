import type { NodeDescription } from "./objects.ts";

/** What a template may speak of (swarmkit template/context.go). */
export interface TemplateContext {
	readonly service: { readonly id: string; readonly name: string };
	readonly node: { readonly id: string } & Pick<NodeDescription, "hostname" | "platform">;
	readonly task: { readonly id: string; readonly name: string; readonly slot: string };
}

const FIELDS: Readonly<Record<string, (context: TemplateContext) => string>> = {
	".Service.ID": ({ service }) => service.id,
	".Service.Name": ({ service }) => service.name,
	".Node.ID": ({ node }) => node.id,
	".Node.Hostname": ({ node }) => node.hostname,
	".Node.Platform.Architecture": ({ node }) => node.platform.architecture,
	".Node.Platform.OS": ({ node }) => node.platform.os,
	".Task.ID": ({ task }) => task.id,
	".Task.Name": ({ task }) => task.name,
	".Task.Slot": ({ task }) => task.slot,
};

/** A task's name, as its container has it; `slot` is 0 for tasks of global services (swarmkit api/naming). */
export const taskName = (
	serviceName: string,
	{ id, slot, nodeId }: { readonly id: string; readonly slot: number; readonly nodeId: string },
): string => `${serviceName}.${slot > 0 ? String(slot) : nodeId}.${id}`;

/** `{{.Node.Hostname}}-{{.Task.Slot}}` with what it stands for; an action that stands for nothing is `unknown`. */
export function expand(text: string, context: TemplateContext): string | { readonly unknown: string } {
	let unknown: string | undefined;
	const expanded = text.replaceAll(/\{\{\s*(.*?)\s*\}\}/g, (_, action: string) => {
		const field = FIELDS[action];
		if (field === undefined) unknown ??= action;
		return field?.(context) ?? "";
	});
	return unknown === undefined ? expanded : { unknown };
}

/** What a spec is tried with before it is taken (swarmkit controlapi/service.go `validateContainerSpec`). */
const DUMMY: TemplateContext = {
	service: { id: "serviceid", name: "servicename" },
	node: { id: "nodeid", hostname: "nodeHostname", platform: { architecture: "architecture", os: "os" } },
	task: { id: "taskid", name: "taskname", slot: "1" },
};

/** Why a hostname cannot be expanded, in the words of Go's text/template; undefined when it can. */
export function hostnameProblem(hostname: string): string | undefined {
	const expanded = expand(hostname, DUMMY);
	if (typeof expanded === "string") return undefined;
	const { unknown } = expanded;
	if (!unknown.startsWith("."))
		return `expanding hostname failed: template: expansion:1: function ${JSON.stringify(unknown)} not defined`;
	const field = unknown.slice(unknown.lastIndexOf(".") + 1);
	const at = String(hostname.indexOf(unknown));
	return `expanding hostname failed: template: expansion:1:${at}: executing "expansion" at <${unknown}>: can't evaluate field ${field} in type template.Context`;
}
