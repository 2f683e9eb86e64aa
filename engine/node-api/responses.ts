import { once } from "node:events";
import type { ServerResponse } from "node:http";

/** Answers with one value. */
export function sendJson(response: ServerResponse, code: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(code, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
}

/** Answers with values as they come, a line each; waits for a slow reader. Ends with `values`, or when the signal is aborted. */
export async function sendLines(response: ServerResponse, values: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
  response.flushHeaders();
  try {
    for await (const value of values) {
      if (!response.write(`${JSON.stringify(value)}\n`)) await once(response, "drain", { signal });
    }
    response.end();
  } catch (cause) {
    if (!signal.aborted) throw cause;
    response.destroy();
  }
}
