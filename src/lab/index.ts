export type { LabCableOptions } from "./cabling.ts";
export type { Fault } from "./faults.ts";
export { Host, type HostOptions, type NicOptions } from "./host.ts";
export { type Explanation, Lab, type LabOptions, type LabVethEnd } from "./lab.ts";
export { Netns } from "./netns.ts";
