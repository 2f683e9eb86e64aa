import { type Pod, pods } from "@peapod/api";
import type { LogQuery } from "@peapod/client";
import { placeOf } from "../object-name.ts";
import { CliError, exitCodes, usageError } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { connect, type Connection } from "../connection.ts";
import { followObject } from "../follow-object.ts";
import { LogFollower } from "../log-follower.ts";
import { type LogLine, logLines, mergeByTime } from "../log-lines.ts";
import { Margin } from "../margin.ts";
import { hasEnded, waitingText } from "../pod-status.ts";

/** `peapod logs`: one container's log as it is, several with names in the margin and in the order of time. */
export async function logs(invocation: Invocation): Promise<number> {
  const { flags, positionals, terminal } = invocation;
  const [given, second] = positionals;
  if (given === undefined || positionals.length > 2) throw usageError("Name one pod: logs POD [-c CONTAINER]");
  using connection = await connect(invocation);
  const name = given.replace(/^pods?\//, "");
  const pod = await connection.client.get(pods, { namespace: connection.namespace, name }, invocation.signal);
  const container = flags.string("container") ?? second;
  const names = (pod.spec?.containers ?? []).map((item) => item.name);
  if (container !== undefined && !names.includes(container)) {
    throw new CliError(`Pod ${name} has no container "${container}"; it has: ${names.join(", ")}`);
  }
  const margin =
    container === undefined && names.length > 1 ? new Margin(names, (colour, text) => terminal.paint(colour, text)) : undefined;
  const withTime = flags.boolean("timestamps");
  const print = (from: string, line: LogLine): void => {
    const bytes = withTime ? Buffer.concat([Buffer.from(`${line.time} `), line.bytes]) : line.bytes;
    terminal.write(margin === undefined ? bytes : margin.format(from, bytes));
  };
  const chosen = container === undefined ? names : [container];
  if (flags.boolean("follow") && !flags.boolean("previous")) await follow(connection, invocation, { pod, container, print });
  else await show(connection, invocation, { pod, chosen, print });
  return exitCodes.success;
}

type Print = (container: string, line: LogLine) => void;

async function show(
  connection: Connection,
  invocation: Invocation,
  { pod, chosen, print }: { pod: Pod; chosen: readonly string[]; print: Print },
): Promise<void> {
  const { flags, signal, terminal } = invocation;
  const query = { ...queryOf(invocation), previous: flags.boolean("previous") };
  // Of several, those that have no log yet (or no earlier instance) have nothing to add; of one, that is an error.
  const having = chosen.length === 1 ? chosen : chosen.filter((name) => hasLog(pod, name, query.previous));
  if (having.length === 0) terminal.note(`Pod ${pod.metadata.name} has no log yet: ${waitingText(pod, chosen)}`);
  const sources = having.map((name) => ({ name, lines: logLines(connection.client, placeOf(pod), { ...query, container: name }, signal) }));
  for await (const line of mergeByTime(sources)) print(line.name, line);
}

async function follow(
  connection: Connection,
  invocation: Invocation,
  { pod, container, print }: { pod: Pod; container: string | undefined; print: Print },
): Promise<void> {
  const { client } = connection;
  let told: string | undefined;
  const stop = new AbortController();
  const signal = AbortSignal.any([invocation.signal, stop.signal]);
  const follower = new LogFollower(
    { client, container, query: queryOf(invocation), print: (_pod, name, line) => print(name, line) },
    signal,
  );
  try {
    for await (const current of followObject(client, pods, placeOf(pod), signal)) {
      if (current === undefined || current.metadata.uid !== pod.metadata.uid) break;
      follower.observe(current);
      if (hasEnded(current)) break;
      const waiting = containersOf(current, container).some((name) => hasLog(current, name, false))
        ? undefined
        : waitingText(current, containersOf(current, container));
      if (waiting !== undefined && waiting !== told)
        invocation.terminal.note(`Pod ${pod.metadata.name} has no log yet: ${(told = waiting)}`);
    }
    await follower.finish();
  } finally {
    stop.abort();
  }
}

function hasLog(pod: Pod, container: string, previous: boolean): boolean {
  const status = pod.status?.containerStatuses?.find(({ name }) => name === container);
  const hadOne = status?.lastState?.terminated !== undefined;
  return previous ? hadOne : hadOne || status?.state?.running !== undefined || status?.state?.terminated !== undefined;
}

function containersOf(pod: Pod, container: string | undefined): string[] {
  return container === undefined ? (pod.spec?.containers ?? []).map(({ name }) => name) : [container];
}

function queryOf({ flags }: Invocation): LogQuery {
  const tailLines = flags.number("tail");
  const since = flags.number("since");
  return {
    ...(tailLines === undefined || tailLines < 0 ? {} : { tailLines }),
    ...(since === undefined ? {} : { sinceSeconds: Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.ceil(since))) }),
  };
}
