import type { Event } from "../generated.ts";
import { age } from "../values/durations.ts";

/** An event's cells, in the order of the event columns, by upstream's printEvent. */
export function eventCells(event: Event, nowMs: number): (string | number)[] {
  const { involvedObject: object, series, source } = event;
  const first = event.firstTimestamp ?? event.eventTime;
  const last = series?.lastObservedTime ?? event.lastTimestamp ?? first;
  const kind = (object.kind ?? "").toLowerCase();
  const from = [nonEmpty(source?.component) ?? event.reportingComponent, nonEmpty(source?.host) ?? event.reportingInstance].filter(
    (part) => part !== undefined && part !== "",
  );
  const count = series?.count ?? (event.count === undefined || event.count === 0 ? 1 : event.count);
  return [
    age(last, nowMs),
    event.type ?? "",
    event.reason ?? "",
    object.name === undefined || object.name === "" ? kind : `${kind}/${object.name}`,
    object.fieldPath ?? "",
    from.join(", "),
    (event.message ?? "").trim(),
    age(first, nowMs),
    count,
    event.metadata.name ?? "",
  ];
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
