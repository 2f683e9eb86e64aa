import { kindNamed, kindsOfKubernetes, type Resource, resources } from "@peapod/api";
import { nearestName } from "@peapod/api/suggest";

/** What a manifest may have. */
export const writtenKinds: readonly Resource[] = resources.filter(({ isForManifests }) => isForManifests);
/** Not for people to write: the engine's own. */
const ownKinds = resources.filter((resource) => !writtenKinds.includes(resource)).map(({ kind }) => kind);

/** Where the pods of a kind stand that makes them. */
const podTemplates: Readonly<Record<string, string>> = {
  CronJob: "spec.jobTemplate.spec.template",
  DaemonSet: "spec.template",
  Deployment: "spec.template",
  Job: "spec.template",
  ReplicaSet: "spec.template",
  ReplicationController: "spec.template",
  StatefulSet: "spec.template",
};

/** The kind that people write as `pod`, `pods` or `po`; undefined where it is none of ours. */
export function writtenKind(word: string): Resource | undefined {
  const kind = kindNamed(word);
  return writtenKinds.find((resource) => resource.kind === kind);
}

/** What to say of a kind that no manifest may have: that peapod does not have it yet, and what can be done instead; or which was meant. */
export function absentKind(word: string): string {
  const ours = writtenKinds.map(({ kind }) => kind);
  const list = ours.join(", ");
  const known = kindsOfKubernetes();
  if (ownKinds.includes(word)) return `${word} is the engine's own to write; a manifest may have ${list}`;
  if (known.includes(word)) return `${word} is not in peapod yet${instead(word) ?? `, which has ${list}`}`;
  const near = nearestName(word, [...new Set([...ours, ...known])]);
  if (near === undefined) return `${word} is no kind of Kubernetes'; peapod has ${list}`;
  const hint = `unknown kind ${word}, did you mean ${near}?`;
  return ours.includes(near) ? hint : `${hint} It is not in peapod yet${instead(near) ?? ""}`;
}

function instead(kind: string): string | undefined {
  const template = podTemplates[kind];
  return template === undefined ? undefined : `: its ${template} can be run as a Pod, with apiVersion: v1, kind: Pod and a metadata.name`;
}
