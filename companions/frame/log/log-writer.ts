import { write } from "node:fs";
import { startTimer } from "@peapod/kit";

/** Unwritten log lines that are kept while the reader is slow. More are dropped, and counted in a line of their own. */
const LIMIT_BYTES = 1024 * 1024;
const RETRY_MS = 20;
/** At the end of the process a reader may take so long. */
const FLUSH_MS = 1_000;

/** Writes lines to a file descriptor without ever making the caller wait: a stuck reader of the log must not stop the connections. */
export interface LogWriter {
  /** One line, with its newline. */
  write(line: string): void;
  /** Resolves when everything is written, for the end of the process; what nobody reads within a second is lost. */
  flush(): Promise<void>;
}

/** Lines of one turn of the event loop go out in one call; one call runs at a time. */
export function createLogWriter(fd: number): LogWriter {
  let pending: string[] = [];
  let pendingBytes = 0;
  let dropped = 0;
  let unsent: Buffer | undefined;
  let isBusy = false;
  let onIdle = (): void => {};

  const take = (): Buffer | undefined => {
    if (unsent !== undefined) return unsent;
    if (dropped > 0) {
      const time = new Date().toISOString();
      pending.push(`${JSON.stringify({ time, level: "warn", message: "log lines dropped: their reader is too slow", dropped })}\n`);
      dropped = 0;
    }
    if (pending.length === 0) return undefined;
    unsent = Buffer.from(pending.join(""));
    pending = [];
    pendingBytes = 0;
    return unsent;
  };
  const step = (): void => {
    const bytes = take();
    if (bytes === undefined) {
      isBusy = false;
      onIdle();
      return;
    }
    write(fd, bytes, (error, written) => {
      if (error?.code === "EAGAIN") return void startTimer(step, RETRY_MS);
      unsent = error === null && written < bytes.length ? bytes.subarray(written) : undefined; // whoever read the log is gone: go on without
      step();
    });
  };
  return {
    write: (line) => {
      if (pendingBytes > LIMIT_BYTES) {
        dropped += 1;
        return;
      }
      pending.push(line);
      pendingBytes += line.length;
      if (isBusy) return;
      isBusy = true;
      setImmediate(step);
    },
    flush: async () => {
      if (!isBusy) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      onIdle = resolve;
      const timer = startTimer(resolve, FLUSH_MS);
      await promise;
      timer[Symbol.dispose]();
    },
  };
}
