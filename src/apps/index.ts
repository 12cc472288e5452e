export { ping, type PingError, type PingOptions, type PingReply, type PingResult } from "./ping.ts";
