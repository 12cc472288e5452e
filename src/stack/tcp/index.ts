export type { CoreConf, TcpChoices, TcpConf } from "./conf.ts";
export { type ConnectOptions, Tcp } from "./connections.ts";
export { type ListenOptions, TcpListener } from "./listener.ts";
export { type TcpInfo, TcpSocket } from "./socket.ts";
export { TcpServer } from "./server.ts";
export { type TcpAddresses, TcpStream } from "./stream.ts";
export { Tcb, type KeepAlive, type TcpTuning } from "./tcb.ts";
