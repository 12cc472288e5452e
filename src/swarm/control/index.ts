export { GrpcClient, type GrpcTarget } from "./grpc-client.ts";
export { GrpcServer, type GrpcServerOptions } from "./grpc-server.ts";
export { LocalChannel } from "./local-channel.ts";
export {
	type CallOptions,
	type Caller,
	type Channel,
	Exchange,
	type Handler,
	type Identity,
	type MessageCodec,
	messageOf,
	type Method,
	rawMethod,
	type ReplySink,
	RpcError,
	rpcErrorOf,
	RpcServer,
	unary,
} from "./rpc.ts";
