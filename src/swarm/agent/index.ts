export { Agent, type AgentConnection, type AgentOptions } from "./agent.ts";
export { type JoinRequest, type JoinResult, obtainCertificate, requestCertificate } from "./join.ts";
export { type RemoteManager, Remotes } from "./remotes.ts";
export { TaskRunner, type TaskRunnerOptions } from "./task-runner.ts";
export { Attacher } from "./attacher.ts";
