import { constants } from "node:os";
import { promisify } from "node:util";
import koffi from "koffi";

/**
 * The system calls that Node has no call for, through libc. They run on the calling thread and block it: only those that
 * finish in microseconds stand here. Each throws an Error with `code` (`EBUSY`), `syscall` and `path`, like node:fs.
 */
const libc = koffi.load("libc.so.6");

const calls = {
  mount: libc.func("int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)"),
  umount2: libc.func("int umount2(const char *target, int flags)"),
  unshare: libc.func("int unshare(int flags)"),
  setns: libc.func("int setns(int fd, int type)"),
  sethostname: libc.func("int sethostname(const char *name, size_t length)"),
  flock: libc.func("int flock(int fd, int operation)"),
  chroot: libc.func("int chroot(const char *path)"),
  fchdir: libc.func("int fchdir(int fd)"),
  mknod: libc.func("int mknod(const char *path, unsigned int mode, unsigned long device)"),
  tcgetattr: libc.func("int tcgetattr(int fd, _Out_ uint8_t *termios)"),
  cfmakeraw: libc.func("void cfmakeraw(_Inout_ uint8_t *termios)"),
  tcsetattr: libc.func("int tcsetattr(int fd, int when, const uint8_t *termios)"),
  lsetxattr: libc.func("int lsetxattr(const char *path, const char *name, const uint8_t *value, size_t size, int flags)"),
};

// koffi's types lose what these are.
const mountCall = promisify(calls.mount.async) as (
  source: string,
  target: string,
  type: string | null,
  flags: number,
  data: string | null,
) => Promise<number>;
const unmountCall = promisify(calls.umount2.async) as (target: string, flags: number) => Promise<number>;

/** Flags of mount(2) and umount2(2), from linux/mount.h and sys/mount.h. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  BIND: 4096,
  MOVE: 8192,
  REC: 16384,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
} as const;
export const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Flags of unshare(2) and setns(2), from linux/sched.h. */
export const CLONE = { NEWNS: 0x0002_0000, NEWUTS: 0x0400_0000, NEWIPC: 0x0800_0000, NEWNET: 0x4000_0000 } as const;

export interface MountOptions {
  readonly source: string;
  readonly type?: string;
  /** A sum of MS flags. */
  readonly flags?: number;
  /** At most one page (4095 bytes): overlayfs refuses longer. */
  readonly data?: string;
}

/** mount(2). */
export function mount(target: string, options: MountOptions): void {
  check(calls.mount(options.source, target, options.type ?? null, options.flags ?? 0, options.data ?? null), "mount", target);
}

/** `mount`, but another thread waits: the kernel has one lock for all mounts, and whoever starts a container copies them all under it. */
export async function mountInThread(target: string, options: MountOptions): Promise<void> {
  const result = await mountCall(options.source, target, options.type ?? null, options.flags ?? 0, options.data ?? null);
  if (result !== 0) mount(target, options); // that thread keeps its errno to itself: asked once more where it can be read
}

/** `unmount`, but another thread waits. */
export async function unmountInThread(target: string, flags: number = MNT_DETACH): Promise<boolean> {
  return (await unmountCall(target, flags | UMOUNT_NOFOLLOW)) === 0 || unmount(target, flags); // as above
}

/** umount2(2), never through a symlink. Not mounted, or not there, is success: gives false. */
export function unmount(target: string, flags: number = MNT_DETACH): boolean {
  const result = calls.umount2(target, flags | UMOUNT_NOFOLLOW);
  if (result === 0) return true;
  const name = errnoName(koffi.errno());
  if (name === "EINVAL" || name === "ENOENT") return false;
  throw systemError(name, "umount2", target);
}

/** unshare(2) of the calling thread. */
export function unshare(flags: number): void {
  check(calls.unshare(flags), "unshare", "");
}

/** setns(2) of the calling thread. */
export function setns(fd: number, type: number): void {
  check(calls.setns(fd, type), "setns", "");
}

/** sethostname(2), of the calling thread's UTS namespace. */
export function setHostname(name: string): void {
  check(calls.sethostname(name, Buffer.byteLength(name)), "sethostname", name);
}

/** chroot(2) of this process; its working directory becomes the new root. */
export function changeRoot(path: string): void {
  check(calls.chroot(path), "chroot", path);
  process.chdir("/");
}

/** Goes back to the root that `fd` was opened on before changeRoot(); the working directory becomes it. */
export function changeRootBack(fd: number): void {
  check(calls.fchdir(fd), "fchdir", "");
  check(calls.chroot("."), "chroot", ".");
}

/** flock(2), exclusive, without waiting: false when somebody else holds it. Held until the descriptor is closed. */
export function lockFile(fd: number): boolean {
  const LOCK_EX = 2;
  const LOCK_NB = 4;
  if (calls.flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const name = errnoName(koffi.errno());
  if (name === "EWOULDBLOCK" || name === "EAGAIN") return false;
  throw systemError(name, "flock", "");
}

/** mknod(2); `mode` has the type bits (S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK). A path of bytes need not be UTF-8. */
export function makeNode(path: string | Uint8Array, mode: number, major: number, minor: number): void {
  // The kernel's and glibc's 64-bit dev_t (gnu_dev_makedev).
  const device = (BigInt(major & ~0xfff) << 32n) | (BigInt(minor & ~0xff) << 12n) | (BigInt(major & 0xfff) << 8n) | BigInt(minor & 0xff);
  check(calls.mknod(cString(path), mode, device), "mknod", path);
}

/** lsetxattr(2). A path of bytes need not be UTF-8. */
export function setExtendedAttribute(path: string | Uint8Array, name: string, value: Uint8Array): void {
  check(calls.lsetxattr(cString(path), name, value, value.length, 0), "lsetxattr", path);
}

function cString(path: string | Uint8Array): string | Uint8Array {
  return typeof path === "string" ? path : Buffer.concat([path, Buffer.alloc(1)]);
}

/** Makes a terminal hand on what is written to it as it is, and echo nothing; what it puts out keeps its line ends. */
export function makeRaw(fd: number): void {
  const termios = Buffer.alloc(128); // glibc's struct has 60 bytes: four flag words, then characters and speeds
  const outputFlagsAt = 4;
  check(calls.tcgetattr(fd, termios), "tcgetattr", "");
  const outputFlags = termios.readUInt32LE(outputFlagsAt);
  calls.cfmakeraw(termios);
  termios.writeUInt32LE(outputFlags, outputFlagsAt);
  check(calls.tcsetattr(fd, 0, termios), "tcsetattr", "");
}

function check(result: unknown, syscall: string, path: string | Uint8Array): void {
  if (result !== 0) throw systemError(errnoName(koffi.errno()), syscall, typeof path === "string" ? path : Buffer.from(path).toString());
}

/** `ENOENT` for 2. */
export function errnoName(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}

function systemError(code: string, syscall: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${syscall}${path === "" ? "" : ` '${path}'`}`), { code, syscall, path });
}
