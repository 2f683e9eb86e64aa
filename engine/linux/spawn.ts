import koffi from "koffi";
import { promisify } from "node:util";
import { errnoName } from "./libc.ts";

/**
 * Starting programs without a copy of this process: `node:child_process` forks, which takes 2 ms and 4 more for each 100 MB that this process
 * holds, on the main thread; posix_spawn(3) lends the child its memory until the program is loaded, 0.3 ms however large it is.
 * On a busy machine that is ten times as long, so it is another thread that waits for it.
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
type Spawn = (
  pid: number[],
  path: string,
  actions: Buffer,
  attributes: Buffer,
  argv: (string | null)[],
  envp: (string | null)[],
) => Promise<number>;
const spawn = promisify(calls.spawn.async) as Spawn; // as above

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

const WNOHANG = 1;

/**
 * Starts a program in a session of its own, with every signal at its default, and gives its pid. Who started it must `reap` it.
 * Throws an Error with `code` (`ENOENT`). This thread waits until the kernel has loaded it: for what is started once.
 */
export function spawnDetached(program: DetachedProgram): number {
  using call = new SpawnCall(program);
  return call.pidOf(Number(calls.spawn(...call.words)));
}

/** `spawnDetached`, but another thread waits. */
export async function spawnInThread(program: DetachedProgram): Promise<number> {
  using call = new SpawnCall(program);
  return call.pidOf(Number(await spawn(...call.words)));
}

/** What posix_spawn(3) takes, in memory that lasts as long as this. */
class SpawnCall implements Disposable {
  readonly words: Parameters<Spawn>;
  readonly #path: string;
  readonly #pid = [0];
  readonly #actions = Buffer.alloc(STRUCT_BYTES);

  constructor({ path, args, env, cwd, fds }: DetachedProgram) {
    if (fds.some((fd, target) => fd < target))
      throw new Error(`Descriptors ${fds.join(", ")} would be overwritten before they are handed on`);
    const attributes = Buffer.alloc(STRUCT_BYTES);
    calls.initActions(this.#actions);
    fds.forEach((fd, target) => calls.addDup2(this.#actions, fd, target));
    calls.addChdir(this.#actions, cwd);
    calls.initAttributes(attributes);
    calls.setFlags(attributes, FLAGS.SETSIGDEF | FLAGS.SETSIGMASK | FLAGS.SETSID);
    calls.setDefaultSignals(attributes, Buffer.alloc(STRUCT_BYTES, 0xff));
    calls.setSignalMask(attributes, Buffer.alloc(STRUCT_BYTES));
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    this.#path = path;
    this.words = [this.#pid, path, this.#actions, attributes, [path, ...args, null], [...variables, null]];
  }

  pidOf(errno: number): number {
    if (errno !== 0) throw Object.assign(new Error(`${errnoName(errno)}: posix_spawn '${this.#path}'`), { code: errnoName(errno) });
    return this.#pid[0] ?? 0;
  }

  [Symbol.dispose](): void {
    calls.destroyActions(this.#actions);
  }
}

/** Waits for the end of a process of `spawnDetached`, on another thread. */
export async function reap(pid: number): Promise<void> {
  await waitpid(pid, Buffer.alloc(4), 0);
}

/** The wait status of a process of ours that has ended, as wait(2) has it; undefined where it runs. It may be asked until it has given one. */
export function waitStatus(pid: number): number | undefined {
  const status = Buffer.alloc(4);
  const ended = Number(calls.waitpid(pid, status, WNOHANG));
  if (ended < 0) throw new Error(`Cannot wait for process ${pid}: ${errnoName(koffi.errno())}`);
  return ended === pid ? status.readInt32LE(0) : undefined;
}

/** A pipe whose ends no other program gets by accident. */
export function makePipe(): { readonly read: number; readonly write: number } {
  const fds = Buffer.alloc(8);
  if (Number(calls.pipe2(fds, O_CLOEXEC)) !== 0) throw new Error(`Cannot make a pipe: ${errnoName(koffi.errno())}`);
  return { read: fds.readInt32LE(0), write: fds.readInt32LE(4) };
}
