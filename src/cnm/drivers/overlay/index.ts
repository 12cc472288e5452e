export { OverlayDriver, type OverlayDriverOptions } from "./driver.ts";
export { REQID, spiOf } from "./encryption.ts";
