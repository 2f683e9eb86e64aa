import { createSocket } from "node:dgram";
import { createServer, createConnection } from "node:net";
import { startTimer } from "@peapod/kit";
import { unshare, CLONE } from "../linux/libc.ts";

/** What the tests ask of a process in a network namespace of its own. */
export type AgentRequest =
  | { readonly kind: "serve"; readonly protocol: "TCP" | "UDP"; readonly host: string; readonly port: number; readonly answer: string }
  | { readonly kind: "ask"; readonly protocol: "TCP" | "UDP"; readonly host: string; readonly port: number; readonly from?: string };

const ASK_TIMEOUT_MS = 1_300; // a packet lost on a busy machine is sent again after a second

/** Serves: answers each line or datagram with `answer` and where it came from. Asks: gives the answer, or the error's code. */
export async function perform(request: AgentRequest): Promise<string> {
  if (request.kind === "serve") return request.protocol === "TCP" ? serveTcp(request) : serveUdp(request);
  return request.protocol === "TCP" ? askTcp(request) : askUdp(request);
}

function serveTcp({ host, port, answer }: Extract<AgentRequest, { kind: "serve" }>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", () => socket.write(`${answer} ${socket.remoteAddress?.replace("::ffff:", "")}\n`));
  });
  server.on("error", reject).listen(port, host, () => resolve("listening"));
  server.unref();
  return promise;
}

function serveUdp({ host, port, answer }: Extract<AgentRequest, { kind: "serve" }>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = createSocket("udp4");
  socket.on("message", (_, from) => socket.send(`${answer} ${from.address}\n`, from.port, from.address));
  socket.on("error", reject).bind(port, host, () => resolve("listening"));
  socket.unref();
  return promise;
}

async function askTcp({ host, port, from }: Extract<AgentRequest, { kind: "ask" }>): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = createConnection({ host, port, ...(from === undefined ? {} : { localAddress: from }) }, () => socket.write("hello\n"));
  socket.once("data", (chunk) => resolve(chunk.toString().trim()));
  socket.once("error", (cause: NodeJS.ErrnoException) => resolve(cause.code ?? cause.message));
  const timer = startTimer(() => resolve("TIMEOUT"), ASK_TIMEOUT_MS);
  try {
    return await promise;
  } finally {
    timer[Symbol.dispose]();
    socket.destroy();
  }
}

async function askUdp({ host, port, from }: Extract<AgentRequest, { kind: "ask" }>): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = createSocket("udp4");
  socket.once("message", (message) => resolve(message.toString().trim()));
  socket.once("error", (cause: NodeJS.ErrnoException) => resolve(cause.code ?? cause.message));
  socket.bind({ address: from ?? "0.0.0.0", port: 0 }, () => socket.connect(port, host, () => socket.send("hello\n")));
  const timer = startTimer(() => resolve("TIMEOUT"), ASK_TIMEOUT_MS);
  try {
    return await promise;
  } finally {
    timer[Symbol.dispose]();
    socket.close();
  }
}

if (import.meta.main) {
  unshare(CLONE.NEWNET);
  process.on("message", ({ id, request }: { id: number; request: AgentRequest }) => {
    perform(request).then(
      (result) => process.send?.({ id, result }),
      (cause: unknown) => process.send?.({ id, result: String(cause) }),
    );
  });
  process.on("disconnect", () => process.exit());
  process.send?.({ id: -1, result: "ready" });
}
