import koffi from "koffi";
import { promisify } from "node:util";
import { errnoName } from "./libc.ts";

/**
 * Starting programs without a copy of this process: `node:child_process` forks, which takes 2 ms and 4 more for each 100 MB that this process
 * holds, on the main thread; posix_spawn(3) lends the child its memory until the program is loaded, 0.3 ms however large it is.
 */
const libc = koffi.load("libc.so.6");
const calls = {
  spawn: libc.func(
    "int posix_spawn(_Out_ int *pid, const char *path, const uint8_t *actions, const uint8_t *attributes, const char **argv, const char **envp)",
  ),
  initActions: libc.func("int posix_spawn_file_actions_init(uint8_t *actions)"),
  addDup2: libc.func("int posix_spawn_file_actions_adddup2(uint8_t *actions, int fd, int target)"),
  addChdir: libc.func("int posix_spawn_file_actions_addchdir_np(uint8_t *actions, const char *path)"),
  destroyActions: libc.func("int posix_spawn_file_actions_destroy(uint8_t *actions)"),
  initAttributes: libc.func("int posix_spawnattr_init(uint8_t *attributes)"),
  setFlags: libc.func("int posix_spawnattr_setflags(uint8_t *attributes, short flags)"),
  setDefaultSignals: libc.func("int posix_spawnattr_setsigdefault(uint8_t *attributes, const uint8_t *set)"),
  setSignalMask: libc.func("int posix_spawnattr_setsigmask(uint8_t *attributes, const uint8_t *set)"),
  pipe2: libc.func("int pipe2(uint8_t *fds, int flags)"),
  waitpid: libc.func("int waitpid(int pid, uint8_t *status, int options)"),
};
const waitpid = promisify(calls.waitpid.async) as (pid: number, status: Uint8Array, options: number) => Promise<number>; // koffi's types lose it

/** More than glibc's posix_spawn_file_actions_t (80), posix_spawnattr_t (336) and sigset_t (128) take anywhere. */
const STRUCT_BYTES = 512;
const FLAGS = { SETSIGDEF: 0x04, SETSIGMASK: 0x08, SETSID: 0x80 } as const;
const O_CLOEXEC = 0o2000000;

export interface DetachedProgram {
  /** Its path; not looked for. */
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** What the program has as descriptors 0, 1, 2 and on; nothing else of ours is open there. */
  readonly fds: readonly number[];
}

/**
 * Starts a program in a session of its own, with every signal at its default, and gives its pid. Who started it must `reap` it.
 * Throws an Error with `code` (`ENOENT`).
 */
export function spawnDetached({ path, args, env, cwd, fds }: DetachedProgram): number {
  if (fds.some((fd, target) => fd < target))
    throw new Error(`Descriptors ${fds.join(", ")} would be overwritten before they are handed on`);
  const [actions, attributes, pid] = [Buffer.alloc(STRUCT_BYTES), Buffer.alloc(STRUCT_BYTES), [0]];
  calls.initActions(actions);
  calls.initAttributes(attributes);
  try {
    fds.forEach((fd, target) => calls.addDup2(actions, fd, target));
    calls.addChdir(actions, cwd);
    calls.setFlags(attributes, FLAGS.SETSIGDEF | FLAGS.SETSIGMASK | FLAGS.SETSID);
    calls.setDefaultSignals(attributes, Buffer.alloc(STRUCT_BYTES, 0xff));
    calls.setSignalMask(attributes, Buffer.alloc(STRUCT_BYTES));
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const errno = Number(calls.spawn(pid, path, actions, attributes, [path, ...args, null], [...variables, null]));
    if (errno !== 0) throw Object.assign(new Error(`${errnoName(errno)}: posix_spawn '${path}'`), { code: errnoName(errno) });
  } finally {
    calls.destroyActions(actions);
  }
  return pid[0] ?? 0;
}

/** Waits for the end of a process of `spawnDetached`, on another thread. */
export async function reap(pid: number): Promise<void> {
  await waitpid(pid, Buffer.alloc(4), 0);
}

/** A pipe whose ends no other program gets by accident. */
export function makePipe(): { readonly read: number; readonly write: number } {
  const fds = Buffer.alloc(8);
  if (Number(calls.pipe2(fds, O_CLOEXEC)) !== 0) throw new Error(`Cannot make a pipe: ${errnoName(koffi.errno())}`);
  return { read: fds.readInt32LE(0), write: fds.readInt32LE(4) };
}
