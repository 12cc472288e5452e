export { fileSink, type FileSink, saveCapture } from "./capture-files.ts";
export { createConnection, serve, TcpDuplex } from "./tcp-duplex.ts";
