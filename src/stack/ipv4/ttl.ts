/** `IPDEFTTL`: the TTL of packets whose sender says nothing (RFC 1340). */
export const DEFAULT_TTL = 64;
