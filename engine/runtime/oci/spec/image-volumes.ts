import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../../errors.ts";
import type { ContainerConfig, Mount } from "../../runtime.ts";
import { resolveInside } from "./rootfs-path.ts";

/** What the runtime mounts over: nobody sees a folder that is made below. */
const hidden = ["/proc", "/sys", "/dev"];

/**
 * The volumes that an image declares: folders of the container's own root file system, which live as long as it, with what the image
 * has in them, its owners and modes; made for root alone to write where they are missing. containerd copies them to a folder beside it, so
 * that they can be written to where the root cannot; a bind mount of the folder onto itself does the same without the copy.
 * What a mount of the pod covers is left alone. Throws CONTAINER_CONFIG_INVALID where one cannot be.
 */
export function imageVolumes(container: ContainerConfig): { readonly mounts: Mount[]; make(): void } {
  const { rootfsPath, readonlyRootfs, name } = container;
  const covered = [...hidden, ...container.mounts.map(({ containerPath }) => follow(container, containerPath))];
  const paths = new Set(container.imageVolumes.map((path) => follow(container, path)));
  const seen = [...paths].filter((path) => path !== "/" && !covered.some((above) => path === above || path.startsWith(`${above}/`)));
  const mountOf = (path: string): Mount => ({ hostPath: join(rootfsPath, path), containerPath: path, readonly: false });
  return {
    mounts: readonlyRootfs ? seen.map(mountOf) : [],
    make: () => {
      for (const path of seen) {
        try {
          if (statSync(join(rootfsPath, path), { throwIfNoEntry: false }) === undefined)
            mkdirSync(join(rootfsPath, path), { recursive: true, mode: 0o755 });
        } catch (cause) {
          throw refusal(name, path, cause);
        }
      }
    },
  };
}

function follow({ rootfsPath, name }: ContainerConfig, path: string): string {
  try {
    return resolveInside(rootfsPath, path);
  } catch (cause) {
    throw refusal(name, path, cause);
  }
}

function refusal(name: string, path: string, cause: unknown): EngineError {
  return new EngineError("CONTAINER_CONFIG_INVALID", `Cannot create container "${name}": its image's volume ${path} cannot be made`, {
    cause,
  });
}
