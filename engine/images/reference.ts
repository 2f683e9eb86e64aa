import { EngineError } from "../errors.ts";

/** What an image name says, taken apart. `name` is complete: it always begins with a host. */
export type ImageReference = RegistryReference | AptReference | BuiltInReference;

/** An image in a registry: `docker.io/library/nginx:1.27`, `localhost:5000/a/b@sha256:...`. */
export interface RegistryReference {
  readonly kind: "registry";
  /** With its port, as in the name: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly host: string;
  /** Host and path, without tag and digest. */
  readonly name: string;
  /** Undefined only where a digest says which image. */
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** An image made of Debian's packages: `apt.local/nginx/curl:bookworm`. */
export interface AptReference {
  readonly kind: "apt";
  readonly name: string;
  readonly packages: readonly string[];
  /** Undefined: the machine's own. */
  readonly suite: string | undefined;
}

/** An image made of peapod's own programs: `peapod.local/ambassador`. */
export interface BuiltInReference {
  readonly kind: "built-in";
  readonly name: string;
}

const aptHost = "apt.local";
const builtInHost = "peapod.local";
const NAME_LIMIT = 255;

const hostPattern =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?$/;
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^sha256:[0-9a-f]{64}$/;
/** Debian Policy 5.6.1; no name ends with "-" or ".": apt would take the one for a removal, the other for an expression. */
const packagePattern = /^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$/;
const suitePattern = /^[a-z0-9][a-z0-9.-]*$/;

/**
 * Takes an image name apart, with Docker's defaults: the host `docker.io`, there the folder `library`, the tag `latest`.
 * Throws IMAGE_NAME_INVALID, saying what is wrong with it.
 */
export function parseReference(text: string): ImageReference {
  const invalid = (problem: string): EngineError => new EngineError("IMAGE_NAME_INVALID", `Image name "${text}" is invalid: ${problem}`);
  if (text === "") throw invalid("it is empty");
  if (/\s/.test(text)) throw invalid("it has white space");
  if (text.includes("://")) throw invalid(`it has a scheme; leave "${text.slice(0, text.indexOf("://") + 3)}" out`);
  if (text.startsWith(`${aptHost}/`)) return parseApt(text, invalid);

  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !digestPattern.test(digest))
    throw invalid(`"${digest}" is not a digest (sha256: and 64 lower-case hexadecimal digits)`);
  const named = at < 0 ? text : text.slice(0, at);
  const { rest, tag } = splitTag(named);
  if (tag !== undefined && !tagPattern.test(tag)) {
    throw invalid(`"${tag}" is not a tag (up to 128 letters, digits, "_", "." and "-", not beginning with "." or "-")`);
  }
  const { host, path } = splitHost(rest);
  if (!hostPattern.test(host)) throw invalid(`"${host}" is not a host name`);
  for (const component of path.split("/")) checkComponent(component, invalid);
  const plainHost = host.toLowerCase().replace(/:[0-9]+$/, "");
  if (plainHost === aptHost || (plainHost === builtInHost && host !== builtInHost))
    throw invalid(`${plainHost} is no registry; write "${plainHost}/NAME"`);
  const name = `${host}/${path}`;
  if (name.length > NAME_LIMIT) throw invalid(`it has more than ${NAME_LIMIT} characters`);
  if (host === builtInHost) {
    if (digest !== undefined || (tag ?? "latest") !== "latest")
      throw invalid(`images of ${builtInHost} are made on the spot: leave the tag out, or write "latest"`);
    return { kind: "built-in", name };
  }
  return { kind: "registry", host, name, digest, tag: tag ?? (digest === undefined ? "latest" : undefined) };
}

/** The complete name under which an image is kept: the digest decides over the tag, as it does for the pull. */
export function canonicalName(reference: ImageReference, defaultSuite: string): string {
  switch (reference.kind) {
    case "registry":
      return reference.digest === undefined ? `${reference.name}:${reference.tag}` : `${reference.name}@${reference.digest}`;
    case "apt":
      return `${reference.name}:${reference.suite ?? defaultSuite}`;
    case "built-in":
      return `${reference.name}:latest`;
  }
}

/**
 * The complete name that may be given to an image from elsewhere. Throws IMAGE_NAME_INVALID for one of an image that the engine makes
 * itself, and for a digest: what it names is not for whoever brings an image to say.
 */
export function givenName(text: string): string {
  const invalid = (problem: string): EngineError =>
    new EngineError("IMAGE_NAME_INVALID", `Image name "${text}" cannot be given: ${problem}`);
  const reference = parseReference(text);
  if (reference.kind !== "registry")
    throw invalid(`images of ${reference.kind === "apt" ? aptHost : builtInHost} are made on this machine, and no others have their names`);
  if (reference.digest !== undefined) throw invalid("a digest names what its registry has; give a tag");
  return `${reference.name}:${reference.tag}`;
}

/** Whether a registry may be spoken to in plain HTTP: on the machine itself, as with Docker. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/:[0-9]+$/, "");
  return bare === "localhost" || bare === "[::1]" || /^127(?:\.[0-9]{1,3}){3}$/.test(bare);
}

function parseApt(text: string, invalid: (problem: string) => EngineError): AptReference {
  if (text.includes("@")) throw invalid("an image made of packages has no digest");
  const { rest, tag } = splitTag(text);
  const packages = rest.slice(aptHost.length + 1).split("/");
  const wrong = packages.find((name) => !packagePattern.test(name));
  if (wrong === "") throw invalid("a package name is missing");
  if (wrong !== undefined) throw invalid(`"${wrong}" is not the name of a Debian package`);
  if (tag !== undefined && !suitePattern.test(tag)) throw invalid(`"${tag}" is not a suite, such as bookworm`);
  return { kind: "apt", name: rest, packages, suite: tag };
}

function splitTag(text: string): { rest: string; tag: string | undefined } {
  const colon = text.lastIndexOf(":");
  if (colon < 0 || text.indexOf("/", colon) >= 0 || text.indexOf("]", colon) >= 0) return { rest: text, tag: undefined };
  return { rest: text.slice(0, colon), tag: text.slice(colon + 1) };
}

/** The part before the first slash is a host only where it cannot be a folder. */
function splitHost(text: string): { host: string; path: string } {
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const isHost = first === "localhost" || /[.:]/.test(first);
  const host = isHost ? first : "docker.io";
  const path = isHost ? text.slice(slash + 1) : text;
  if (host === "index.docker.io") return splitHost(`docker.io/${path}`);
  return { host, path: host === "docker.io" && !path.includes("/") ? `library/${path}` : path };
}

function checkComponent(component: string, invalid: (problem: string) => EngineError): void {
  if (component === "") throw invalid("a part of its path is empty");
  if (/[A-Z]/.test(component)) throw invalid(`"${component}" has upper-case letters; a path has none`);
  if (!componentPattern.test(component)) {
    throw invalid(`"${component}" is not allowed in a path (lower-case letters and digits, between them ".", "_", "__" or "-")`);
  }
}
