import type { IncomingMessage } from "node:http";
import { badRequest, tooLarge } from "@peapod/api";
import { NodeApiError } from "./node-api-error.ts";

/** A name and a path fit many times over. */
const LIMIT_BYTES = 64 * 1024;

/** The JSON object in a request's body; an empty one where there is none. Throws 400 or 413. */
export async function readJsonBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= LIMIT_BYTES) chunks.push(chunk); // what is more is read and dropped, so that the client gets to read the answer
  }
  if (size > LIMIT_BYTES) throw new NodeApiError(tooLarge(LIMIT_BYTES));
  const text = Buffer.concat(chunks).toString("utf8").trim();
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>; // just looked at
  } catch (cause) {
    throw new NodeApiError(badRequest("The body is not JSON"), { cause });
  }
  throw new NodeApiError(badRequest("The body is no JSON object"));
}
