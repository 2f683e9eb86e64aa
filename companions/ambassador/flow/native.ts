import { getSystemErrorName } from "node:util";

/**
 * Node's own handles of sockets, beneath `net.Socket`: what `net` itself is made of, and in no documentation (Node 24). How they are
 * got from a server is in listen.ts, how one becomes a socket in plain-transport.ts; docs/decisions/0009 says why, and what it brings.
 */

/** A TCP connection or a UNIX socket of libuv. Numbers that are given back are libuv's: 0, or a negative error. */
export interface NativeHandle {
  /** The descriptor; -1 once it is closed. */
  readonly fd: number;
  /** Called after each read; gives the buffer that the next ones go to, or undefined: the same again. */
  onread: (this: NativeHandle) => Buffer | undefined;
  /** Ours: whom `onread` tells. */
  reader?: Reader | undefined;
  /** Where reads go. */
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  /** Sends at once what the kernel takes; the rest when it can, from the same memory, and completes the request then (`wasQueued`). */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  /** Sends the end after what is queued. 1: done already. */
  shutdown(request: ShutdownRequest): number;
  close(): void;
  /** TCP: closes with RST. */
  reset?(): number;
  setNoDelay?(isOn: boolean): number;
  setKeepAlive?(isOn: boolean, initialDelaySeconds: number): number;
  getpeername?(out: { address?: string; port?: number }): number;
  getsockname?(out: { address?: string; port?: number }): number;
}

/** A handle that can be connected. */
interface TcpHandle extends NativeHandle {
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
}

interface PipeHandle extends NativeHandle {
  connect(request: ConnectRequest, path: string): number;
}

/** Who reads a handle. */
export interface Reader {
  /** What came of a read: a count, END_OF_FILE or a negative error; 0 is nothing. Gives the buffer for the next one, unless it is the same. */
  take(count: number): Buffer | undefined;
}

/** It may be used again where it never had to wait. */
export interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** The memory that libuv still sends from, so that it stays. */
  buffer?: Uint8Array;
}

interface ShutdownRequest {
  oncomplete?: (status: number) => void;
}

interface ConnectRequest {
  oncomplete?: (status: number) => void;
}

interface TcpBinding {
  readonly TCP: new (type: number) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number };
}

interface PipeBinding {
  readonly Pipe: new (type: number) => PipeHandle;
  readonly PipeConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number };
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  /** What the last call did, at these places. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

/** `process.binding` gives these three to everybody, and says so only in its documentation's list of what is deprecated (DEP0111). */
const node = process as unknown as {
  binding(name: "tcp_wrap"): TcpBinding;
  binding(name: "pipe_wrap"): PipeBinding;
  binding(name: "stream_wrap"): StreamBinding;
};
const tcp = node.binding("tcp_wrap");
const pipe = node.binding("pipe_wrap");
const stream = node.binding("stream_wrap");
const { streamBaseState: state, kReadBytesOrError, kLastWriteWasAsync } = stream;

/** The end of what the other side sends, in place of a count. */
export const END_OF_FILE = -4095;

/** Has a handle read into a buffer, and tell a reader. It does not begin yet. */
export function readInto(handle: NativeHandle, buffer: Buffer, reader: Reader): void {
  handle.reader = reader;
  handle.onread = onRead;
  handle.useUserBuffer(buffer);
}

function onRead(this: NativeHandle): Buffer | undefined {
  return this.reader?.take(state[kReadBytesOrError] ?? 0);
}

/** Whether the write that just returned could not be done at once. */
export function wasQueued(): boolean {
  return state[kLastWriteWasAsync] !== 0;
}

export function makeWriteRequest(): WriteRequest {
  return new stream.WriteWrap();
}

export function makeShutdownRequest(onComplete: () => void): ShutdownRequest {
  const request = new stream.ShutdownWrap();
  request.oncomplete = onComplete;
  return request;
}

/** A connection that is yet to be made. */
export interface Unconnected {
  readonly handle: NativeHandle;
  /** Calls back later, with 0 or an error; unless there is an error now, which it gives back. */
  connect(onComplete: (status: number) => void): number;
}

/** To an IP address, without Nagle's delay. */
export function overTcp(address: string, port: number): Unconnected {
  const handle = new tcp.TCP(tcp.constants.SOCKET);
  handle.setNoDelay?.(true);
  const connect: Unconnected["connect"] = (onComplete) => {
    const request = new tcp.TCPConnectWrap();
    request.oncomplete = onComplete;
    return address.includes(":") ? handle.connect6(request, address, port) : handle.connect(request, address, port);
  };
  return { handle, connect };
}

/** To a UNIX socket. */
export function overPipe(path: string): Unconnected {
  const handle = new pipe.Pipe(pipe.constants.SOCKET);
  const connect: Unconnected["connect"] = (onComplete) => {
    const request = new pipe.PipeConnectWrap();
    request.oncomplete = onComplete;
    return handle.connect(request, path);
  };
  return { handle, connect };
}

/** An error as Node's sockets give it: `connect ECONNREFUSED 127.0.0.1:5432`. */
export function nativeError(syscall: string, status: number, where?: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  const error: NodeJS.ErrnoException = new Error(where === undefined ? `${syscall} ${code}` : `${syscall} ${code} ${where}`);
  return Object.assign(error, { code, errno: status, syscall });
}
