import type { Container, EphemeralContainer, PodSpec } from "../generated.ts";

/**
 * What a container is for. An init container ends before the next begins, a sidecar is one that goes on beside the application's, and
 * an ephemeral one is added to a running pod, to look.
 */
export type ContainerRole = "init" | "sidecar" | "application" | "ephemeral";

/** The roles of those that are there from the beginning; a template has no others. */
export const lastingRoles = ["init", "sidecar", "application"] as const satisfies readonly ContainerRole[];

/** One container of a pod, whichever of its three lists it stands in. */
export type PodContainer<R extends ContainerRole = ContainerRole> = R extends ContainerRole
  ? {
      readonly role: R;
      readonly name: string;
      /** `spec.initContainers[0]` */
      readonly path: string;
      readonly container: R extends "ephemeral" ? EphemeralContainer : Container;
    }
  : never;

/**
 * The containers of a pod, all or those of some roles, in the order in which they begin: as the lists stand, init containers and sidecars first.
 * `specPath` is where the spec stands, for the paths.
 */
export function podContainers<R extends ContainerRole = ContainerRole>(
  spec: Partial<PodSpec> | undefined,
  roles?: readonly R[],
  specPath = "spec",
): PodContainer<R>[] {
  const place = ({ name }: { name: string }, list: keyof PodSpec, index: number) => ({ name, path: `${specPath}.${list}[${index}]` });
  const all: PodContainer[] = [
    ...(spec?.initContainers ?? []).map((container, index) => {
      const role = container.restartPolicy === "Always" ? ("sidecar" as const) : ("init" as const);
      return { role, container, ...place(container, "initContainers", index) };
    }),
    ...(spec?.containers ?? []).map((container, index) => {
      return { role: "application" as const, container, ...place(container, "containers", index) };
    }),
    ...(spec?.ephemeralContainers ?? []).map((container, index) => {
      return { role: "ephemeral" as const, container, ...place(container, "ephemeralContainers", index) };
    }),
  ];
  const isWanted = ({ role }: PodContainer): boolean => roles === undefined || roles.some((wanted) => wanted === role);
  return all.filter(isWanted) as PodContainer<R>[]; // as just filtered
}
