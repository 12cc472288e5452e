/** Packet priorities by the four bits of the TOS octet that ask for a treatment: best effort, bulk, interactive, both. */
const BY_TOS = [0, 0, 0, 0, 2, 2, 2, 2, 6, 6, 6, 6, 4, 4, 4, 4] as const;

/** The priority of packets with a TOS octet within their machine (`rt_tos2priority`). */
export const priorityOf = (tos: number): number => BY_TOS[(tos & 0x1e) >> 1] ?? 0;
