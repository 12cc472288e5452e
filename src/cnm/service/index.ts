export { ServiceAgent, type ServiceAgentOptions } from "./agent.ts";
export type { EndpointBinding, IngressPort, IngressProtocol, ServiceOfTask } from "./binding.ts";
export type { LoadBalancerSandbox } from "./load-balancer.ts";
export { redirectPorts } from "./redirect.ts";
export type { ServiceJson, ServiceTaskJson } from "./services-json.ts";
