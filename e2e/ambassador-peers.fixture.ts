import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Scope } from "@peapod/kit";

/** Listens on a free port of loopback, or on a path; everything ends with the scope. Gives the port. */
export async function listenOn(server: Server, scope: Scope, path?: string): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // a reset is an end
    socket.once("close", () => sockets.delete(socket));
  });
  scope.defer(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if (path === undefined) server.listen(0, "127.0.0.1", 4096, resolve);
    else server.listen(path, 4096, resolve);
  });
  return path === undefined ? (server.address() as AddressInfo).port : 0; // a TCP server's address is one
}

/** How a connection went, seen from one side. */
export interface Collected {
  readonly text: string;
  /** `ECONNRESET` and its like; undefined for an orderly end. */
  readonly error: string | undefined;
}

/** Reads a connection to its end. */
export async function collect(socket: Socket): Promise<Collected> {
  const chunks: Buffer[] = [];
  let error: string | undefined;
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", (cause: NodeJS.ErrnoException) => (error = cause.code));
  await new Promise((resolve) => socket.once("close", resolve));
  return { text: Buffer.concat(chunks).toString("latin1"), error };
}

/** A slow network: passes what comes to `port` a byte at a time, both ways. Gives the port to connect to. */
export async function startTrickle(scope: Scope, port: number): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    const onward = connect({ port, host: "127.0.0.1", noDelay: true });
    onward.on("error", () => socket.destroy());
    socket.once("close", () => onward.destroy());
    void trickle(socket, onward);
    void trickle(onward, socket);
  });
  return await listenOn(server, scope);
}

async function trickle(from: Socket, to: Socket): Promise<void> {
  try {
    for await (const chunk of from as AsyncIterable<Buffer>)
      for (const byte of chunk) {
        to.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
    to.end();
  } catch {
    to.destroy();
  }
}
