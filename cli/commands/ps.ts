import { type Container, type Pod, pods } from "@peapod/api";
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
  const headings = ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "PORTS", "IMAGE"];
  const blocks = wanted.map((pod) => ({
    rows: rowsOf(pod).map((row) => (everywhere ? [pod.metadata.namespace ?? "", ...row] : row)),
    waits: troublesOf(pod),
  }));
  const [heading, ...lines] = formatTable(
    everywhere ? ["NAMESPACE", ...headings] : headings,
    blocks.flatMap(({ rows }) => rows),
  ).split("\n");
  terminal.line(heading ?? "");
  for (const { rows, waits } of blocks) {
    for (const line of lines.splice(0, rows.length)) terminal.line(line);
    for (const text of waits) terminal.line(terminal.paint("yellow", `  ! ${text}`));
  }
  return exitCodes.success;
}

/** What a pod waits for, where it is known: a sentence each. */
function troublesOf(pod: Pod): string[] {
  if (pod.metadata.deletionTimestamp !== undefined) return [];
  const scheduled = pod.status?.conditions?.find(({ type, status }) => type === "PodScheduled" && status === "False");
  if (scheduled !== undefined) return [`${scheduled.reason ?? "Unschedulable"}: ${scheduled.message ?? ""}`];
  return (pod.status?.containerStatuses ?? []).flatMap(({ name, state }) => {
    const { reason, message } = state?.waiting ?? state?.terminated ?? {};
    const isNews = message !== undefined && message !== "" && reason !== "Completed";
    return isNews ? [`${name}: ${message.split("\n")[0]}`] : [];
  });
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
    "",
  ];
  const containers = (pod.spec?.containers ?? []).map((container) => {
    const status = pod.status?.containerStatuses?.find(({ name }) => name === container.name);
    const since = status?.state?.running?.startedAt ?? status?.state?.terminated?.finishedAt;
    const text = status === undefined ? "Waiting" : containerStatusText(status);
    return [
      `  ${container.name}`,
      "",
      text,
      String(status?.restartCount ?? 0),
      age(since),
      "",
      portsText(container),
      container.image ?? "",
    ];
  });
  return [own, ...containers];
}

/** As Docker writes it: `127.0.0.1:8080->80/TCP` for one that is published on the machine, `80/TCP` for one of the pod's own address. */
function portsText({ ports = [] }: Container): string {
  return ports
    .map(({ hostIP = "", hostPort = 0, containerPort, protocol = "TCP" }) => {
      const published = hostPort === 0 ? "" : `${hostIP === "" ? "" : `${hostIP.includes(":") ? `[${hostIP}]` : hostIP}:`}${hostPort}->`;
      return `${published}${containerPort}/${protocol}`;
    })
    .join(", ");
}
