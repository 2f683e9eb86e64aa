import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Serving } from "./serving.fixture.ts";

/** What came back. */
export interface Answer {
  readonly code: number;
  readonly body: string;
  readonly headers: IncomingMessage["headers"];
}

/** A request; GET without a body, as the administrator, where nothing is said. */
export interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly cert?: { cert: string; key: string };
}

/** The answer once its headers came. */
export async function open(
  served: Serving,
  path: string,
  { method = "GET", headers = {}, body, cert }: Asked = {},
): Promise<IncomingMessage> {
  const { ca, adminCert, adminKey } = served.pki;
  const pair = cert ?? { cert: adminCert, key: adminKey };
  const length = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) }; // or a DELETE's body goes without
  const request = httpsRequest({
    host: "127.0.0.1",
    port: served.port,
    servername: "localhost", // or the Host header is taken for it
    path,
    method,
    headers: { ...length, ...headers },
    ca,
    ...pair,
    agent: false,
  });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
}

/** The whole answer. */
export async function ask(served: Serving, path: string, asked: Asked = {}): Promise<Answer> {
  const response = await open(served, path, asked);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { code: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8"), headers: response.headers };
}
