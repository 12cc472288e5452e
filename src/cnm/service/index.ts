export { type SandboxMaker, ServiceAgent, type ServiceAgentOptions } from "./agent.ts";
export type { IngressPort, IngressProtocol, ServiceOfTask } from "./binding.ts";
