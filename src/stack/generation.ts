/**
 * Counts changes: who remembers a decision compares it. One count for all parts of a namespace, since it is compared several
 * times for each packet.
 */
export interface Generation {
	generation: number;
}
