import { constants } from "node:os";
import { closeSync } from "node:fs";
import { promisify } from "node:util";
import koffi from "koffi";

const libc = koffi.load("libc.so.6");
const calls = {
  socket: libc.func("int socket(int domain, int type, int protocol)"),
  send: libc.func("long send(int fd, const uint8_t *buffer, size_t length, int flags)"),
  recv: libc.func("long recv(int fd, _Out_ uint8_t *buffer, size_t length, int flags)"),
  bind: libc.func("int bind(int fd, const uint8_t *address, uint32_t length)"),
};
const send = promisify(calls.send.async) as (fd: number, buffer: Uint8Array, length: number, flags: number) => Promise<number>; // koffi's types lose it

// From linux/netlink.h and linux/rtnetlink.h. Numbers are in the machine's byte order: little-endian on all that Node's binaries come for.
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const MSG_DONTWAIT = 0x40;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER_BYTES = 16;
const ANSWER_BYTES = 64 * 1024;

/** Which part of the kernel a socket speaks to: its network configuration, or netfilter (connection tracking). */
export const NETLINK = { ROUTE: 0, NETFILTER: 12 } as const;

/** Of a request that lists everything there is. */
export const NLM_F_DUMP = 0x300;

/** One request to the kernel: its type (RTM_NEWLINK), its flags beside REQUEST and ACK, its body, and what it is, for errors. */
export interface NetlinkRequest {
  readonly type: number;
  readonly flags?: number;
  readonly body: Buffer;
  readonly doing: string;
  /** It frames others, and the kernel says nothing to it unless it fails. */
  readonly isFrame?: true;
}

/** What the kernel answered, but for acknowledgements. */
export interface NetlinkAnswer {
  readonly type: number;
  readonly body: Buffer;
}

/**
 * A socket to the kernel's network configuration, of the network namespace the thread is in when it is made, and
 * usable from any later: so a pod's is configured without a process in it.
 */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  #sequence = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(family: number = NETLINK.ROUTE) {
    this.#fd = Number(calls.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, family));
    if (this.#fd < 0) throw netlinkError(koffi.errno(), "Cannot open a netlink socket");
  }

  /**
   * Has requests carried out one after the other, all of them, and gives their answers. Throws for the first that failed, an error with
   * `code` (`EEXIST`). The kernel may wait for its network lock meanwhile, so this happens on another thread.
   */
  async request(requests: readonly NetlinkRequest[]): Promise<NetlinkAnswer[]> {
    const turn = this.#last.then(() => this.#exchange(requests));
    this.#last = turn.catch(() => {}); // its caller hears of it; the next one need not
    return turn;
  }

  async #exchange(requests: readonly NetlinkRequest[]): Promise<NetlinkAnswer[]> {
    const first = this.#sequence + 1;
    const message = Buffer.concat(requests.map((request) => encode(request, ++this.#sequence)));
    // The kernel carries them out within this call; when it returns, all answers are there to be read.
    if ((await send(this.#fd, message, message.length, 0)) !== message.length) throw netlinkError(0, "Cannot write to a netlink socket");
    const answers: NetlinkAnswer[] = [];
    const failures: Error[] = [];
    const pending = new Set(requests.flatMap(({ isFrame }, index) => (isFrame === true ? [] : [first + index])));
    while (pending.size > 0) {
      for (const { type, sequence, body } of this.#read()) {
        const request = requests[sequence - first];
        if (request === undefined) continue; // of an earlier exchange
        if (type !== NLMSG_ERROR && type !== NLMSG_DONE) {
          answers.push({ type, body });
          continue;
        }
        pending.delete(sequence);
        if (type === NLMSG_DONE) continue;
        const errno = -body.readInt32LE(0);
        if (errno === 0) continue;
        failures.push(netlinkError(errno, request.doing));
        if (request.isFrame === true) pending.clear(); // what it frames was not looked at
      }
    }
    if (failures[0] !== undefined) throw failures[0];
    return answers;
  }

  #read(): { type: number; sequence: number; body: Buffer }[] {
    const buffer = Buffer.alloc(ANSWER_BYTES);
    const length = Number(calls.recv(this.#fd, buffer, buffer.length, MSG_DONTWAIT));
    if (length <= 0) throw netlinkError(koffi.errno(), "Cannot read from a netlink socket");
    const messages = [];
    for (let at = 0; at + HEADER_BYTES <= length;) {
      const size = buffer.readUInt32LE(at);
      messages.push({
        type: buffer.readUInt16LE(at + 4),
        sequence: buffer.readUInt32LE(at + 8),
        body: buffer.subarray(at + HEADER_BYTES, at + size),
      });
      at += align(size);
    }
    return messages;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/**
 * Tells whether something has changed, by the messages that the kernel sends to groups (RTNLGRP_LINK; the first 32): for whoever looks now and then, and
 * wants to look at nothing where nothing happened. Of the network namespace the thread is in when it is made.
 */
export class NetlinkChanges implements Disposable {
  readonly #groups: readonly number[];
  #fd: number;

  constructor(groups: readonly number[]) {
    this.#groups = groups;
    this.#fd = subscribe(groups);
  }

  /** Whether anything came since the last time, or since it was made. */
  take(): boolean {
    const received = Number(calls.recv(this.#fd, Buffer.alloc(HEADER_BYTES), HEADER_BYTES, MSG_DONTWAIT));
    if (received < 0 && koffi.errno() === constants.errno.EAGAIN) return false;
    // Also where so much came that the kernel dropped some. A new socket is empty, however much waits in the old one.
    closeSync(this.#fd);
    this.#fd = subscribe(this.#groups);
    return true;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function subscribe(groups: readonly number[]): number {
  const fd = Number(calls.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK.ROUTE));
  if (fd < 0) throw netlinkError(koffi.errno(), "Cannot open a netlink socket");
  const address = Buffer.alloc(12); // struct sockaddr_nl
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(groups.reduce((mask, group) => mask | (1 << (group - 1)), 0) >>> 0, 8);
  if (Number(calls.bind(fd, address, address.length)) === 0) return fd;
  const errno = koffi.errno();
  closeSync(fd);
  throw netlinkError(errno, "Cannot hear of changes by netlink");
}

/** The attributes of a message's body or of a nested attribute, by type. */
export function parseAttributes(body: Buffer): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= body.length;) {
    const size = body.readUInt16LE(at);
    if (size < 4) break; // nothing that the kernel writes
    attributes.set(body.readUInt16LE(at + 2) & 0x3fff, body.subarray(at + 4, at + size)); // without the flags NESTED and NET_BYTEORDER
    at += align(size);
  }
  return attributes;
}

/** An attribute of a message; nested ones are attributes concatenated. */
export function attribute(type: number, value: Buffer | string | number): Buffer {
  const data = typeof value === "number" ? uint32(value) : typeof value === "string" ? Buffer.from(`${value}\0`) : value;
  const buffer = Buffer.alloc(align(4 + data.length));
  buffer.writeUInt16LE(4 + data.length, 0);
  buffer.writeUInt16LE(type, 2);
  data.copy(buffer, 4);
  return buffer;
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function encode(request: NetlinkRequest, sequence: number): Buffer {
  const size = HEADER_BYTES + request.body.length;
  const buffer = Buffer.alloc(align(size));
  buffer.writeUInt32LE(size, 0);
  buffer.writeUInt16LE(request.type, 4);
  buffer.writeUInt16LE(NLM_F_REQUEST | (request.isFrame === true ? 0 : NLM_F_ACK) | (request.flags ?? 0), 6);
  buffer.writeUInt32LE(sequence, 8);
  request.body.copy(buffer, HEADER_BYTES);
  return buffer;
}

function align(size: number): number {
  return (size + 3) & ~3;
}

function netlinkError(errno: number, doing: string): Error {
  const code = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
  return Object.assign(new Error(`${doing}: ${code}`), { code });
}
