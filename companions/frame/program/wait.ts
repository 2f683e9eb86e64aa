import { request, type RequestOptions } from "node:http";
import { abortAfter, type Clock } from "@peapod/kit";

/** Between two askings. */
const POLL_MS = 100;
/** One asking: a companion that tries what it needs may take its time. */
const ASK_MS = 30_000;

export interface WaitOptions {
  /** Of the admin server: `HOST:PORT` or `unix:PATH`. */
  readonly admin: string;
  /** What `/readyz` is asked for. */
  readonly query: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Asks a companion until it is ready. Gives undefined then, or, when the time is over, why it was not. */
export async function waitReady(options: WaitOptions, signal: AbortSignal): Promise<string | undefined> {
  const { admin, query, timeoutMs, clock } = options;
  const deadlineMs = performance.now() + timeoutMs;
  const path = `/readyz?${new URLSearchParams(query).toString()}`;
  for (;;) {
    const leftMs = deadlineMs - performance.now();
    const problem = await ask(admin, path, AbortSignal.any([signal, abortAfter(Math.ceil(Math.max(1, Math.min(ASK_MS, leftMs))))]));
    if (problem === undefined) return undefined;
    signal.throwIfAborted();
    if (performance.now() + POLL_MS >= deadlineMs) return problem;
    await clock.sleep(POLL_MS, signal);
  }
}

async function ask(admin: string, path: string, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const asking = request({ ...destination(admin), path, agent: false, signal }, (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (piece: string) => (body = `${body}${piece}`.slice(0, 10_000)));
    response.on("error", (error) => resolve(error.message));
    response.on("end", () => resolve(response.statusCode === 200 ? undefined : body.trim()));
  });
  asking.on("error", (error) => resolve(`${admin} does not answer: ${error.message}`));
  asking.end();
  return await promise;
}

function destination(admin: string): RequestOptions {
  if (admin.startsWith("unix:")) return { socketPath: admin.slice("unix:".length) };
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(admin) ?? [];
  const host = bracketed ?? plain ?? "";
  const isAny = host === "" || host === "0.0.0.0" || host === "::";
  return { host: isAny ? "localhost" : host, port: Number(port ?? 0) };
}
