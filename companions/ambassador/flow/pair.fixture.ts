import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Address } from "../../frame/address.ts";
import { listen } from "./listen.ts";
import { splice, type Splice, type SpliceResult } from "./splice.ts";
import { dial, type Wire } from "./wire.ts";

/** A proxy of listen, dial and splice between a client and a server of the test's own, with both ends in hand. */
export interface Pair {
  readonly client: Socket;
  /** The server's end of what the proxy dialled. */
  readonly server: Socket;
  readonly wires: { readonly client: Wire; readonly upstream: Wire };
  readonly result: Promise<SpliceResult>;
}

/** Makes pairs, whose clients come to that address; everything is destroyed with the stack. */
export async function startPairs(stack: AsyncDisposableStack, taps: Splice = {}, at: Address = loopback): Promise<() => Promise<Pair>> {
  const arrived: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    arrived.push(socket.on("error", () => {}));
    server.emit("arrived");
  });
  const upstream = await listenOnLoopback(server);
  stack.defer(() => void server.close());
  const spliced: { wires: Pair["wires"]; result: Promise<SpliceResult> }[] = [];
  const signal = new AbortController().signal;
  const serve = async (client: Wire): Promise<void> => {
    const wires = { client, upstream: await dial(upstream, { keepAliveMs: 30_000 }, signal) };
    spliced.push({ wires, result: splice(wires.client, wires.upstream, taps).done });
    server.emit("spliced");
  };
  const proxy = await listen(
    { listen: at, socketMode: 0o600, acceptProxyProtocol: false, handshakeMs: 1_000 },
    { kind: "wire", onConnection: (client) => void serve(client), onRefused: () => {} },
  );
  stack.defer(() => proxy.close());
  return async () => {
    const { address } = proxy;
    const both = Promise.all([once(server, "arrived"), once(server, "spliced")]);
    const client = connect({ ...address, allowHalfOpen: true }).on("error", () => {});
    await both;
    const accepted = arrived.shift();
    const made = spliced.shift();
    if (accepted === undefined || made === undefined) throw new Error("Events came without what they tell of");
    stack.defer(() => void [client, accepted].map((socket) => socket.destroy()));
    return { client, server: accepted, ...made };
  };
}

export const loopback: Address = { kind: "tcp", host: "127.0.0.1", port: 0 };

export async function listenOnLoopback(server: Server): Promise<Address & { kind: "tcp" }> {
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  return { kind: "tcp", host: "127.0.0.1", port: (server.address() as AddressInfo).port }; // it listens on TCP
}

/** Narrows to what every test here listens on. */
export function tcp(address: Address): Address & { kind: "tcp" } {
  if (address.kind !== "tcp") throw new Error("Not a TCP address");
  return address;
}

/** Everything until the end. Not by iteration, which destroys the socket when its reading ends, whatever it has to send. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).resume();
  await once(socket, "end");
  return Buffer.concat(chunks);
}
