import { protobuf } from "../../wire/index.ts";

/** A plain object of the cluster's, as JSON; undefined when it is absent. What is no JSON is malformed. */
export function json<T>(number: number): protobuf.Field<T | undefined> {
	const { write, read } = protobuf.text(number);
	return {
		number,
		zero: () => undefined,
		write: (writer, at, value, name) => {
			if (value !== undefined) write(writer, at, JSON.stringify(value), name);
		},
		read: (reader) => parsed(read(reader, "")) as T | undefined,
	};
}

/** Several of them. */
export function jsons<T>(number: number): protobuf.Field<readonly T[]> {
	const { write, read } = protobuf.text(number);
	return {
		number,
		zero: () => [],
		write: (writer, at, values, name) => {
			for (const value of values) write(writer, at, JSON.stringify(value), name);
		},
		read: (reader, before) => {
			const value = parsed(read(reader, ""));
			return value === undefined ? undefined : [...before, value as T];
		},
	};
}

function parsed(text: string | undefined): unknown {
	if (text === undefined) return undefined;
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
