/** Least width of a column, and what lies between two (docker's CLI, command/formatter: `tabwriter.NewWriter(…, 10, 1, 3, ' ', 0)`). */
const LEAST = 10;
const BETWEEN = 3;

/** A column of one of docker's lists: its heading, and what stands in it. */
export type ListingColumn<T> = readonly [title: string, cell: (line: T) => string];

/** One of docker's lists (`docker service ps`, `docker node ls` …): an array of lines that knows how the CLI prints it. */
export class Listing<T> extends Array<T> {
	readonly #columns: readonly ListingColumn<T>[];

	/** What is made of it by `map`, `filter` and so on is an ordinary array. */
	static override get [Symbol.species](): ArrayConstructor {
		return Array;
	}

	constructor(lines: readonly T[], columns: readonly ListingColumn<T>[]) {
		super();
		this.#columns = columns;
		for (const line of lines) this.push(line);
	}

	/** What the command prints: headings and lines, without the last line end. */
	text(): string {
		const rows = [
			this.#columns.map(([title]) => title),
			...Array.from(this, (line) => this.#columns.map(([, cell]) => cell(line))),
		];
		const last = this.#columns.length - 1;
		const width = (i: number): number =>
			Math.max(LEAST, ...rows.map((row) => Array.from(row[i] ?? "").length + BETWEEN));
		const widths = this.#columns.map((_, i) => (i === last ? 0 : width(i)));
		return rows
			.map((row) =>
				row
					.map((cell, i) => cell + " ".repeat(Math.max(0, (widths[i] ?? 0) - Array.from(cell).length)))
					.join(""),
			)
			.join("\n");
	}
}
