/** The key under which a branded number says what it is; exists in types only. */
export declare const kind: unique symbol;

/** Refuses a value at the API's edge: names argument, value and what is accepted. */
export function refuse(argument: string, value: unknown, accepted: string): never {
	const text = typeof value === "string" ? `"${value}"` : String(value);
	const message = `${argument} is ${text}, expected ${accepted}`;
	throw typeof value === "string" || typeof value === "number"
		? new RangeError(message)
		: new TypeError(message);
}
