import type { Address } from "../../frame/address.ts";
import { type AddressInfo, createServer, type Server } from "node:net";
import { listenFailed, removeStaleSocket } from "../../frame/listen.ts";
import { AmbassadorError } from "../errors.ts";
import type { Acceptor, ListenOptions } from "./acceptor.ts";
import type { NativeHandle } from "./native.ts";
import { Intake } from "./intake.ts";

type TcpAddress = Address & { readonly kind: "tcp" };
type UnixAddress = Address & { readonly kind: "unix" };

export interface Listening {
  /** With the port that was got. */
  readonly address: Address;
  /** Accepts no more, and removes a UNIX socket's file. Connections that were handed out go on; it does not wait for them. Safe to repeat. */
  close(): Promise<void>;
}

/** Listens until it is closed. Throws LISTEN_FAILED, with what to do about it. A UNIX socket's file that nobody listens on any more is replaced. */
export async function listen(options: ListenOptions, acceptor: Acceptor): Promise<Listening> {
  const { listen: address, socketMode } = options;
  const servers: Server[] = [];
  let intake: Intake | undefined;
  const admit = (server: Server, bound: Address): void => {
    servers.push(server);
    const taking = (intake ??= new Intake(options, bound, acceptor));
    takeHandles(server, taking.take);
  };
  const close = async (): Promise<void> => {
    intake?.close();
    await Promise.all(servers.splice(0).map(closeServer));
  };
  try {
    const bound = address.kind === "unix" ? await openPipe(address, socketMode, admit) : await openPort(address, admit);
    return { address: bound, close };
  } catch (cause) {
    await close();
    if (cause instanceof AmbassadorError) throw cause;
    throw listenFailed(address, cause);
  }
}

/** Takes in what is open now, before anybody can have come. */
type Admit = (server: Server, bound: Address) => void;

/**
 * So many sockets share a port. libuv accepts one connection in each turn of its loop for each of them: with one, a busy ambassador would wake
 * the others of a conversation for each connection by itself, which costs a tenth of the connections a second (docs/decisions/0009).
 */
const SOCKETS_OF_A_PORT = 8;

async function openPort(address: TcpAddress, admit: Admit): Promise<TcpAddress> {
  // Sockets that share a port would let another process's in as well: one that does not share says whether somebody is there. A process
  // of the same user that comes later and asks to share is not kept out.
  if (address.port !== 0) await closeServer(await bind(createServer(), (server) => server.listen({ ...address, backlog: BACKLOG })));
  let bound = address;
  for (let count = 0; count < SOCKETS_OF_A_PORT; count += 1) {
    const server = await bind(createServer(), (one) => one.listen({ ...bound, backlog: BACKLOG, reusePort: true }));
    bound = { ...address, port: (server.address() as AddressInfo).port }; // it listens on TCP
    admit(server, bound);
  }
  return bound;
}

async function openPipe(address: UnixAddress, socketMode: number, admit: Admit): Promise<UnixAddress> {
  await removeStaleSocket(address.path);
  admit(await bind(createServer(), (server) => listenAt(server, address.path, socketMode)), address);
  return address;
}

/**
 * Has a server hand over bare handles, in place of the sockets that it would make of them. What Node calls them is undocumented; see
 * docs/decisions/0009.
 */
function takeHandles(server: Server, take: (handle: NativeHandle) => void): void {
  const { _handle: native } = server as Server & {
    _handle: { setNoDelay?(isOn: boolean): number; onconnection: (error: number, handle?: NativeHandle) => void };
  };
  native.setNoDelay?.(true); // what is accepted takes it over
  native.onconnection = (_error, handle) => {
    if (handle !== undefined) take(handle);
  };
}

/** Rejects where it cannot listen. */
async function bind(server: Server, begin: (server: Server) => void): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).once("listening", resolve);
  begin(server);
  await promise;
  server.off("error", reject);
  return server;
}

/** Does not wait for connections, which it knows nothing of. */
async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => void server.close(() => resolve()));
}

/** Makes the file with its mode: a chmod would come a moment after the first who may connect. It is made before `listen` returns. */
function listenAt(server: Server, path: string, mode: number): void {
  const before = process.umask(0o777 & ~mode);
  try {
    server.listen({ path, backlog: BACKLOG });
  } finally {
    process.umask(before);
  }
}

/** Connections that may wait to be accepted; the kernel lowers it to net.core.somaxconn. */
const BACKLOG = 4096;
