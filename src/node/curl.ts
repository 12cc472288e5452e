import { get } from "node:http";
import { isIPv4 } from "node:net";
import { resolve } from "../apps/index.ts";
import { NetError } from "../errors.ts";
import type { IpNamespace } from "../stack/index.ts";
import { createConnection } from "./tcp-duplex.ts";

/** Who asks: a namespace, or what has one (a container, a host). */
export type CurlPlace = IpNamespace | { readonly netns: IpNamespace };

/**
 * `curl -s URL` in a namespace, a container or on a host: a GET on a connection of its own by Node's `http`. Names are
 * looked up as programs there would, and the first address is taken. Gives the body as text, whatever the status.
 *
 * Rejects with `NetError`: EAI_NONAME and EAI_AGAIN for the name, ECONNREFUSED, ETIMEDOUT and so on for the connection,
 * EINVAL for an URL that is not `http:`.
 */
export async function curl(place: CurlPlace, url: string): Promise<string> {
	const ns = "netns" in place ? place.netns : place;
	const { protocol, hostname, port, pathname, search, host } = new URL(url);
	if (protocol !== "http:")
		throw new NetError(
			"EINVAL",
			`curl: (1) Protocol "${protocol.slice(0, -1)}" not supported or disabled in libcurl`,
		);
	const address = isIPv4(hostname) ? hostname : (await resolve(ns, hostname)).addresses[0];
	if (address === undefined)
		throw new NetError("EAI_NONAME", `curl: (6) Could not resolve host: ${hostname}`, {
			context: { hostname },
		});
	return new Promise((settle, reject) => {
		get(
			{
				host: address,
				port: port === "" ? 80 : Number(port),
				path: `${pathname}${search}`,
				headers: { host },
				createConnection: createConnection(ns),
			},
			(response) => {
				let text = "";
				response.setEncoding("utf8");
				response.on("data", (part: string) => (text += part));
				response.on("end", () => {
					settle(text);
				});
				response.on("error", reject);
			},
		).on("error", reject);
	});
}
