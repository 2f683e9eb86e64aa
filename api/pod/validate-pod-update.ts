import { type FieldError, invalid, prohibited, required } from "../fields/field-error.ts";
import type { Container, Pod, PodSpec, Toleration } from "../generated.ts";
import { lastingRoles, podContainers } from "./containers.ts";
import { cloneJson, equalJson, isRecord, jsonKey } from "../values/json.ts";

const updatable =
  "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/**
 * The rules for a change of a pod's spec. As upstream, but that `nodeName` may be set where it was empty: there is no
 * binding subresource, so that is how the scheduler places a pod.
 */
export function validatePodUpdate(pod: Pod, old: Pod): FieldError[] {
  const [now, before] = [pod.spec, old.spec];
  if (now === undefined || before === undefined) return [];
  const counts = [
    ...countErrors(now.containers, before.containers, "spec.containers"),
    ...countErrors(now.initContainers, before.initContainers, "spec.initContainers"),
  ];
  if (counts.length > 0) return counts;
  const errors = [
    ...imageErrors(now),
    ...deadlineErrors(now.activeDeadlineSeconds, before.activeDeadlineSeconds),
    ...tolerationErrors(now.tolerations ?? [], before.tolerations ?? []),
  ];
  const left = withoutEmpty(asIfUnchanged(now, before));
  const right = withoutEmpty(before);
  if (equalJson(left, right)) return errors;
  const changes = differences(right, left, "spec").slice(0, MOST_CHANGES_SHOWN);
  return [...errors, prohibited("spec", `pod updates may not change fields other than ${updatable}\n${changes.join("\n")}`)];
}

const MOST_CHANGES_SHOWN = 40;

/** The new spec with everything that may change put back. */
function asIfUnchanged(now: PodSpec, before: PodSpec): PodSpec {
  const spec = cloneJson(now);
  const restore = (containers: Container[] | undefined, old: Container[] | undefined): void => {
    for (const [index, container] of (containers ?? []).entries()) put(container, "image", old?.[index]?.image);
  };
  restore(spec.containers, before.containers);
  restore(spec.initContainers, before.initContainers);
  put(spec, "activeDeadlineSeconds", before.activeDeadlineSeconds);
  put(spec, "tolerations", before.tolerations);
  if ((before.nodeName ?? "") === "") delete spec.nodeName;
  const graceSeconds = before.terminationGracePeriodSeconds;
  if (graceSeconds !== undefined && graceSeconds < 0 && spec.terminationGracePeriodSeconds === 1)
    spec.terminationGracePeriodSeconds = graceSeconds;
  return spec;
}

function put<T, K extends keyof T>(target: T, name: K, value: T[K] | undefined): void {
  if (value === undefined) delete target[name];
  else target[name] = value;
}

function countErrors(now: readonly Container[] = [], before: readonly Container[] = [], path: string): FieldError[] {
  return now.length === before.length ? [] : [prohibited(path, "pod updates may not add or remove containers")];
}

function imageErrors(spec: PodSpec): FieldError[] {
  const found = podContainers(spec, lastingRoles);
  return found.flatMap(({ container, path }) => ((container.image ?? "") === "" ? [required(`${path}.image`)] : []));
}

function deadlineErrors(now: number | undefined, before: number | undefined): FieldError[] {
  const path = "spec.activeDeadlineSeconds";
  if (before === undefined || now === before) return [];
  if (now === undefined) return [invalid(path, undefined, "must not update from a positive integer to nil value")];
  return now > before ? [invalid(path, now, "must be less than or equal to previous value")] : [];
}

function tolerationErrors(now: readonly Toleration[], before: readonly Toleration[]): FieldError[] {
  const plain = ({ tolerationSeconds: _seconds, ...rest }: Toleration): Omit<Toleration, "tolerationSeconds"> => rest;
  const there = new Set(now.map((toleration) => jsonKey(plain(toleration))));
  const kept = before.every((old) => there.has(jsonKey(plain(old))));
  return kept ? [] : [prohibited("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")];
}

/** Empty lists and objects mean the same as nothing. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => withoutEmpty(item) ?? {});
  if (!isRecord(value)) return value === "" ? undefined : value;
  const entries = Object.entries(value).flatMap(([name, member]) => {
    const rest = withoutEmpty(member);
    return rest === undefined ? [] : [[name, rest] as const];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function differences(before: unknown, now: unknown, path: string): string[] {
  if (equalJson(before, now)) return [];
  if (isRecord(before) && isRecord(now)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
    return names.flatMap((name) => differences(before[name], now[name], `${path}.${name}`));
  }
  if (Array.isArray(before) && Array.isArray(now)) {
    return Array.from({ length: Math.max(before.length, now.length) }, (_, index) =>
      differences(before[index], now[index], `${path}[${index}]`),
    ).flat();
  }
  const line = (sign: string, value: unknown): string[] => (value === undefined ? [] : [`${sign} ${path}: ${JSON.stringify(value)}`]);
  return [...line("-", before), ...line("+", now)];
}
