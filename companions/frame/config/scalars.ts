import { isIP } from "node:net";
import { isAbsolute } from "node:path";
import type { Address } from "../address.ts";
import { scalar, type Type } from "./decode.ts";

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Longest path that the kernel takes as a socket's name, sockaddr_un(7): 108 bytes with the NUL. */
const SOCKET_PATH_BYTES = 107;

/** Any text but none at all. */
export const text: Type<string> = scalar({
  name: "text",
  expected: "a text that is not empty and has no control characters",
  parse: (value) => (value !== "" && !/\p{Cc}/u.test(value) ? value : undefined),
});

/** A listener's name: fit for a label of a metric and for a link. */
export const listenerName: Type<string> = scalar({
  name: "name",
  expected: "up to 63 letters, digits, -, _ and ., a letter or digit first",
  parse: (value) => (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(value) ? value : undefined),
});

export const boolean: Type<boolean> = scalar({
  name: "true, false",
  expected: "true or false",
  parse: (value) => (value === "true" || value === "false" ? value === "true" : undefined),
});

export const absolutePath: Type<string> = scalar({
  name: "path",
  expected: "an absolute path",
  parse: (value) => (isAbsolute(value) && !value.includes("\0") ? value : undefined),
});

/** A whole number within bounds. */
export function integer(from: number, to: number): Type<number> {
  const bounds = `${from} to ${to}`;
  return scalar({
    name: `number, ${bounds}`,
    expected: `a whole number, ${bounds}`,
    parse: (value) => (/^\d{1,10}$/.test(value) && Number(value) >= from && Number(value) <= to ? Number(value) : undefined),
  });
}

/** A time in milliseconds, written with units: `200ms`, `5s`, `1m30s`, `1.5h`. Both bounds are written like that. */
export function duration(from: string, to: string): Type<number> {
  const [least = 0, most = 0] = [parseDuration(from), parseDuration(to)];
  return scalar({
    name: `time, ${from} to ${to}`,
    expected: `a time with its unit, such as 200ms, 5s or 1m30s, from ${from} to ${to}`,
    parse: (value) => {
      const ms = parseDuration(value);
      return ms !== undefined && ms >= least && ms <= most ? ms : undefined;
    },
  });
}

/** Where to listen: `127.0.0.1:5432`, `[::1]:5432`, `:5432` (of 127.0.0.1), `localhost:5432`, `unix:/path`. Port 0: any free one. */
export const listenAddress: Type<Address> = scalar({
  name: "address",
  expected: 'an IP address and a port, such as 127.0.0.1:5432, "[::1]:5432" or :5432 (of 127.0.0.1), or unix:/path',
  parse: (value) => {
    const address = parseAddress(value, undefined, 0);
    if (address?.kind !== "tcp" || isIP(address.host) !== 0) return address;
    return address.host === "localhost" ? { ...address, host: "127.0.0.1" } : undefined;
  },
});

/** Where to connect: a name or an address with a port, which a protocol with a port of its own may do without; `unix:/path`. */
export function endpointAddress(defaultPort: number | undefined): Type<Address> {
  const without = defaultPort === undefined ? "" : ` (${defaultPort} where it is left out)`;
  return scalar({
    name: "address",
    expected: `a name or IP address and a port${without}, such as db.example:5432 or "[2001:db8::1]:5432", or unix:/path`,
    parse: (value) => parseAddress(value, defaultPort, 1),
  });
}

/** Permissions of a file, octal. */
export const fileMode: Type<number> = scalar({
  name: "octal number",
  expected: "permissions in octal, such as 0660",
  parse: (value) => (/^(0o?)?[0-7]{3}$/.test(value) ? Number.parseInt(value.slice(-3), 8) : undefined),
});

/** A header's name, RFC 9110 5.1. */
export const headerName: Type<string> = scalar({
  name: "header name",
  expected: "the name of a header: letters, digits and -",
  parse: (value) => (/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/.test(value) ? value : undefined),
});

/** The address of an OAuth 2 token server: https, as RFC 6749 3.2 demands; plain http only within this machine. */
export const tokenUrl: Type<string> = scalar({
  name: "URL",
  expected: "an https URL without user and password (http only to a loopback address)",
  parse: (value) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || url.username !== "" || url.password !== "" || url.hash !== "") return undefined;
    return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)) ? value : undefined;
  },
});

/** A path of a URL, with its query. */
export const urlPath: Type<string> = scalar({
  name: "URL path",
  expected: "a path that begins with /",
  parse: (value) => (/^\/[\x21-\x7e]*$/.test(value) ? value : undefined),
});

/** Whether a host is this machine's own, by its name. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || (isIP(host) === 4 && host.startsWith("127."));
}

function parseDuration(value: string): number | undefined {
  if (!/^(\d{1,9}(\.\d{1,3})?(ms|s|m|h))+$/.test(value)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of value.matchAll(/([\d.]+)(ms|s|m|h)/g)) totalMs += Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS]; // the expression allows no other
  return Math.round(totalMs);
}

function parseAddress(value: string, defaultPort: number | undefined, leastPort: number): Address | undefined {
  if (value.startsWith("unix:")) {
    const path = value.slice("unix:".length);
    const isPath = isAbsolute(path) && !path.includes("\0") && Buffer.byteLength(path) <= SOCKET_PATH_BYTES;
    return isPath ? { kind: "unix", path } : undefined;
  }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(value);
  if (match === null || value === "") return undefined;
  const [, bracketed, plain = "", digits] = match;
  const port = digits === undefined ? defaultPort : Number(digits);
  const host = bracketed ?? (plain === "" ? "127.0.0.1" : plain);
  const isHost = bracketed === undefined ? isIP(host) === 4 || isName(host) : isIP(host) === 6;
  if (!isHost || port === undefined || port < leastPort || port > 65_535) return undefined;
  return { kind: "tcp", host: bracketed === undefined ? host : canonical(host), port };
}

/** An IPv6 address in the one spelling of RFC 5952, so that equal ones are equal texts. One with a zone stays as it is. */
function canonical(host: string): string {
  return host.includes("%") ? host : new URL(`http://[${host}]`).hostname.slice(1, -1);
}

/** A name that a resolver takes; the underscore is not of RFC 1123, and in use all the same. An all-numeric last label is a mistyped address. */
function isName(host: string): boolean {
  return (
    host.length <= 253 &&
    /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i.test(host) &&
    !/(^|\.)\d+\.?$/.test(host)
  );
}
