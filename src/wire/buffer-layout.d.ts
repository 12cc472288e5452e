/** The part of `buffer-layout` 1.2 that declarations of headers need; the package ships no types. */
declare module "buffer-layout" {
	export interface Layout {
		/** Octets of the field or structure. */
		readonly span: number;
	}
	export interface Structure extends Layout {
		/** Octets before the named field. */
		offsetOf(property: string): number | undefined;
	}
	export function blob(length: number, property?: string): Layout;
	export function struct(fields: readonly Layout[]): Structure;
}
