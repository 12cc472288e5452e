/** Something that is asked for cannot be given now: it is tried again when something was given back. */
export class AllocationError extends Error {
	override readonly name = "AllocationError";
}
