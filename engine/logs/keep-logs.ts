import { statSync } from "node:fs";
import { link, rename, stat, truncate } from "node:fs/promises";
import { type Clock, isErrno, type Logger, runTogether } from "@peapod/kit";
import { compressLog } from "./compress-log.ts";
import { heldPath, listRotated, removeRotated, rotatedPath } from "./log-files.ts";
import type { LogLimits } from "./logs.ts";

export interface KeepLogsOptions {
  readonly limits: LogLimits;
  /** The logs of the running containers, by path. */
  readonly list: () => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often each log is looked at: a `stat` each. */
const LOOK_EVERY_MS = 500;
/** How often those are that grow fast. */
const LOOK_AT_HOT_EVERY_MS = 50;
/** A log is hot for so long after it grew by a tenth of its limit between two looks. */
const HOT_FOR_MS = 10_000;
const COMPRESS_EVERY_MS = 10_000;

/**
 * Keeps the logs of all running containers within their limits until the signal is aborted. The bound is conmon's own, which starts a new file
 * at the size limit however fast the container writes and whether an engine is there or not; this puts the full ones aside, drops the
 * oldest and compresses those that lie for a while. What is filled twice between two looks is lost but for its end.
 */
export async function keepLogs(options: KeepLogsOptions, signal: AbortSignal): Promise<void> {
  const { clock, list, log } = options;
  const kept = new Map<string, KeptLog>();
  const guarded = async (one: KeptLog, act: () => Promise<void>): Promise<void> => {
    try {
      await act();
      one.hasTrouble = false;
    } catch (error) {
      signal.throwIfAborted();
      if (!one.hasTrouble) log.warn("cannot keep a log within its limits", { path: one.path, error });
      one.hasTrouble = true;
    }
  };
  const look = async (): Promise<void> => {
    for (let lookMs = 0; ;) {
      const isAnyHot = [...kept.values()].some((one) => one.isHot(clock.monotonicMs()));
      await clock.sleep(isAnyHot ? LOOK_AT_HOT_EVERY_MS : LOOK_EVERY_MS, signal);
      const nowMs = clock.monotonicMs();
      const isAll = nowMs >= lookMs;
      if (isAll) {
        lookMs = nowMs + LOOK_EVERY_MS;
        follow(kept, await list(), options.limits);
      }
      for (const one of kept.values()) if ((isAll || one.isHot(nowMs)) && one.hasChanged()) await guarded(one, async () => one.look(nowMs));
    }
  };
  const compress = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(COMPRESS_EVERY_MS, signal);
      for (const one of kept.values()) {
        if (!one.isHot(clock.monotonicMs())) await guarded(one, async () => compressLog(one.path, one.whileQuiet(signal)));
      }
    }
  };
  await runTogether({ look, compress }, signal);
}

/** Adapts what is kept to the containers that run. */
function follow(kept: Map<string, KeptLog>, paths: readonly string[], limits: LogLimits): void {
  const wanted = new Set(paths);
  for (const path of kept.keys()) if (!wanted.has(path)) kept.delete(path);
  for (const path of paths) if (!kept.has(path)) kept.set(path, new KeptLog(path, limits));
}

/** One log that is written, and what was last seen of it. */
export class KeptLog {
  readonly path: string;
  readonly #limits: LogLimits;
  #heldInode: number | undefined;
  #sizeBytes = 0;
  #hotUntilMs = 0;
  #quiet = new AbortController();
  /** Whether the last look failed: told once. */
  hasTrouble = false;

  constructor(path: string, limits: LogLimits) {
    this.path = path;
    this.#limits = limits;
  }

  isHot(nowMs: number): boolean {
    return nowMs < this.#hotUntilMs;
  }

  /** A signal that is aborted as soon as the log is no longer quiet, or with `signal`. */
  whileQuiet(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#quiet.signal]);
  }

  /** Whether there is anything to look at since the last look: one `stat`, for the many logs that nobody writes. */
  hasChanged(): boolean {
    const now = statSync(this.path, { throwIfNoEntry: false });
    return now !== undefined && (now.ino !== this.#heldInode || now.size !== this.#sizeBytes);
  }

  /** Puts the file aside that conmon has left, if it has, and gives the new one its second name. A kill at any point heals at the next look. */
  async look(nowMs: number): Promise<void> {
    const now = statSync(this.path, { throwIfNoEntry: false });
    if (now === undefined) return;
    const isNew = now.ino !== this.#heldInode;
    const grewBytes = isNew ? now.size : now.size - this.#sizeBytes;
    this.#sizeBytes = now.size;
    if (grewBytes > this.#limits.maxSizeBytes / 10) this.#heat(nowMs);
    // Of a conmon that knows no limit, of an engine before: it opened the file for appending, and goes on at its new end.
    if (now.size > 2 * this.#limits.maxSizeBytes) await truncate(this.path, 0);
    if (!isNew) return;
    const held = await inodeOf(heldPath(this.path));
    if (held !== undefined && held.inode !== now.ino) await this.#putAside(held.modifiedMs);
    await linkIfAbsent(this.path, heldPath(this.path));
    this.#heldInode = (await inodeOf(heldPath(this.path)))?.inode;
  }

  async #putAside(modifiedMs: number): Promise<void> {
    this.#quiet.abort();
    this.#quiet = new AbortController();
    const rotated = await listRotated(this.path);
    // Beside these stay the one that is put aside now, the one that is written, and the one that conmon may begin at any moment.
    const surplus = rotated.slice(0, Math.max(0, rotated.length - (this.#limits.maxFiles - 3)));
    for (const { timeMs } of surplus) await removeRotated(this.path, timeMs);
    const timeMs = Math.max(Math.trunc(modifiedMs), (rotated.at(-1)?.timeMs ?? 0) + 1);
    await rename(heldPath(this.path), rotatedPath(this.path, timeMs));
  }

  #heat(nowMs: number): void {
    this.#hotUntilMs = nowMs + HOT_FOR_MS;
    this.#quiet.abort();
    this.#quiet = new AbortController();
  }
}

async function inodeOf(path: string): Promise<{ inode: number; modifiedMs: number } | undefined> {
  try {
    const { ino, mtimeMs } = await stat(path);
    return { inode: ino, modifiedMs: mtimeMs };
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return undefined;
    throw cause;
  }
}

async function linkIfAbsent(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (cause) {
    if (!isErrno(cause, "EEXIST", "ENOENT")) throw cause;
  }
}
