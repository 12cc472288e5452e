/** Takes the way back for a step that is done. */
export type Undo = (step: () => void) => void;

/** Does work in steps; when one throws, those before it are undone, the latest first. */
export function undoing<T>(work: (undo: Undo) => T): T {
	const steps: (() => void)[] = [];
	try {
		const done = work((step) => steps.push(step));
		// What was made may hold on to this call, and need not hold the way back.
		steps.length = 0;
		return done;
	} catch (error) {
		for (const step of steps.reverse()) step();
		throw error;
	}
}
