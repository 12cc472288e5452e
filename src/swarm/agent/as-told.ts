/** Whether two things that were told say the same: both were read by the same fields, in their order. */
export const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
