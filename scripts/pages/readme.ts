import overlay from "../../examples/overlay.ts";
import type { Blocks } from "./page.ts";

/** README.md: the hop table that the example prints. */
export default async function readme(): Promise<Blocks> {
	const printed: string[] = [];
	await overlay({
		print: (text) => printed.push(text),
		save: () => {
			// The capture is judged with the example itself.
		},
		write: () => undefined,
	});
	const table = printed.find((text) => text.includes("hop by hop"));
	return { hops: table?.slice(table.indexOf("\n") + 1) ?? "" };
}
