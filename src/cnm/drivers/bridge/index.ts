export { BridgeDriver } from "./bridge.ts";
export { dockerProxy, heldPort } from "./docker-proxy.ts";
export { Firewall } from "./firewall.ts";
export { LABELS } from "./options.ts";
export { type ProxyWork, type Wake } from "./tcp-proxy.ts";
export { PortAllocator } from "./port-allocator.ts";
export { PortMapper, type PortProxy, type ProxyRequest, type StartProxy } from "./port-mapper.ts";
