export { Gossip, type GossipMember, type GossipOptions, type MemberChange } from "./gossip.ts";
export { primaryFirst, type SwarmKey } from "./keyring.ts";
export type { MemberState } from "./member.ts";
