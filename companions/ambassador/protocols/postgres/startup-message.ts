import { AmbassadorError } from "../../errors.ts";
import { splitStrings } from "./messages.ts";

/** As PostgreSQL: the bytes of a startup packet after its length. */
export const STARTUP_LIMIT_BYTES = 10_000;
/** The newest minor version whose login this program knows; see `negotiateProtocolVersion`. */
export const NEWEST_MINOR = 2;

/** How a client asks for a session. Names and values are bytes: their encoding is the server's business. */
export interface StartupMessage {
  readonly minor: number;
  /** In the client's order, doubles too: the server takes the last. */
  readonly parameters: readonly Parameter[];
}

type Parameter = readonly [name: string, value: Buffer];

/** Reads what follows the protocol version. Throws CLIENT_PROTOCOL for what PostgreSQL refuses too. */
export function parseStartup(version: number, parameters: Buffer): StartupMessage {
  const [major, minor] = [version >>> 16, version & 0xffff];
  if (major !== 3)
    throw new AmbassadorError("CLIENT_PROTOCOL", `Unsupported frontend protocol ${major}.${minor}: 3.0 to 3.${NEWEST_MINOR} are known`);
  if (parameters.at(-1) !== 0) throw layoutError();
  const strings = splitStrings(parameters.subarray(0, -1));
  if (strings === undefined || strings.length % 2 !== 0) throw layoutError();
  const pairs: Parameter[] = [];
  for (let index = 0; index < strings.length; index += 2) {
    const [name, value] = [strings[index], strings[index + 1]];
    if (name === undefined || value === undefined || name.length === 0) throw layoutError();
    pairs.push([name.toString("latin1"), value]);
  }
  return { minor, parameters: pairs };
}

function layoutError(): AmbassadorError {
  return new AmbassadorError("CLIENT_PROTOCOL", "Invalid layout of the startup packet");
}

/** The value that the server would take: the last one. */
export function parameterOf(startup: StartupMessage, name: string): Buffer | undefined {
  return startup.parameters.findLast(([candidate]) => candidate === name)?.[1];
}

/** The same with other values for some names: in their place, or at the end where the client said nothing. */
export function withParameters(startup: StartupMessage, values: Readonly<Record<string, Buffer>>): StartupMessage {
  const missing = Object.entries(values).filter(([name]) => parameterOf(startup, name) === undefined);
  const replaced = startup.parameters.map(([name, value]): Parameter => [
    name,
    (Object.hasOwn(values, name) ? values[name] : undefined) ?? value,
  ]);
  return { ...startup, parameters: [...replaced, ...missing] };
}

/** The packet. Throws CLIENT_PROTOCOL where it is longer than a server takes. */
export function formatStartup(startup: StartupMessage): Buffer {
  const strings = startup.parameters.flatMap(([name, value]) => [Buffer.from(`${name}\0`, "latin1"), value, Buffer.of(0)]);
  const packet = Buffer.concat([Buffer.alloc(8), ...strings, Buffer.of(0)]);
  if (packet.length - 4 > STARTUP_LIMIT_BYTES)
    throw new AmbassadorError("CLIENT_PROTOCOL", `The startup packet is longer than ${STARTUP_LIMIT_BYTES} bytes`);
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE((3 << 16) | startup.minor, 4);
  return packet;
}
