export { Agent, type AgentConnection, type AgentOptions } from "./agent.ts";
export { CertificateRenewer, type CertificateRenewerOptions } from "./certificate-renewer.ts";
export { ConnectionBroker, type ConnectionBrokerOptions } from "./connection-broker.ts";
export { type JoinRequest, type JoinResult, obtainCertificate, requestCertificate } from "./join.ts";
export { type RemoteManager, Remotes } from "./remotes.ts";
export { TaskRunner, type TaskRunnerOptions } from "./task-runner.ts";
export { Attacher } from "./attacher.ts";
