import { type Pod, pods } from "@peapod/api";
import { CliError, exitCodes } from "../cli-error.ts";
import type { Invocation } from "../command.ts";
import { connect } from "../connection.ts";
import { containerStatusText, podStatusText, readyText, restartCount } from "../pod-status.ts";
import { printValue } from "../print-value.ts";
import { formatAge, formatTable } from "../table.ts";

/** `peapod ps`: pods, each with its containers below it. */
export async function ps(invocation: Invocation): Promise<number> {
  const { flags, terminal, positionals, signal } = invocation;
  using connection = await connect(invocation);
  const everywhere = flags.boolean("all-namespaces");
  const listed = await connection.client.list(pods, everywhere ? {} : { namespace: connection.namespace }, signal);
  const wanted = listed.items.filter(({ metadata }) => positionals.length === 0 || positionals.includes(metadata.name ?? ""));
  const missing = positionals.filter((name) => !wanted.some(({ metadata }) => metadata.name === name));
  if (missing.length > 0) throw new CliError(`No pod ${missing.join(", ")} in namespace ${connection.namespace}`);
  if (flags.string("output") !== undefined) {
    return await printValue(invocation, { apiVersion: "v1", kind: "List", metadata: {}, items: wanted });
  }
  if (wanted.length === 0) {
    terminal.note(everywhere ? "No pods" : `No pods in namespace ${connection.namespace}`);
    return exitCodes.success;
  }
  const headings = ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "IMAGE"];
  const rows = wanted.flatMap((pod) => rowsOf(pod).map((row) => (everywhere ? [pod.metadata.namespace ?? "", ...row] : row)));
  terminal.write(formatTable(everywhere ? ["NAMESPACE", ...headings] : headings, rows));
  return exitCodes.success;
}

function rowsOf(pod: Pod): string[][] {
  const nowMs = Date.now();
  const age = (time: string | undefined): string => (time === undefined ? "" : formatAge(nowMs - Date.parse(time)));
  const own = [
    pod.metadata.name ?? "",
    readyText(pod),
    podStatusText(pod),
    String(restartCount(pod)),
    age(pod.metadata.creationTimestamp),
    pod.status?.podIP ?? "<none>",
    "",
  ];
  const containers = (pod.spec?.containers ?? []).map((container) => {
    const status = pod.status?.containerStatuses?.find(({ name }) => name === container.name);
    const since = status?.state?.running?.startedAt ?? status?.state?.terminated?.finishedAt;
    const text = status === undefined ? "Waiting" : containerStatusText(status);
    return [`  ${container.name}`, "", text, String(status?.restartCount ?? 0), age(since), "", container.image ?? ""];
  });
  return [own, ...containers];
}
