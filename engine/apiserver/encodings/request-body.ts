import type { IncomingMessage } from "node:http";
import { badRequest, parseJson, tooLarge, unsupportedMediaType } from "@peapod/api";
import { StatusError } from "../errors.ts";
import { YAML } from "./negotiation.ts";
import { PROTOBUF, readProtobuf } from "./protobuf.ts";
import { readYaml } from "./yaml-body.ts";

/** What upstream takes at most. */
const LIMIT_BYTES = 3 * 1024 * 1024;

/** The media type of a request's body, without parameters; "" where it says none. */
export function contentType(request: IncomingMessage): string {
  return (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/** The object in a request's body, undefined where it is empty. Throws 400, 413 or 415. */
export async function readObjectBody(request: IncomingMessage): Promise<unknown> {
  const type = contentType(request);
  if (type !== PROTOBUF && type !== YAML) return await readJsonBody(request, ["application/json", YAML, PROTOBUF]);
  const bytes = await readBytes(request);
  if (bytes.length === 0) return undefined;
  return type === YAML ? await readYaml(bytes) : readProtobuf(bytes);
}

/** The JSON body of a request, undefined where it is empty. Throws 400, 413 or 415. */
export async function readJsonBody(request: IncomingMessage, accepted: readonly string[]): Promise<unknown> {
  const type = contentType(request);
  if (type !== "" && !accepted.includes(type)) throw new StatusError(unsupportedMediaType(accepted));
  const bytes = await readBytes(request);
  if (bytes.length === 0) return undefined;
  const text = bytes.toString("utf8");
  try {
    return parseJson(text);
  } catch (cause) {
    throw new StatusError(badRequest(`the body is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`), { cause });
  }
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > LIMIT_BYTES) reject(new StatusError(tooLarge(LIMIT_BYTES)));
    else chunks.push(chunk);
  };
  request
    .on("data", onData)
    .once("end", resolve)
    .once("error", reject)
    .once("close", () => reject(new StatusError(badRequest("the body ended early"))));
  try {
    await promise;
  } catch (cause) {
    request.off("data", onData).resume(); // dropped as it comes, so that the client gets to read the answer
    throw cause;
  }
  return Buffer.concat(chunks, size);
}
