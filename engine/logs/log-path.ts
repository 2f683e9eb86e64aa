import { join } from "node:path";

/** A pod's directory of logs, as upstream names it: NAMESPACE_NAME_UID below `pods`. */
export function podLogDirectory(podsDir: string, pod: { readonly namespace: string; readonly name: string; readonly uid: string }): string {
  return join(podsDir, `${pod.namespace}_${pod.name}_${pod.uid}`);
}

/** The log of one start of a container, within its pod's directory. */
export function containerLogPath(podDirectory: string, containerName: string, attempt: number): string {
  return join(podDirectory, containerName, `${attempt}.log`);
}
