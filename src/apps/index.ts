export { arping, type ArpingOptions, type ArpingResult } from "./arping.ts";
export { ping, type PingError, type PingOptions, type PingReply, type PingResult } from "./ping.ts";
export { type RecordType, type Resolution, resolve } from "./resolver.ts";
