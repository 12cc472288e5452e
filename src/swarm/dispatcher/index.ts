export { Attachments } from "./attachments.ts";
export { CertificateAuthority } from "./certificate-authority.ts";
export { Dispatcher } from "./dispatcher.ts";
export { firstKeys, KeyManager } from "./key-manager.ts";
export { Leadership, type LeadershipOptions } from "./leadership.ts";
export { type ClusterChange, ClusterControl, type ControlDone } from "./cluster-control.ts";
export { RoleManager } from "./role-manager.ts";
