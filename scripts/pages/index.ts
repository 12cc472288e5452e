import gossip from "./gossip.ts";
import ingress from "./ingress.ts";
import overlay from "./overlay.ts";
import type { Blocks } from "./page.ts";
import readme from "./readme.ts";

/** Pages whose blocks a run prints, and the run. */
export const PAGES: Readonly<Record<string, () => Promise<Blocks>>> = {
	"README.md": readme,
	"docs/gossip.md": gossip,
	"docs/ingress.md": ingress,
	"docs/overlay.md": overlay,
};
