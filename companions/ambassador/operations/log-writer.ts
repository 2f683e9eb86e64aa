import { write, writeSync } from "node:fs";

/** Unwritten log lines that are kept while the reader is slow. More are dropped, and counted in a line of their own. */
const LIMIT_BYTES = 1024 * 1024;
const RETRY_MS = 20;

/** Writes lines to a file descriptor without ever making the caller wait: a stuck reader of the log must not stop the connections. */
export interface LogWriter {
  /** One line, with its newline. */
  write(line: string): void;
  /** Writes what is left and waits for it, for the end of the process. What a full pipe does not take at once is dropped. */
  flush(): void;
}

/** Lines of one turn of the event loop go out in one call; one call runs at a time. */
export function createLogWriter(fd: number): LogWriter {
  let pending: string[] = [];
  let pendingBytes = 0;
  let dropped = 0;
  let unsent: Buffer | undefined;
  let isBusy = false;

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
      return;
    }
    write(fd, bytes, (error, written) => {
      if (error?.code === "EAGAIN") return void setTimeout(step, RETRY_MS);
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
    flush: () => {
      try {
        for (let bytes = take(); bytes !== undefined; bytes = take()) {
          const written = writeSync(fd, bytes);
          unsent = written < bytes.length ? bytes.subarray(written) : undefined;
        }
      } catch {
        unsent = undefined; // nobody reads any more
      }
    },
  };
}
