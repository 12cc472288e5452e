import type { Capture } from "../src/observe/index.ts";

/** What an example gets: where it prints, and where its capture goes. */
export interface ExampleContext {
	/** Prints a text and a line end. */
	readonly print: (text: string) => void;
	/** Writes the capture as `NAME.pcapng`. */
	readonly save: (capture: Capture) => void;
	/** Writes a text beside it, as `NAME.ENDING`. */
	readonly write: (ending: string, text: string) => void;
}

/** The function that each example exports as its default. */
export type Example = (context: ExampleContext) => Promise<void>;
