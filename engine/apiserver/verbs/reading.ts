import { badRequest, expired, type KubeObject, notFound, type Resource, timeoutStatus } from "@peapod/api";
import type { Store } from "../../store/store.ts";
import { StatusError } from "../errors.ts";
import { refusedOption } from "./list-options.ts";
import { keyOf, type Place, storeName } from "./object-key.ts";
import { onlyPlace, selector, type Selection } from "./selection.ts";

export interface ListRequest extends Selection {
  readonly limit?: number;
  /** The `continue` of the page before. */
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
}

export interface ListResult {
  readonly items: KubeObject[];
  readonly resourceVersion: string;
  /** Set where there is more. */
  readonly continue?: string;
  /** How many more; known only without a selector. */
  readonly remainingItemCount?: number;
}

/** The stored object. Throws 404. */
export function getObject(store: Store, resource: Resource, place: Place): KubeObject {
  const object = store.get(keyOf(resource, place));
  if (object === undefined) throw new StatusError(notFound(resource, place.name));
  return object;
}

/**
 * The selected objects, all or a page, by namespace and name. Pages after the first read what is stored by then, and say the version
 * of the first: a watch from it misses nothing.
 */
export function listObjects(store: Store, resource: Resource, request: ListRequest): ListResult {
  checkVersion(store, request);
  const matches = selector(resource, request);
  const token = request.continue === undefined || request.continue === "" ? undefined : readToken(request.continue);
  const within = request.namespace === undefined ? {} : { namespace: request.namespace };
  const only = onlyPlace(resource, request);
  if (only !== undefined) {
    const found = [store.get(keyOf(resource, only))].filter((object) => object !== undefined);
    return { items: found.filter(matches ?? (() => true)), resourceVersion: store.resourceVersion };
  }
  const limit = request.limit === undefined || request.limit <= 0 ? undefined : request.limit;
  const name = storeName(resource);
  if (limit === undefined) {
    const page = store.list(name, { ...within, ...(token === undefined ? {} : { after: token.after }) });
    return {
      items: matches === undefined ? page.items : page.items.filter(matches),
      resourceVersion: token?.version ?? page.resourceVersion,
    };
  }
  const items: KubeObject[] = [];
  let after = token?.after;
  for (;;) {
    const page = store.list(name, { ...within, limit, ...(after === undefined ? {} : { after }) });
    const version = token?.version ?? page.resourceVersion;
    for (const [index, object] of page.items.entries()) {
      after = { namespace: object.metadata.namespace ?? "", name: object.metadata.name ?? "" };
      if (matches === undefined || matches(object)) items.push(object);
      const rest = page.items.length - index - 1 + page.remaining;
      if (items.length < limit || rest === 0) continue;
      return {
        items,
        resourceVersion: version,
        continue: writeToken({ version, after }),
        ...(matches === undefined ? { remainingItemCount: rest } : {}),
      };
    }
    if (page.remaining === 0) return { items, resourceVersion: version };
  }
}

/** Checks what a list says of the version it wants. Everything here reads the newest state, which is recent enough but for "Exact". */
function checkVersion(store: Store, request: ListRequest): void {
  const { resourceVersion = "", resourceVersionMatch = "" } = request;
  const refuse = (why: string): never => {
    throw refusedOption("resourceVersionMatch", why);
  };
  if (resourceVersionMatch !== "") {
    if (resourceVersion === "") refuse("resourceVersionMatch is forbidden unless resourceVersion is provided");
    if ((request.continue ?? "") !== "") refuse("resourceVersionMatch is forbidden when continue is provided");
    if (resourceVersionMatch !== "Exact" && resourceVersionMatch !== "NotOlderThan")
      refuse(`supported values: "Exact", "NotOlderThan", ""`);
    if (resourceVersionMatch === "Exact" && resourceVersion === "0")
      refuse(`resourceVersionMatch "Exact" is forbidden for resourceVersion "0"`);
  }
  if (resourceVersion === "" || resourceVersion === "0") return;
  const wanted = parseVersion(resourceVersion);
  const newest = Number(store.resourceVersion);
  if (wanted > newest) throw tooLargeVersion(wanted, newest);
  if (resourceVersionMatch === "Exact" && wanted < newest)
    throw new StatusError(expired(`The resourceVersion for the provided list is too old: only the newest, ${newest}, can be read`));
}

/** A resource version of a request as a number; one beyond whole numbers is higher than any that is given out. Throws 400. */
export function parseVersion(text: string): number {
  if (!/^\d{1,19}$/.test(text))
    throw new StatusError(badRequest(`Invalid resource version ${JSON.stringify(text)}: a decimal number was expected`));
  return Number(text);
}

/** 504: a version that has not been yet, as after the state directory was set back. */
export function tooLargeVersion(wanted: number, newest: number): StatusError {
  const status = timeoutStatus(`Too large resource version: ${wanted}, current: ${newest}`, 1);
  const causes = [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }];
  return new StatusError({ ...status, details: { ...status.details, causes } });
}

interface Token {
  readonly version: string;
  readonly after: { readonly namespace: string; readonly name: string };
}

function writeToken({ version, after }: Token): string {
  return Buffer.from(JSON.stringify([version, after.namespace, after.name])).toString("base64url");
}

function readToken(text: string): Token {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
  } catch {
    parts = undefined; // answered below
  }
  if (Array.isArray(parts) && parts.length === 3 && parts.every((part): part is string => typeof part === "string")) {
    const [version = "", namespace = "", name = ""] = parts;
    return { version, after: { namespace, name } };
  }
  throw new StatusError(badRequest("continue key is not valid: use the one of the list before, as it was"));
}
