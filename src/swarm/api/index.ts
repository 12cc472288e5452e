export { type ClusterNetworkJson, type ClusterNetworkOptions, ClusterNetworks } from "./cluster-networks.ts";
export { ControlApi, type ControlApiOptions } from "./control-api.ts";
export { controlCalls } from "./control-calls.ts";
export type { ManagerStatusOf } from "./control-nodes.ts";
export type { NodeJson, NodeLine, ServiceLine, TaskLine } from "./lists.ts";
export { ManagerApi, type ManagerApiOptions } from "./manager-api.ts";
export { Nodes } from "./nodes.ts";
export type { PublishOptions } from "./publish.ts";
export type { ControlClient, ControlRequest, ControlResult, NodeChanges } from "./requests.ts";
export { Service } from "./service.ts";
export type {
	EndpointSpecJson,
	ServiceJson,
	ServicePortJson,
	ServiceSpecJson,
	UpdateConfigJson,
} from "./service-json.ts";
export type {
	HealthcheckOptions,
	ServiceCreateOptions,
	ServiceNetworkOptions,
	ServiceOptions,
	ServiceUpdateOptions,
} from "./service-options.ts";
export { Services } from "./services.ts";
export type { TaskFilter } from "./task-filter.ts";
