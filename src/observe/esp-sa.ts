import { formatIp4 } from "../addr/index.ts";
import type { XfrmState } from "../stack/index.ts";

/** What has security associations: a namespace. */
export interface EspHolder {
	/** `ip xfrm`. */
	readonly xfrm: {
		/** `ip xfrm state`. */
		readonly state: {
			/** All of them. */
			list(): readonly XfrmState[];
		};
	};
}

/**
 * The file `esp_sa` of a Wireshark profile (Preferences, Protocols, ESP, "ESP SAs"): a line for each state of a namespace, by
 * which Wireshark opens what the host sends and receives. A capture of several hosts needs the lines of all.
 */
export const espSa = ({ xfrm }: EspHolder): string =>
	xfrm.state
		.list()
		.map(({ src, dst, spi, key, cipher }) => {
			const fields = [
				"IPv4",
				formatIp4(src),
				formatIp4(dst),
				`0x${spi.toString(16).padStart(8, "0")}`,
				`AES-GCM with ${String(cipher.icvOctets)} octet ICV [RFC4106]`,
				`0x${Array.from(key, (octet) => octet.toString(16).padStart(2, "0")).join("")}`,
				"NULL",
				"",
			];
			return `${fields.map((field) => `"${field}"`).join(",")}\n`;
		})
		.join("");
