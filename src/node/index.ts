export { fileSink, type FileSink, saveCapture } from "./capture-files.ts";
export { curl, type CurlPlace } from "./curl.ts";
export { forwardTcp, forwardUdp, type PortForward, type PortForwardOptions } from "./port-forward.ts";
export { createConnection, serve, TcpDuplex } from "./tcp-duplex.ts";
export { EmulatedAgent } from "./emulated-agent.ts";
