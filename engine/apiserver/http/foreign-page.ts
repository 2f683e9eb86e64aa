import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { failure } from "@peapod/api";
import { StatusError } from "../errors.ts";

/**
 * Throws 403 for what a web page of another site has a browser send: a browser offers a certificate that it holds to any page. Such a page may
 * have a name of its own lead here (DNS rebinding), so a browser must also have asked for a name or address of this server.
 * Programs that are no browsers send neither header, and reach the server by whatever name they like.
 */
export function refuseForeignPage({ headers }: IncomingMessage, isOurName: (name: string) => boolean): void {
  const { origin, host } = headers;
  const site = headers["sec-fetch-site"];
  if (origin === undefined && site === undefined) return;
  const asked = URL.parse(`https://${host}`);
  if (asked === null || !(isAddress(asked.hostname) || isOurName(asked.hostname)))
    throw refused(`a browser asks for ${JSON.stringify(host)}, which is no name of this server`);
  if (origin !== undefined && URL.parse(origin)?.host !== asked.host)
    throw refused(`it comes from a web page of ${JSON.stringify(origin)}, and pages of other origins may not use this API`);
  if (site !== undefined && site !== "same-origin" && site !== "none")
    throw refused("it comes from a web page of another site, and those may not use this API");
}

function isAddress(hostname: string): boolean {
  return isIP(hostname.replace(/^\[(.*)\]$/, "$1")) !== 0;
}

function refused(why: string): StatusError {
  return new StatusError(failure(403, "Forbidden", `the request is refused: ${why}`));
}
