import type { IpNamespace } from "../stack/index.ts";
import type { Container } from "./container.ts";

/**
 * What runs in the containers of an image: called when one starts, once its networks are there. It listens, connects and
 * answers on `container.netns`; it ends the container by `container.exit(code)`, and when the container is stopped its
 * sockets are closed for it. What it throws keeps the container from starting.
 */
export type Program<N extends IpNamespace = IpNamespace> = (container: Container<N>) => void;

/** The program of an image's name; a name without a tag means `latest`, as the CLI has it. */
export function programOf<N extends IpNamespace>(
	images: ReadonlyMap<string, Program<N>>,
	image: string,
): Program<N> | undefined {
	const tagged = /:[^/]*$/.test(image) ? image : `${image}:latest`;
	return images.get(image) ?? images.get(tagged) ?? images.get(tagged.replace(/:latest$/, ""));
}
