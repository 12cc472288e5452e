import { NetError } from "../errors.ts";
import type { Attachment, Container, LegacyLink } from "./container.ts";
import { failed, invalid } from "./docker-error.ts";
import type { LinkOptions } from "./driver.ts";

const HOST =
	"conflicting options: host type networking can't be used with links. This would result in undefined behavior";

/** Whether `--link` is the old one in this mode: on networks of the user's it is a name for the name server alone. */
export const isLegacy = (mode: string): boolean => mode === "default" || mode === "bridge";

/** The containers that `--link` names (`registerLinks`). Throws `DockerError` 400. */
export function readLinks(links: readonly string[], find: (term: string) => Container): LegacyLink[] {
	const get = (term: string): Container => {
		try {
			return find(term);
		} catch (error) {
			if (!(error instanceof NetError)) throw error;
			throw invalid(`could not get container for ${term}: No such container: ${term}`);
		}
	};
	return links.map((link) => {
		const [to = "", alias = to] = link.split(":");
		let child = get(to);
		while (child.networkMode.startsWith("container:"))
			child = get(child.networkMode.slice("container:".length));
		if (child.networkMode === "host") throw invalid(HOST);
		return { child, alias };
	});
}

/** They are noted on both sides. */
export function link(container: Container, links: readonly LegacyLink[]): void {
	container.legacyLinks = links;
	for (const { child } of links) child.linkedBy.add(container);
}

/** A container is removed: nobody is linked to it any more, nor it to others. */
export function unlink(container: Container): void {
	for (const { child } of container.legacyLinks) child.linkedBy.delete(container);
	for (const parent of container.linkedBy)
		parent.legacyLinks = parent.legacyLinks.filter(({ child }) => child !== container);
}

/** Who is linked to must be on docker0, and run. Throws `DockerError` 500. */
export function checkLinks({ name, attachments, legacyLinks }: Container): void {
	if (![...attachments.values()].some(isOnDefault)) return;
	for (const { child } of legacyLinks) {
		if (!onDefault(child))
			throw failed(`Cannot link to /${child.name}, as it does not belong to the default network`);
	}
	for (const { child, alias } of legacyLinks) {
		if (!child.running)
			throw failed(`Cannot link to a non running container: /${child.name} AS /${name}/${alias}`);
	}
}

/** Lines of /etc/hosts: who is linked to is known by its alias, its host's name and its own. */
export const linkedHosts = ({ legacyLinks }: Container): (readonly [address: string, names: string])[] =>
	legacyLinks.map(({ child, alias }) => {
		const names = [alias, child.hostname, ...(alias === child.name ? [] : [child.name])];
		return [onDefault(child)?.endpoint?.ip ?? "", names.join(" ")] as const;
	});

/** What docker0's driver is told of them. */
export const linkOptions = ({ ports, legacyLinks }: Container): LinkOptions => ({
	exposed: ports,
	children: legacyLinks.flatMap(({ child }) => onDefault(child)?.endpoint?.id ?? []),
});

const isOnDefault = ({ network }: Attachment): boolean =>
	network.about.predefined && network.name === "bridge";

const onDefault = ({ attachments }: Container): Attachment | undefined =>
	[...attachments.values()].find(isOnDefault);
