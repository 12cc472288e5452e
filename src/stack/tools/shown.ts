/** What a command of iproute2 shows: as it prints it, and as it prints it with `-j`. */
export interface Shown<Row> {
	/** The lines, each ended. */
	readonly text: string;
	/** The rows of the JSON form. */
	readonly json: readonly Row[];
}
