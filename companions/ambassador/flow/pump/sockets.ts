import koffi from "koffi";
import { arch, constants } from "node:os";

/**
 * What the pump asks of the kernel, through libc: Node has no call for any of it. `wait` blocks the thread, all the others do not. A count of
 * -1 is a failure, which `errno` tells.
 */
const libc = koffi.load("libc.so.6");

const calls = {
  epollCreate: libc.func("int epoll_create1(int flags)"),
  epollCtl: libc.func("int epoll_ctl(int epoll, int operation, int fd, void *event)"),
  epollWait: libc.func("int epoll_wait(int epoll, void *events, int count, int timeout)"),
  recv: libc.func("long recv(int fd, void *buffer, size_t size, int flags)"),
  send: libc.func("long send(int fd, void *buffer, size_t size, int flags)"),
  shutdown: libc.func("int shutdown(int fd, int how)"),
  getsockopt: libc.func("int getsockopt(int fd, int level, int name, void *value, void *size)"),
  eventfd: libc.func("int eventfd(unsigned int count, int flags)"),
} as const;

const { EAGAIN, EINTR } = constants.errno;
const CLOEXEC = 0o2_000_000;
const MSG = { DONTWAIT: 0x40, NOSIGNAL: 0x4000 } as const;
const SHUT_WR = 1;
const [SOL_SOCKET, SO_ERROR] = [1, 4];

/** epoll_ctl(2)'s operations. */
const CTL = { add: 1, delete: 2, change: 3 } as const;
/** epoll_ctl(2)'s events. The last two come unasked. */
export const EPOLL = { IN: 1, OUT: 4, ERR: 8, HUP: 16 } as const;

/** struct epoll_event, in 32-bit words: packed on x86-64 alone. */
const [EVENT_WORDS, DATA_WORD] = arch() === "x64" ? [3, 1] : [4, 2];

/** How many events one `wait` gives at most. */
const BATCH = 256;

/** Descriptors that are waited for, level-triggered. */
export class Poll {
  readonly #epoll: number;
  readonly #events = new Int32Array(EVENT_WORDS * BATCH);
  readonly #asked = new Int32Array(EVENT_WORDS);

  constructor() {
    this.#epoll = Number(calls.epollCreate(CLOEXEC));
    if (this.#epoll < 0) throw failure("epoll_create1");
  }

  /** Waits until something happened, or so long (-1: for ever); gives how much happened. */
  wait(timeoutMs: number): number {
    for (;;) {
      const count = Number(calls.epollWait(this.#epoll, this.#events, BATCH, timeoutMs));
      if (count >= 0) return count;
      if (koffi.errno() !== EINTR) throw failure("epoll_wait");
    }
  }

  /** Which descriptor the event of that index is of. */
  fdOf(index: number): number {
    return this.#events[index * EVENT_WORDS + DATA_WORD] ?? -1;
  }

  /** What happened to it: EPOLL's bits. */
  happenedAt(index: number): number {
    return this.#events[index * EVENT_WORDS] ?? 0;
  }

  add(fd: number, interest: number): void {
    this.#control(CTL.add, fd, interest);
  }

  change(fd: number, interest: number): void {
    this.#control(CTL.change, fd, interest);
  }

  delete(fd: number): void {
    this.#control(CTL.delete, fd, 0);
  }

  #control(operation: number, fd: number, interest: number): void {
    this.#asked[0] = interest;
    this.#asked[DATA_WORD] = fd;
    if (Number(calls.epollCtl(this.#epoll, operation, fd, this.#asked)) < 0) throw failure("epoll_ctl");
  }
}

/** The count of bytes that came, 0 at the end, or -1. */
export function receive(fd: number, buffer: Buffer, size: number): number {
  return Number(calls.recv(fd, buffer, size, MSG.DONTWAIT));
}

/** How many of the first bytes the kernel took, or -1. */
export function send(fd: number, buffer: Buffer, size: number): number {
  return Number(calls.send(fd, buffer, size, MSG.DONTWAIT | MSG.NOSIGNAL));
}

/** Sends the end. What is wrong with the socket, its next event tells. */
export function sendEnd(fd: number): void {
  calls.shutdown(fd, SHUT_WR);
}

/** Why the last call failed. */
export function errno(): number {
  return koffi.errno();
}

/** Whether the last call failed only because it would have had to wait. */
export function wouldWait(): boolean {
  const code = koffi.errno();
  return code === EAGAIN || code === EINTR;
}

/** What broke a socket; ECONNRESET where it does not say. */
export function errorOf(fd: number): number {
  const [value, size] = [new Int32Array(1), new Int32Array([4])];
  calls.getsockopt(fd, SOL_SOCKET, SO_ERROR, value, size);
  return value[0] === undefined || value[0] === 0 ? constants.errno.ECONNRESET : value[0];
}

/** A descriptor that wakes whoever waits for it: eight bytes are written to it, and read from it. */
export function makeWaker(): number {
  const fd = Number(calls.eventfd(0, CLOEXEC));
  if (fd < 0) throw failure("eventfd");
  return fd;
}

/** A call that should not fail. */
export class CallFailure extends Error {
  override readonly name = "CallFailure";
  readonly errno: number;

  constructor(syscall: string, code: number) {
    super(`${syscall} failed with errno ${code}`);
    this.errno = code;
  }
}

function failure(syscall: string): CallFailure {
  return new CallFailure(syscall, koffi.errno());
}
