import type { HttpClient, LogQuery } from "@peapod/client";
import type { NamedObject } from "@peapod/client";
import { splitLines } from "@peapod/kit";

/** One line of a container's log. */
export interface LogLine {
  /** When it was written: RFC 3339 with nanoseconds. */
  readonly time: string;
  readonly text: string;
}

const LINE_LIMIT_BYTES = 1024 * 1024;

/** The lines of a container's log, each with its time. */
export async function* logLines(client: HttpClient, pod: NamedObject, query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine> {
  for await (const bytes of splitLines(client.logs(pod, { ...query, timestamps: true }, signal), LINE_LIMIT_BYTES)) {
    yield parseLine(Buffer.from(bytes).toString("utf8"));
  }
}

/** The lines of several logs in the order of time. */
export async function* mergeByTime(
  logs: readonly { name: string; lines: AsyncGenerator<LogLine> }[],
): AsyncGenerator<LogLine & { name: string }> {
  const heads = await Promise.all(
    logs.map(async ({ name, lines }) => {
      const { value, done } = await lines.next();
      return { name, lines, head: done === true ? undefined : value };
    }),
  );
  for (;;) {
    let earliest: (typeof heads)[number] | undefined;
    for (const candidate of heads) {
      if (candidate.head !== undefined && (earliest?.head === undefined || candidate.head.time < earliest.head.time)) earliest = candidate;
    }
    if (earliest?.head === undefined) return;
    yield { ...earliest.head, name: earliest.name };
    const { value, done } = await earliest.lines.next();
    earliest.head = done === true ? undefined : value;
  }
}

/** Cuts the time off a line. A terminal's carriage return before the newline goes too. */
export function parseLine(line: string): LogLine {
  const match = /^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) ?/.exec(line);
  const text = line.slice(match?.[0].length ?? 0);
  return { time: match?.[1] ?? "", text: text.endsWith("\r") ? text.slice(0, -1) : text };
}
